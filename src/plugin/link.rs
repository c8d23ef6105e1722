//! Which module of a manifest gets which import from where, and in which order they are instantiated.

use wasmer::{ExternType, Module};

use super::Error;
use crate::error::Excerpt;
use crate::guest;

/// Import modules of WASI.
const WASI_MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// Who serves an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    /// A host function of the guest ABIs, or the I/O memory.
    Host,
    /// WASI.
    Wasi,
    /// The module of this index exports it.
    Module(usize),
}

/// How a library lives, by the rule of wasmtime's linker, which upstream uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The plugin itself.
    Main,
    /// One instance that all its importers share.
    Reactor,
    /// Exports `_start`: every call of one of its functions gets an instance of its own.
    Command,
}

/// One module and where its imports come from.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) name: String,
    pub(super) module: Module,
    pub(super) kind: Kind,
    /// One per import, in the module's order.
    pub(super) providers: Vec<Provider>,
}

/// The modules of a plugin, each after those it imports from; the main module is the last.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) modules: Vec<Linked>,
    /// Whether a module imports the I/O memory.
    pub(super) imports_io_memory: bool,
    /// Whether there is one module only, which has it for its own.
    pub(super) owns_io_memory: bool,
}

/// Finds a provider for each import of each module.
///
/// # Errors
/// An import that nobody has, libraries that import each other, or a library that is command and reactor at once.
pub(super) fn plan(names: &[String], modules: &[Module], main: &str, with_wasi: bool) -> Result<Plan, Error> {
    let resolver = Resolver { names, modules, main, with_wasi };
    let order = resolver.order()?;
    // Providers are found by the manifest's numbering first, then renumbered to the order of instantiation.
    let place = |index: usize| order.iter().position(|other| *other == index).unwrap_or(usize::MAX);
    let mut plan = Plan { modules: Vec::with_capacity(order.len()), imports_io_memory: false, owns_io_memory: false };
    for &index in &order {
        let module = &modules[index];
        let mut providers = Vec::new();
        for import in module.imports() {
            let provider = resolver.provider(index, import.module(), import.name())?;
            plan.imports_io_memory |= provider == Provider::Host && matches!(import.ty(), ExternType::Memory(_));
            providers.push(match provider {
                Provider::Module(other) => Provider::Module(place(other)),
                other => other,
            });
        }
        let mut memories = module.exports().memories();
        plan.owns_io_memory = modules.len() == 1 && memories.any(|export| export.name() == guest::IO_MEMORY_EXPORT);
        let kind = resolver.kind(index)?;
        plan.modules.push(Linked { name: names[index].clone(), module: module.clone(), kind, providers });
    }
    Ok(plan)
}

struct Resolver<'a> {
    names: &'a [String],
    modules: &'a [Module],
    main: &'a str,
    with_wasi: bool,
}

impl Resolver<'_> {
    /// All modules, dependencies first; libraries that do not depend on each other by name, the main module last.
    fn order(&self) -> Result<Vec<usize>, Error> {
        let mut by_name: Vec<usize> = (0..self.names.len()).collect();
        by_name.sort_by_key(|&index| (self.is_main(index), &self.names[index]));
        let mut order = Vec::with_capacity(by_name.len());
        let mut path = Vec::new();
        for index in by_name {
            self.visit(index, &mut path, &mut order)?;
        }
        Ok(order)
    }

    fn visit(&self, index: usize, path: &mut Vec<usize>, order: &mut Vec<usize>) -> Result<(), Error> {
        if order.contains(&index) {
            return Ok(());
        }
        if let Some(start) = path.iter().position(|other| *other == index) {
            let cycle = path[start..].iter().chain([&index]).map(|&index| Excerpt::of(&self.names[index]).to_string());
            return Err(Error::Cycle(Excerpt::of(cycle.collect::<Vec<_>>().join(" -> "))));
        }
        path.push(index);
        for import in self.modules[index].imports() {
            if let Provider::Module(other) = self.provider(index, import.module(), import.name())? {
                self.visit(other, path, order)?;
            }
        }
        path.pop();
        order.push(index);
        Ok(())
    }

    /// The host's own functions come first, so that no library can stand between a plugin and them; then the library
    /// of that name, then for `env` any library, as in Extism up to 0.3.
    fn provider(&self, importer: usize, module: &str, name: &str) -> Result<Provider, Error> {
        if guest::is_known(module, name) {
            return Ok(Provider::Host);
        }
        if module == guest::HOST_MODULE {
            return Err(Error::UnknownHostImport { name: Excerpt::of(name) });
        }
        let exporter = |index: &usize| *index != importer && !self.is_main(*index) && self.exports(*index, name);
        let libraries = || (0..self.names.len()).filter(exporter);
        if let Some(index) = libraries().find(|&index| self.names[index] == module) {
            return Ok(Provider::Module(index));
        }
        if module == "env"
            && let Some(index) = libraries().max_by_key(|&index| &self.names[index])
        {
            return Ok(Provider::Module(index));
        }
        if self.with_wasi && WASI_MODULES.contains(&module) {
            return Ok(Provider::Wasi);
        }
        let hint = WASI_MODULES.contains(&module).then_some("\nThe plugin needs WASI, but was created without it");
        let [module, name] = [module, name].map(Excerpt::of);
        Err(Error::UnknownImport { module, name, hint: hint.unwrap_or_default() })
    }

    fn kind(&self, index: usize) -> Result<Kind, Error> {
        if self.is_main(index) {
            return Ok(Kind::Main);
        }
        let has_function = |name| self.modules[index].exports().functions().any(|export| export.name() == name);
        match (has_function("_start"), has_function("_initialize")) {
            (true, true) => Err(Error::CommandAndReactor(Excerpt::of(&self.names[index]))),
            (true, false) => Ok(Kind::Command),
            (false, _) => Ok(Kind::Reactor),
        }
    }

    fn exports(&self, index: usize, name: &str) -> bool {
        !guest::is_reserved(name) && self.modules[index].exports().any(|export| export.name() == name)
    }

    fn is_main(&self, index: usize) -> bool {
        self.names[index] == self.main
    }
}
