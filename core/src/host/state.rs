//! The state that all instances of a plugin share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::network::Network;
use super::vars::Vars;

/// A plugin's [`PluginState`]. Its instances share it, one after the other.
pub(crate) type SharedState = Arc<Mutex<PluginState>>;

/// State that outlives an instance: the plugin's next instance has the same configuration, variables and HTTP answer.
#[derive(Debug)]
pub(crate) struct PluginState {
    pub(crate) config: BTreeMap<String, String>,
    /// The plugin's id as text, for its lines in the log. `None` in the 0.1 face.
    pub(super) label: Option<Arc<str>>,
    pub(super) vars: Vars,
    pub(super) network: Arc<Network>,
    /// The status of the last HTTP answer, or 0.
    pub(super) http_status: u16,
    /// The headers of the last HTTP answer, with names in lower case.
    pub(super) http_headers: BTreeMap<String, String>,
    /// Whether the headers of answers are kept. A program that uses Extism 1.x has to allow it first.
    pub(crate) keeps_http_headers: bool,
}

impl PluginState {
    pub(crate) fn new(
        config: BTreeMap<String, String>,
        vars: Vars,
        network: Network,
        keeps_http_headers: bool,
        label: Option<Arc<str>>,
    ) -> SharedState {
        let (network, http_headers) = (Arc::new(network), BTreeMap::new());
        let state = Self { config, label, vars, network, http_status: 0, http_headers, keeps_http_headers };
        Arc::new(Mutex::new(state))
    }
}

/// The state, for a thread that may not be the plugin's. `None` if another thread keeps it for a second: in a forked
/// process, a thread that is not in it may have held it.
pub(crate) fn hold(state: &SharedState) -> Option<MutexGuard<'_, PluginState>> {
    const TIMEOUT: Duration = Duration::from_secs(1);
    state.try_lock_for(TIMEOUT)
}
