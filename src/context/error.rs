//! Why an operation on a plugin of a context failed.

use thiserror::Error as ThisError;

use super::ids::PluginId;
use extism_capi::handle::Unusable;
use extism_core::plugin::PluginError;

/// The texts are those of Extism 0.1.0 where that has them.
#[derive(Debug, ThisError)]
pub(crate) enum Error {
    #[error("Plugin does not exist: {0}")]
    NoSuchPlugin(PluginId),
    #[error("Plugin index does not exist")]
    NoSuchIndex,
    #[error("the context has been freed meanwhile")]
    Closed,
    #[error("All plugin descriptors are in use, unable to allocate a new plugin")]
    NoIdLeft,
    #[error("plugin {0} is running on this very thread and cannot be used from inside its own call")]
    Reentered(PluginId),
    #[error(
        "plugin {0} was in use on another thread when this process was forked, and that thread is not in it: free the plugin, and \
         make another"
    )]
    Lost(PluginId),
    #[error(transparent)]
    Plugin(#[from] PluginError),
}

impl Error {
    /// The error of an operation on plugin `id`, whose handle says why.
    pub(super) fn of(id: PluginId, why: Unusable) -> Self {
        match why {
            Unusable::Freed => Self::NoSuchPlugin(id),
            Unusable::Reentered => Self::Reentered(id),
            Unusable::Lost => Self::Lost(id),
        }
    }
}
