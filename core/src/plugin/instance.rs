//! Makes a live instance of a plugin: a store, the imports, and an instance of each module.
#![expect(unsafe_code, reason = "a store may move between threads, which Wasmer does not say")]

use std::ptr::NonNull;

use wasmer::{
    AsStoreMut, AsStoreRef, Extern, ExternType, FunctionEnv, ImportType, Instance, InstantiationError, Store, StoreMut,
    Type, Value,
};
use wasmer_types::{ImportIndex, ModuleInfo};

use super::call::Functions;
use super::command::{self, Nesting};
use super::link::{Importer, Kind, Linked, Plan, Provider};
use super::stack::StackPointers;
use super::{Error, Recipe, timeout, trap};
use crate::error::{Excerpt, Message};
use crate::fork;
use crate::host::{self, Capacity, Guest, SharedState};
use crate::manifest::AfterTrap;
use crate::module::reserved;
use crate::sandbox::{self, Allowance, Tables};
use crate::stop::Watch;
use crate::wasi::Wasi;

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
// into a running store (wasmer#7001) and that this library never sets. All other fields are Send, and one thread at a
// time uses a `Live`: it is only reached through the lock of its plugin.
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
/// An import does not have the type of its provider, a memory exceeds a limit, or a start function traps.
pub(super) fn create(recipe: &Recipe, watch: Watch, state: SharedState) -> Result<Live, Error> {
    let plan = &recipe.plan;
    // In the fork gate: plugins of the same code share Wasmer's table of types; the first store sets up global state.
    let inside = fork::enter();
    let (store, allowance) = recipe.compiled.template.store(recipe.limits, plan.imports_io_memory, tables(plan));
    drop(inside);
    let live = populate(store, &allowance, recipe, watch, state);
    let is_refused = allowance.is_reservation_refused();
    live.map_err(|error| if is_refused { Error::NoReservation(error.into()) } else { error })
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
    let (main, libraries) = instantiate_all(&mut store, &guest, recipe, allowance)?;
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

/// Instantiates the plan's modules in order. Returns the last one, the main module, and the libraries.
fn instantiate_all(
    store: &mut Store,
    guest: &FunctionEnv<Guest>,
    recipe: &Recipe,
    allowance: &Allowance,
) -> Result<(Instance, Vec<Library>), Error> {
    let nesting = Nesting::default();
    let mut libraries: Vec<Library> = Vec::with_capacity(recipe.plan.modules.len());
    for linked in &recipe.plan.modules {
        let imports = Imports::new(guest, recipe);
        let library = match linked.kind {
            Kind::Main => return Ok((instantiate(store, imports, linked, &libraries, allowance)?, libraries)),
            Kind::Reactor => Library::Shared(instantiate(store, imports, linked, &libraries, allowance)?),
            Kind::Command => {
                let limits = (allowance.clone(), nesting.clone());
                Library::Command(command::prepare(store, imports, linked, &libraries, limits)?)
            }
        };
        libraries.push(library);
    }
    Err(Error::NoMain)
}

/// The exports of a module that later modules in the plan can import.
pub(super) enum Library {
    Shared(Instance),
    Command(command::Exports),
}

impl Library {
    fn export(&self, name: &str) -> Option<Extern> {
        match self {
            Self::Shared(instance) => instance.exports.get_extern(name).cloned(),
            Self::Command(exports) => exports.get(name),
        }
    }

    /// The shared instance, if the library has one.
    fn instance(&self) -> Option<&Instance> {
        match self {
            Self::Shared(instance) => Some(instance),
            Self::Command(_) => None,
        }
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

/// Makes an instance of `linked`, runs its start function and, if it is a library, its initialiser.
fn instantiate(
    store: &mut impl AsStoreMut,
    mut imports: Imports<'_>,
    linked: &Linked,
    libraries: &[Library],
    allowance: &Allowance,
) -> Result<Instance, Error> {
    let (guest, recipe) = (imports.guest, imports.recipe);
    let inside = fork::enter();
    let externs = imports.collect(store, linked, libraries)?;
    drop(inside);
    let instance = imports.instantiate(store, linked, &externs, allowance)?;
    if linked.kind == Kind::Reactor && instance.exports.get_function("_initialize").is_ok() {
        run(store, guest, &instance, "_initialize", linked, recipe)?;
    }
    Ok(instance)
}

/// Makes the imports of one module.
pub(super) struct Imports<'a> {
    pub(super) guest: &'a FunctionEnv<Guest>,
    pub(super) recipe: &'a Recipe,
    /// Made for the first import that needs it.
    wasi: Option<Wasi>,
}

impl<'a> Imports<'a> {
    fn new(guest: &'a FunctionEnv<Guest>, recipe: &'a Recipe) -> Self {
        Self { guest, recipe, wasi: None }
    }

    /// The provider of each import of `linked`, in the order of its imports.
    pub(super) fn collect(
        &mut self,
        store: &mut impl AsStoreMut,
        linked: &Linked,
        libraries: &[Library],
    ) -> Result<Vec<Extern>, Error> {
        let mut externs = Vec::with_capacity(linked.providers.len());
        let info = linked.module.info();
        for ((import, index), provider) in info.imports.iter().zip(&linked.providers) {
            let (module, name) = (import.module.as_str(), import.field.as_str());
            let found = match *provider {
                Provider::Host => host::import(store, self.guest, module, name),
                Provider::Module(index) => libraries.get(index).and_then(|library| library.export(name)),
                Provider::Wasi => self.wasi_import(store, linked, module, name)?,
            };
            let found = found.ok_or_else(|| Error::UnknownImport {
                module: Excerpt::of(module),
                name: Excerpt::of(name),
                importer: self.importer(linked),
                hint: "",
            })?;
            if !fits(store, info, index, &found) {
                return Err(incompatible(store, linked, externs.len(), &found, self.importer(linked)));
            }
            externs.push(found);
        }
        Ok(externs)
    }

    /// The importer, for errors about an import of `linked` that cannot be served.
    fn importer(&self, linked: &Linked) -> Importer {
        Importer::new(&linked.name, self.recipe.plan.modules.len(), &self.recipe.programs)
    }

    fn wasi_import(
        &mut self,
        store: &mut impl AsStoreMut,
        linked: &Linked,
        module: &str,
        name: &str,
    ) -> Result<Option<Extern>, Error> {
        let wasi = match self.wasi.take() {
            Some(wasi) => wasi,
            None => {
                let program = self.recipe.programs.get(&linked.name).unwrap_or(&linked.name);
                Wasi::new(store, self.guest, program, &self.recipe.allowed_paths)?
            }
        };
        Ok(self.wasi.insert(wasi).import(store, module, name))
    }

    /// The WASI state made for the imports, if any needed it.
    pub(super) fn into_wasi(self) -> Option<Wasi> {
        self.wasi
    }

    /// Instantiates `linked` with `externs` and runs its start function.
    fn instantiate(
        mut self,
        store: &mut impl AsStoreMut,
        linked: &Linked,
        externs: &[Extern],
        allowance: &Allowance,
    ) -> Result<Instance, Error> {
        let inside = fork::enter();
        let instance = allowance
            .instantiate(store, &linked.module, externs, true)
            .map_err(|error| explain(linked, self.recipe, *error))?;
        sandbox::make_stoppable(store, &linked.module, &instance);
        self.recipe.compiled.template.note_data(store, &linked.module, &instance, reserved::MEMORY_EXPORT);
        attach(store, self.guest, &instance);
        if let Some(wasi) = self.wasi.take() {
            wasi.attach(store, &instance)?;
        }
        // Plugin code runs outside the fork gate.
        drop(inside);
        if instance.exports.contains(reserved::START_EXPORT) {
            run(store, self.guest, &instance, reserved::START_EXPORT, linked, self.recipe)?;
        }
        Ok(instance)
    }
}

/// Tells the state of the host functions about a new instance.
pub(super) fn attach(store: &mut impl AsStoreMut, guest: &FunctionEnv<Guest>, instance: &Instance) {
    let mut env = guest.clone().into_mut(store);
    let (guest, mut store) = env.data_and_store_mut();
    guest.attach(&mut store, instance);
}

/// Calls `name`, if exported: a function without parameters that runs before the plugin's first call.
fn run(
    store: &mut impl AsStoreMut,
    guest: &FunctionEnv<Guest>,
    instance: &Instance,
    name: &str,
    linked: &Linked,
    recipe: &Recipe,
) -> Result<(), Error> {
    let Ok(function) = instance.exports.get_function(name) else { return Ok(()) };
    let no_arguments: &[Value] = &[];
    match function.call(store, no_arguments) {
        Ok(_) => Ok(()),
        Err(error) => {
            let fuel = guest.as_ref(store).fuel.clone();
            let exhausted = fuel.and_then(|fuel| fuel.exhausted(store));
            let cause = exhausted.map_or_else(|| trap::describe(&error, &recipe.plan.modules), timeout::out_of_fuel);
            Err(Error::Start { module: Excerpt::of(&linked.name), cause })
        }
    }
}

/// Whether `found` can serve an import: a function needs the same type, others the same kind. Wasmer checks their
/// types, too, but its error for functions does not show the types.
fn fits(store: &impl AsStoreRef, info: &ModuleInfo, import: &ImportIndex, found: &Extern) -> bool {
    match (import, found) {
        (ImportIndex::Function(index), Extern::Function(found)) => {
            info.signatures[info.functions[*index]] == found.ty(store)
        }
        (ImportIndex::Memory(_), Extern::Memory(_))
        | (ImportIndex::Table(_), Extern::Table(_))
        | (ImportIndex::Global(_), Extern::Global(_))
        | (ImportIndex::Tag(_), Extern::Tag(_)) => true,
        _ => false,
    }
}

/// The error for the import of this number, which `found` does not fit.
fn incompatible(store: &impl AsStoreRef, linked: &Linked, number: usize, found: &Extern, importer: Importer) -> Error {
    let import = linked.module.imports().nth(number);
    let of_import = |text: fn(&ImportType) -> String| import.as_ref().map(text).unwrap_or_default();
    Error::IncompatibleImport {
        module: Excerpt::of(of_import(|import| import.module().to_owned())),
        name: Excerpt::of(of_import(|import| import.name().to_owned())),
        wanted: Message::of(of_import(|import| show(import.ty()))),
        found: Message::of(show(&found.ty(store))),
        importer,
    }
}

/// The name of a value type in WebAssembly's text format.
pub(super) fn type_name(ty: Type) -> String {
    ty.to_string().to_lowercase()
}

fn show(ty: &ExternType) -> String {
    match ty {
        ExternType::Function(function) => {
            let list = |types: &[Type]| types.iter().map(|ty| type_name(*ty)).collect::<Vec<_>>().join(", ");
            format!("a function ({}) -> ({})", list(function.params()), list(function.results()))
        }
        ExternType::Memory(_) => "a memory".to_owned(),
        ExternType::Table(_) => "a table".to_owned(),
        ExternType::Global(_) => "a global".to_owned(),
        ExternType::Tag(_) => "a tag".to_owned(),
    }
}

fn explain(linked: &Linked, recipe: &Recipe, error: InstantiationError) -> Error {
    let cause = match error {
        InstantiationError::Start(trap) => trap::describe(&trap, &recipe.plan.modules),
        other => Message::of(sandbox::without_prefix(&other)).to_string(),
    };
    Error::Instantiate { module: Excerpt::of(&linked.name), cause }
}
