//! Libraries that are WASI commands: each call of one of their functions runs in a new instance.
//!
//! A store never frees an instance, so the number of these instances is bounded. The error beyond the bound says to
//! build the library as a reactor.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use thiserror::Error as ThisError;
use wasmer::{AsStoreMut, Extern, Function, FunctionEnv, FunctionEnvMut, Instance, Module, RuntimeError, Value};

use super::error::Error;
use super::imports::{Instantiation, attach};
use super::link::Linked;
use crate::code::PluginCode;
use crate::error::{Excerpt, Message};
use crate::fork;
use crate::host::Guest;
use crate::module::reserved;
use crate::sandbox::{self, Allowance};
use crate::wasi::Wasi;

/// The most calls of one command library by an instance of a plugin. Each call uses up address space for the
/// memories of its instance.
pub(super) const MAX_INSTANCES: u32 = 256;

/// The most command libraries that run at once, each called by the one before. They use the stack of the thread that
/// calls the plugin, which may be as small as 128 KiB.
const MAX_NESTED: u32 = 16;

/// The number of command libraries that run in an instance of a plugin. Its command libraries share this counter.
#[derive(Clone, Default)]
pub(super) struct Nesting(Arc<AtomicU32>);

#[derive(Debug, ThisError)]
enum CommandError {
    #[error(
        "command library `{0}` was called more than {MAX_INSTANCES} times; build it as a reactor (`_initialize` instead of `_start`), which keeps one instance"
    )]
    TooManyInstances(Excerpt),
    #[error("command library `{0}` was entered again while it ran")]
    Reentered(Excerpt),
    #[error(
        "command library `{0}` was called from the last of {MAX_NESTED} that call each other; build it as a reactor (`_initialize` instead of `_start`), for which there is no such limit"
    )]
    TooDeep(Excerpt),
    #[error(
        "command library `{name}` could not be instantiated for its call number {number}: {cause}; each call keeps an instance, build it as a reactor (`_initialize` instead of `_start`)"
    )]
    Instantiate { name: Excerpt, number: u32, cause: Message },
}

/// Everything needed for a new instance of a command library.
struct Command {
    name: String,
    module: Module,
    compiled: Arc<PluginCode>,
    imports: Vec<Extern>,
    guest: FunctionEnv<Guest>,
    wasi: Option<Wasi>,
    allowance: Allowance,
    nesting: Nesting,
    instances: u32,
    running: bool,
}

/// Makes host functions for the exports of the library `linked`, by name. No code of it runs before the first call.
pub(super) fn prepare(
    instances: &mut Instantiation<'_>,
    linked: &Linked,
    nesting: Nesting,
) -> Result<HashMap<String, Function>, Error> {
    let imports = instances.imports(linked)?;
    let _inside = fork::enter();
    let command = Command {
        name: linked.name.clone(),
        module: linked.module.clone(),
        compiled: Arc::clone(&instances.recipe.compiled),
        imports: imports.externs,
        guest: instances.guest.clone(),
        wasi: imports.wasi,
        allowance: instances.allowance.clone(),
        nesting,
        instances: 0,
        running: false,
    };
    let store = &mut *instances.store;
    let command = FunctionEnv::new(store, command);
    let functions = linked.module.exports().functions().filter(|export| !reserved::is_reserved(export.name()));
    let exports = functions.map(|export| {
        let name = export.name().to_owned();
        let function = Function::new_with_env(store, &command, export.ty(), move |env, arguments: &[Value]| {
            call_fresh(env, &name, arguments)
        });
        (export.name().to_owned(), function)
    });
    Ok(exports.collect())
}

fn call_fresh(
    mut env: FunctionEnvMut<'_, Command>,
    name: &str,
    arguments: &[Value],
) -> Result<Vec<Value>, RuntimeError> {
    enter(env.data_mut()).map_err(|error| RuntimeError::user(Box::new(error)))?;
    let result = instantiate(&mut env).and_then(|instance| {
        let guest = env.data().guest.clone();
        attach(&mut env, &guest, &instance);
        run(&mut env, &instance, name, arguments)
    });
    leave(env.data_mut());
    sandbox::give_up_spare();
    result.map(Vec::from)
}

fn run(
    store: &mut impl AsStoreMut,
    instance: &Instance,
    name: &str,
    arguments: &[Value],
) -> Result<Box<[Value]>, RuntimeError> {
    if let Ok(start) = instance.exports.get_function(reserved::START_EXPORT) {
        start.call(store, &[])?;
    }
    let function = instance.exports.get_function(name).map_err(|error| RuntimeError::user(Box::new(error)))?;
    function.call(store, arguments)
}

fn enter(command: &mut Command) -> Result<(), CommandError> {
    if command.running {
        return Err(CommandError::Reentered(Excerpt::of(&command.name)));
    }
    if command.instances == MAX_INSTANCES {
        return Err(CommandError::TooManyInstances(Excerpt::of(&command.name)));
    }
    if command.nesting.0.load(Ordering::Relaxed) == MAX_NESTED {
        return Err(CommandError::TooDeep(Excerpt::of(&command.name)));
    }
    command.nesting.0.fetch_add(1, Ordering::Relaxed);
    command.instances += 1;
    command.running = true;
    Ok(())
}

fn leave(command: &mut Command) {
    command.nesting.0.fetch_sub(1, Ordering::Relaxed);
    command.running = false;
}

fn instantiate(env: &mut FunctionEnvMut<'_, Command>) -> Result<Instance, RuntimeError> {
    let _inside = fork::enter();
    let (command, mut store) = env.data_and_store_mut();
    let is_first = command.instances == 1;
    let instance = command.allowance.instantiate(&mut store, &command.module, &command.imports, is_first);
    let instance = instance.map_err(|error| {
        let (name, cause) = (Excerpt::of(&command.name), Message::of(error));
        RuntimeError::user(Box::new(CommandError::Instantiate { name, number: command.instances, cause }))
    })?;
    sandbox::make_stoppable(&mut store, &command.module, &instance);
    command.compiled.template.note_data(&store, &command.module, &instance, reserved::MEMORY_EXPORT);
    if let Some(wasi) = &command.wasi {
        wasi.attach(&mut store, &instance).map_err(|error| RuntimeError::user(Box::new(error)))?;
    }
    Ok(instance)
}
