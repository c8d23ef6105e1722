//! Makes a live instance of a plugin: a store, the imports, and an instance of each module.
#![expect(unsafe_code, reason = "a store may move between threads, which Wasmer does not say")]

use std::ptr::NonNull;

use wasmer::{AsStoreMut, Instance, InstantiationError, Store, StoreMut, Value};

use super::command::{self, Nesting};
use super::error::Error;
use super::function::Functions;
use super::imports::{Imports, Instantiation, Library, attach};
use super::link::{Kind, Linked, Plan};
use super::recipe::Recipe;
use super::stack::StackPointers;
use super::timeout;
use super::trap;
use crate::error::{Excerpt, Message};
use crate::fork;
use crate::host::{Capacity, Guest, SharedState};
use crate::manifest::AfterTrap;
use crate::module::reserved;
use crate::sandbox::{self, Allowance, Tables};
use crate::stop::{Run, Watch};

/// A plugin's current instance: that of the main module, and the store with everything it uses.
pub(super) struct Live {
    pub(super) store: Store,
    /// The state of the host functions, which the store owns.
    guest: NonNull<Guest>,
    pub(super) main: Instance,
    pub(super) functions: Functions,
    /// Empty unless the instance is kept after a trap.
    pub(super) stack_pointers: StackPointers,
}

// SAFETY: a store has no ties to the thread that made it; Wasmer took `Send` away only for a callback that can be put
// into a running store (wasmer#7001) and that this library never sets. All other fields are Send, except for `guest`,
// which points to what the store owns. As that is a `NonNull`, `Live` and `Plugin` are not `Sync`: one thread at a time
// uses them.
unsafe impl Send for Live {}

impl Live {
    /// The state of the host functions.
    pub(super) fn guest_mut(&mut self) -> &mut Guest {
        // SAFETY: the store keeps it in a box of its own, and lives as long as `self`. No host function that could use
        // it runs, as calling the plugin borrows `self` exclusively.
        unsafe { self.guest.as_mut() }
    }

    /// Calls `work` with the state of the host functions, and the store.
    pub(super) fn with_guest<T>(&mut self, work: impl FnOnce(&mut Guest, &mut StoreMut<'_>) -> T) -> T {
        // SAFETY: as for `guest_mut`; and nothing that callers do to the store in `work` uses the guest in it. Wasmer
        // gives host functions both references in the same way.
        let guest = unsafe { self.guest.as_mut() };
        work(guest, &mut self.store.as_store_mut())
    }
}

/// Instantiates all modules of `recipe` and runs their start functions.
///
/// # Errors
/// An import does not have the type of its provider, a memory exceeds a limit, a start function traps, or the run is
/// stopped.
pub(super) fn create(recipe: &Recipe, run: &Run, watch: Watch, state: &SharedState) -> Result<Live, Error> {
    let plan = &recipe.plan;
    // In the fork gate: plugins of the same code share Wasmer's table of types; the first store sets up global state.
    let inside = fork::enter();
    let (store, allowance) = recipe.compiled.template.store(recipe.limits, plan.imports_io_memory, tables(plan));
    drop(inside);
    let live = populate(store, &allowance, recipe, watch, SharedState::clone(state));
    let is_refused = allowance.is_reservation_refused();
    live.map_err(|error| match run.stopped() {
        Some(reason) => Error::Stopped(reason, recipe.timeout),
        None if is_refused => Error::NoReservation(error.into()),
        None => error,
    })
}

/// Fills the empty `store` with the state of the host functions and the instances.
fn populate(
    mut store: Store,
    allowance: &Allowance,
    recipe: &Recipe,
    watch: Watch,
    state: SharedState,
) -> Result<Live, Error> {
    let plan = &recipe.plan;
    let inside = fork::enter();
    let capacity = Capacity {
        initial_pages: io_memory_pages(plan),
        max_block_pages: recipe.max_block_pages,
        is_limited: recipe.limits.max_pages.is_some(),
        imported: plan.imports_io_memory,
    };
    let guest = Guest::new(&mut store, capacity, plan.owns_io_memory, watch, recipe.bounds, state);
    let guest = guest.map_err(|error| Error::IoMemory(sandbox::without_prefix(&error)))?;
    drop(inside);
    let libraries = Vec::with_capacity(plan.modules.len());
    let mut instances = Instantiation { store: &mut store, guest: &guest, recipe, allowance, libraries };
    let main = instances.all()?;
    let libraries = instances.libraries;
    let mut stack_pointers = StackPointers::default();
    if recipe.after_trap == AfterTrap::Keep {
        libraries.iter().filter_map(Library::instance).for_each(|library| stack_pointers.add(&mut store, library));
        stack_pointers.add(&mut store, &main);
    }
    if let Some(fuel) = guest.as_ref(&store).fuel.clone() {
        fuel.fill(&mut store);
    }
    let guest = NonNull::from(guest.as_mut(&mut store));
    Ok(Live { store, guest, main, functions: Functions::default(), stack_pointers })
}

impl Instantiation<'_> {
    /// Instantiates the plan's modules in order. Returns the last one, the main module.
    fn all(&mut self) -> Result<Instance, Error> {
        let nesting = Nesting::default();
        for linked in &self.recipe.plan.modules {
            let library = match linked.kind {
                Kind::Main => return self.instantiate(linked),
                Kind::Reactor => Library::Shared(self.instantiate(linked)?),
                Kind::Command => Library::Command(command::prepare(self, linked, nesting.clone())?),
            };
            self.libraries.push(library);
        }
        Err(Error::NoMain)
    }

    /// Makes an instance of `linked`, runs its start function and, if it is a library, its initialiser.
    fn instantiate(&mut self, linked: &Linked) -> Result<Instance, Error> {
        let Imports { externs, wasi } = self.imports(linked)?;
        let inside = fork::enter();
        let instance = self.allowance.instantiate(self.store, &linked.module, &externs, true);
        let instance = instance.map_err(|error| self.explain(linked, *error))?;
        sandbox::make_stoppable(self.store, &linked.module, &instance);
        self.recipe.compiled.template.note_data(self.store, &linked.module, &instance, reserved::MEMORY_EXPORT);
        attach(self.store, self.guest, &instance);
        if let Some(wasi) = wasi {
            wasi.attach(self.store, &instance)?;
        }
        // Plugin code runs outside the fork gate.
        drop(inside);
        if instance.exports.contains(reserved::START_EXPORT) {
            self.run(&instance, reserved::START_EXPORT, linked)?;
        }
        if linked.kind == Kind::Reactor {
            self.run(&instance, "_initialize", linked)?;
        }
        Ok(instance)
    }

    /// Calls `name`, if exported: a function without parameters that runs before the plugin's first call.
    fn run(&mut self, instance: &Instance, name: &str, linked: &Linked) -> Result<(), Error> {
        let Ok(function) = instance.exports.get_function(name) else { return Ok(()) };
        let no_arguments: &[Value] = &[];
        match function.call(self.store, no_arguments) {
            Ok(_) => Ok(()),
            Err(error) => {
                let fuel = self.guest.as_ref(self.store).fuel.clone();
                let exhausted = fuel.and_then(|fuel| fuel.exhausted(self.store));
                let cause = match exhausted {
                    Some(limit) => timeout::out_of_fuel(None, limit),
                    None => trap::describe(&error, &self.recipe.plan.modules),
                };
                let is_out_of_fuel = exhausted.is_some();
                Err(Error::Start { module: Excerpt::of(&linked.name), cause, is_out_of_fuel })
            }
        }
    }

    fn explain(&self, linked: &Linked, error: InstantiationError) -> Error {
        let cause = match error {
            InstantiationError::Start(trap) => trap::describe(&trap, &self.recipe.plan.modules),
            other => Message::of(sandbox::without_prefix(&other)).to_string(),
        };
        Error::Instantiate { module: Excerpt::of(&linked.name), cause }
    }
}

/// The tables of all instances that the plugin may make.
fn tables(plan: &Plan) -> Tables {
    plan.modules.iter().fold(Tables::default(), |tables, linked| {
        let instances = if linked.kind == Kind::Command { command::MAX_INSTANCES } else { 1 };
        tables.and(linked.module.info(), instances)
    })
}

/// The I/O memory's first size in pages. A module that imports it declares a minimum: Extism's own has 16 pages, 1 MiB.
fn io_memory_pages(plan: &Plan) -> u32 {
    const KERNEL_PAGES: u32 = 16;
    if plan.imports_io_memory { KERNEL_PAGES } else { 1 }
}
