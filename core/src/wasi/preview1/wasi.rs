//! The life of a plugin's WASI: made, asked for imports, attached to the instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmer::{AsStoreMut, Extern, FunctionEnv, Instance};

use super::descriptor;
use super::descriptors::Descriptors;
use super::errno::Error;
use super::frame::{Version, WasiState};
use super::functions;
use crate::host::Guest;
use crate::module::reserved::MEMORY_EXPORT;
use crate::wasi::program::Program;

/// WASI for one instance of one module.
pub(crate) struct Wasi(FunctionEnv<WasiState>);

impl Wasi {
    /// WASI for a module with the name `program` and the directories of `allowed_paths`, which maps host path (`ro:` in
    /// front: read-only) to guest path.
    pub(crate) fn new(
        store: &mut impl AsStoreMut,
        guest: &FunctionEnv<Guest>,
        program: Program<'_>,
        allowed_paths: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let logs = Arc::clone(&guest.as_ref(store).logs);
        let descriptors = Descriptors::new(allowed_paths, &logs)?;
        // Readers of the argument take a NUL for its end.
        let name = program.name.split('\0').next().unwrap_or_default().to_owned();
        let config_is_environment = program.config_is_environment;
        let guest = guest.clone();
        let state = WasiState { guest, program: name, config_is_environment, memory: None, descriptors };
        Ok(Self(FunctionEnv::new(store, state)))
    }

    /// Makes the import `module::name`, if WASI has it.
    pub(crate) fn import(&self, store: &mut impl AsStoreMut, module: &str, name: &str) -> Option<Extern> {
        let version = match module {
            "wasi_unstable" => Version::Preview0,
            "wasi_snapshot_preview1" => Version::Preview1,
            _ => return None,
        };
        functions::make(&mut store.as_store_mut(), &self.0, version, name).map(Extern::from)
    }

    /// Connects WASI with the instance that uses it, which needs a memory. Until then, its functions fail.
    pub(crate) fn attach(&self, store: &mut impl AsStoreMut, instance: &Instance) -> Result<(), Error> {
        let memory = instance.exports.get_memory(MEMORY_EXPORT).map_err(|_| Error::NoMemory)?;
        self.0.as_mut(store).memory = Some(memory.clone());
        Ok(())
    }
}

/// Faults of `allowed_paths`, for plugins that do not import WASI, so that nothing opens the directories.
pub(crate) fn check(allowed_paths: &BTreeMap<String, String>) -> impl Iterator<Item = Error> {
    allowed_paths.iter().filter_map(|(host, guest)| descriptor::open(host, guest).err())
}
