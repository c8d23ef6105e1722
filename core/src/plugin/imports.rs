//! Finds what the modules of a plugin import, while they are instantiated one after the other.

use std::collections::HashMap;

use wasmer::{AsStoreMut, AsStoreRef, Extern, ExternType, Function, FunctionEnv, ImportType, Instance, Store, Type};
use wasmer_types::{ImportIndex, ModuleInfo};

use super::error::{Error, Hint, Importer, type_name};
use super::link::{Linked, Provider};
use super::recipe::Recipe;
use crate::error::{Excerpt, Message};
use crate::fork;
use crate::host::{self, Guest};
use crate::sandbox::Allowance;
use crate::wasi::{Program, Wasi};

/// The modules of a plugin while they become instances in one store, in the order of the plan.
pub(super) struct Instantiation<'a> {
    pub(super) store: &'a mut Store,
    /// The state of the host functions, in that store.
    pub(super) guest: &'a FunctionEnv<Guest>,
    pub(super) recipe: &'a Recipe,
    pub(super) allowance: &'a Allowance,
    /// The libraries so far. Providers are indices into them.
    pub(super) libraries: Vec<Library>,
}

/// A library, of which later modules in the plan can import.
pub(super) enum Library {
    /// The one instance of a reactor.
    Shared(Instance),
    /// The functions of a command library by name: it has no instance that lasts.
    Command(HashMap<String, Function>),
}

impl Library {
    fn export(&self, name: &str) -> Option<Extern> {
        match self {
            Self::Shared(instance) => instance.exports.get_extern(name).cloned(),
            Self::Command(exports) => exports.get(name).map(|function| function.clone().into()),
        }
    }

    /// The shared instance, if the library has one.
    pub(super) fn instance(&self) -> Option<&Instance> {
        match self {
            Self::Shared(instance) => Some(instance),
            Self::Command(_) => None,
        }
    }
}

/// The imports of one module.
pub(super) struct Imports {
    /// In the order in which the module declares them.
    pub(super) externs: Vec<Extern>,
    /// The module's WASI, if it imports any.
    pub(super) wasi: Option<Wasi>,
}

impl Instantiation<'_> {
    /// Finds the imports of `linked`.
    ///
    /// # Errors
    /// A provider lacks an import or has one of another type, or a directory cannot be opened for WASI.
    pub(super) fn imports(&mut self, linked: &Linked) -> Result<Imports, Error> {
        let _inside = fork::enter();
        let mut externs = Vec::with_capacity(linked.providers.len());
        let mut wasi = None;
        let info = linked.module.info();
        for ((import, index), provider) in info.imports.iter().zip(&linked.providers) {
            let (module, name) = (import.module.as_str(), import.field.as_str());
            let found = match *provider {
                Provider::Host => host::import(self.store, self.guest, module, name),
                Provider::HostFunction(index) => {
                    self.recipe.functions.get(index).map(|function| function.make(self.store, self.guest).into())
                }
                Provider::Module(index) => self.libraries.get(index).and_then(|library| library.export(name)),
                Provider::Wasi => self.wasi(&mut wasi, linked)?.import(self.store, module, name),
            };
            let found = found.ok_or_else(|| Error::UnknownImport {
                module: Excerpt::of(module),
                name: Excerpt::of(name),
                importer: self.importer(linked),
                hint: Hint::default(),
            })?;
            if !fits(self.store, info, index, &found) {
                let whose = match provider {
                    Provider::HostFunction(_) => {
                        ": the first is the plugin's import, the second the program's host function"
                    }
                    _ => "",
                };
                return Err(incompatible(self.store, linked, externs.len(), (&found, whose), self.importer(linked)));
            }
            externs.push(found);
        }
        Ok(Imports { externs, wasi })
    }

    /// The importer, for errors about an import of `linked` that cannot be served.
    fn importer(&self, linked: &Linked) -> Importer {
        Importer::new(&linked.name, self.recipe.plan.modules.len(), &self.recipe.programs)
    }

    /// The WASI of `linked`, made if this is the first import from it.
    fn wasi<'w>(&mut self, made: &'w mut Option<Wasi>, linked: &Linked) -> Result<&'w mut Wasi, Error> {
        let wasi = match made.take() {
            Some(wasi) => wasi,
            None => {
                let name = self.recipe.programs.get(&linked.name).unwrap_or(&linked.name);
                let program = Program { name, config_is_environment: self.recipe.config_is_environment };
                Wasi::new(self.store, self.guest, program, &self.recipe.allowed_paths)?
            }
        };
        Ok(made.insert(wasi))
    }
}

/// Tells the state of the host functions about a new instance.
pub(super) fn attach(store: &mut impl AsStoreMut, guest: &FunctionEnv<Guest>, instance: &Instance) {
    let mut env = guest.clone().into_mut(store);
    let (guest, mut store) = env.data_and_store_mut();
    guest.attach(&mut store, instance);
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

/// The error for the import of this number, which `found` does not fit. `whose` says whose types they are.
fn incompatible(
    store: &impl AsStoreRef,
    linked: &Linked,
    number: usize,
    (found, whose): (&Extern, &'static str),
    importer: Importer,
) -> Error {
    let import = linked.module.imports().nth(number);
    let of_import = |text: fn(&ImportType) -> String| import.as_ref().map(text).unwrap_or_default();
    Error::IncompatibleImport {
        module: Excerpt::of(of_import(|import| import.module().to_owned())),
        name: Excerpt::of(of_import(|import| import.name().to_owned())),
        wanted: Message::of(of_import(|import| show(import.ty()))),
        found: Message::of(format_args!("{}{whose}", show(&found.ty(store)))),
        importer,
    }
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
