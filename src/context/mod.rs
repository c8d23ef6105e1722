//! A context: the registry of one C caller's plugins, by id, and the errors that it can ask for.
//!
//! Start with [`Context`]. Its plugins are in handles of `capi/`, which are their locks.

mod error;
mod ids;
mod registry;

pub(crate) use error::Error;
pub(crate) use ids::PluginId;
pub(crate) use registry::Context;
