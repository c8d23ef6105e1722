//! Host functions: functions of the host program that plugins import.

use std::fmt;
use std::sync::Arc;

use thiserror::Error as ThisError;
use wasmer::{AsStoreMut, Function, FunctionEnv, RuntimeError};

use super::current_plugin::CurrentPlugin;
use crate::host::{self, Guest, yield_point};
use crate::value::{Val, ValType};

/// The work of a host function: it gets the plugin that calls it, the arguments, and the results, which are 0 before. An
/// error ends the plugin's call, with this text.
///
/// It runs on the thread that called the plugin, and may use other plugins, but not that one.
pub type HostFunctionBody = dyn Fn(&mut CurrentPlugin<'_>, &[Val], &mut [Val]) -> Result<(), String> + Send + Sync;

/// A function of the host program that plugins may import. Copies share the body, which is dropped with the last.
#[derive(Clone)]
pub struct HostFunction {
    /// The import's module, such as `extism:host/user`.
    pub namespace: Arc<str>,
    /// The import's name.
    pub name: Arc<str>,
    /// The types of its parameters: those of the import must be the same.
    pub parameters: Arc<[ValType]>,
    /// The types of its results.
    pub results: Arc<[ValType]>,
    /// Its work.
    pub body: Arc<HostFunctionBody>,
}

impl fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{} {:?} -> {:?}", self.namespace, self.name, self.parameters, self.results)
    }
}

/// A host function has failed, for a reason that it gives itself.
#[derive(Debug, ThisError)]
#[error("{0}")]
struct Failed(String);

impl HostFunction {
    /// The function as the modules in `store` import it.
    pub(super) fn make(&self, store: &mut impl AsStoreMut, guest: &FunctionEnv<Guest>) -> Function {
        let body = Arc::clone(&self.body);
        let work = move |guest: &mut Guest, arguments: &[Val], results: &mut [Val]| {
            let watch = guest.watch;
            yield_point(watch)?;
            let mut plugin = CurrentPlugin::new(guest);
            let result = watch.away(|| body(&mut plugin, arguments, results));
            drop(plugin);
            yield_point(watch)?;
            result.map_err(|text| RuntimeError::user(Box::new(Failed(text))))
        };
        let types = (Arc::clone(&self.parameters), Arc::clone(&self.results));
        host::direct_function(store, guest, types, Box::new(work))
    }
}
