//! WASI for the plugins that import it, by wasmer-wasix: preview 1 and its predecessor, without sockets and threads.
//!
//! Three imports are ours, not wasmer-wasix's: the environment, which follows the plugin's configuration, and
//! `proc_exit`, whose status is not to be cut to 16 bits. `files.rs` has the plugin's view of the file system,
//! `stdio.rs` its output, `runtime.rs` what wasmer-wasix wants to stand on.

mod files;
mod runtime;
mod stdio;

use std::collections::BTreeMap;

use thiserror::Error;
use wasmer::{AsStoreMut, Extern, Function, FunctionEnv, FunctionEnvMut, Imports, Instance, Memory, RuntimeError};
use wasmer_wasix::virtual_fs::NullFile;
use wasmer_wasix::{
    WasiEnv, WasiFunctionEnv, WasiModuleInstanceHandles, WasiModuleTreeHandles, WasiVersion,
    generate_import_object_from_env,
};

use super::{Guest, MEMORY_EXPORT};

/// WASI for one instance of one module.
pub(crate) struct Wasi {
    env: WasiFunctionEnv,
    environ: FunctionEnv<Environ>,
    imports: Imports,
}

/// Why a plugin cannot have WASI.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("allowed_paths: `{host}`: {cause}")]
    Directory { host: String, cause: String },
    #[error("allowed_paths: two directories are mapped to `{0}`")]
    DuplicateMapping(String),
    #[error("the module imports WASI but has no memory")]
    NoMemory,
    #[error("WASI could not be set up: {0}")]
    Setup(String),
}

/// `proc_exit` was called with this status; ends the call like a trap.
#[derive(Debug, Error)]
#[error("Exited with i32 exit status {0}")]
struct Exit(i32);

/// The status that the plugin has exited with, if that is what stopped it.
pub(crate) fn exit_code(error: &RuntimeError) -> Option<i32> {
    error.downcast_ref::<Exit>().map(|exit| exit.0)
}

/// What the environment functions work on.
struct Environ {
    guest: FunctionEnv<Guest>,
    memory: Option<Memory>,
}

impl Wasi {
    /// WASI with the directories of `allowed_paths`, host path (with `ro:` in front read-only) to guest path.
    ///
    /// # Errors
    /// A directory is not there or is none.
    pub(crate) fn new(
        store: &mut impl AsStoreMut,
        guest: &FunctionEnv<Guest>,
        allowed_paths: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let _inside_runtime = runtime::handle().enter();
        let mut builder = WasiEnv::builder("plugin")
            .runtime(runtime::shared())
            .disable_default_builtins(true)
            .stdin(Box::new(NullFile::default()))
            .stdout(stdio::stdout())
            .stderr(stdio::stderr());
        builder = files::mount(builder, allowed_paths)?;
        let env = builder.finalize(store).map_err(|error| Error::Setup(error.to_string()))?;
        let mut imports = Imports::new();
        for version in [WasiVersion::Snapshot0, WasiVersion::Snapshot1] {
            imports.extend(&generate_import_object_from_env(store, &env.env, version));
        }
        let environ = FunctionEnv::new(store, Environ { guest: guest.clone(), memory: None });
        for module in ["wasi_unstable", "wasi_snapshot_preview1"] {
            let own: [(&str, Function); 3] = [
                ("environ_sizes_get", Function::new_typed_with_env(store, &environ, environ_sizes_get)),
                ("environ_get", Function::new_typed_with_env(store, &environ, environ_get)),
                ("proc_exit", Function::new_typed(store, |status: i32| Err::<(), _>(Exit(status)))),
            ];
            for (name, function) in own {
                imports.define(module, name, function);
            }
        }
        Ok(Self { env, environ, imports })
    }

    /// The import `module::name`, if WASI has it.
    pub(crate) fn import(&self, module: &str, name: &str) -> Option<Extern> {
        self.imports.get_export(module, name)
    }

    /// Ties WASI to the instance that uses it. Until then its functions must not be called.
    ///
    /// # Errors
    /// The module has no memory to exchange data in.
    pub(crate) fn attach(&self, store: &mut impl AsStoreMut, instance: &Instance) -> Result<(), Error> {
        let memory = instance.exports.get_memory(MEMORY_EXPORT).map_err(|_| Error::NoMemory)?;
        self.environ.as_mut(store).memory = Some(memory.clone());
        let handles = WasiModuleInstanceHandles::new(memory.clone(), store, instance.clone(), None);
        self.env
            .clone()
            .initialize_handles_and_layout(store, instance.clone(), WasiModuleTreeHandles::Static(handles), None, false)
            .map_err(|error| Error::Setup(error.to_string()))
    }
}

/// Error numbers of preview 1 that the functions here return.
const SUCCESS: i32 = 0;
const FAULT: i32 = 21;

/// The environment is the configuration: `key=value` in the order of the keys. What cannot be spelled so is left out.
fn variables(environ: &Environ, store: &impl wasmer::AsStoreRef) -> Vec<Vec<u8>> {
    let config = &environ.guest.as_ref(store).state.config;
    config
        .iter()
        .filter(|(key, value)| !key.is_empty() && !key.contains(['=', '\0']) && !value.contains('\0'))
        .map(|(key, value)| format!("{key}={value}\0").into_bytes())
        .collect()
}

fn environ_sizes_get(mut env: FunctionEnvMut<'_, Environ>, count_at: u32, bytes_at: u32) -> i32 {
    let (environ, store) = env.data_and_store_mut();
    let variables = variables(environ, &store);
    let bytes: usize = variables.iter().map(Vec::len).sum();
    let Some(memory) = &environ.memory else { return FAULT };
    let view = memory.view(&store);
    let write = |at: u32, value: usize| view.write(u64::from(at), &(value as u32).to_le_bytes());
    match write(count_at, variables.len()).and_then(|()| write(bytes_at, bytes)) {
        Ok(()) => SUCCESS,
        Err(_) => FAULT,
    }
}

fn environ_get(mut env: FunctionEnvMut<'_, Environ>, pointers_at: u32, text_at: u32) -> i32 {
    let (environ, store) = env.data_and_store_mut();
    let Some(memory) = &environ.memory else { return FAULT };
    let view = memory.view(&store);
    let mut pointer = u64::from(pointers_at);
    let mut text = u64::from(text_at);
    for variable in variables(environ, &store) {
        let address = (text as u32).to_le_bytes();
        if view.write(pointer, &address).and_then(|()| view.write(text, &variable)).is_err() {
            return FAULT;
        }
        pointer += 4;
        text += variable.len() as u64;
    }
    SUCCESS
}
