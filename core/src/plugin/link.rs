//! Links the modules of a manifest: finds the provider of each import, and the order of instantiation.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use wasmer::Module;
use wasmer_types::{ExportIndex, ImportIndex};

use super::error::{Error, Hint, Importer};
use super::host_function::HostFunction;
use crate::error::Excerpt;
use crate::host;
use crate::manifest::MAIN;
use crate::module::reserved;

/// The import modules of WASI.
const WASI_MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// The source of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    /// A host function of the guest ABIs, or the I/O memory.
    Host,
    /// The host's WASI.
    Wasi,
    /// An export of the module of this index.
    Module(usize),
    /// The host function of this index.
    HostFunction(usize),
}

/// The role of a module. For libraries the rule is that of wasmtime's linker, which upstream Extism uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The plugin's main module.
    Main,
    /// A library with one instance that all its importers share.
    Reactor,
    /// A library that exports `_start`: each call of one of its functions gets a new instance.
    Command,
}

/// A module and the providers of its imports.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) name: String,
    pub(super) module: Module,
    pub(super) kind: Kind,
    /// One for each import, in the module's order.
    pub(super) providers: Vec<Provider>,
}

/// The modules of a plugin, each after those it imports from; the main module is the last.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) modules: Vec<Linked>,
    /// Whether a module imports the I/O memory by name.
    pub(super) imports_io_memory: bool,
    /// Whether a module imports WASI.
    pub(super) imports_wasi: bool,
    /// Whether a module imports a host function.
    pub(super) imports_host_functions: bool,
    /// Whether there is one module only, which has it for its own.
    pub(super) owns_io_memory: bool,
}

/// Everything that is linked.
#[derive(Clone, Copy)]
pub(super) struct Linking<'a> {
    /// The names that the modules are linked by.
    pub(super) names: &'a [String],
    pub(super) modules: &'a [Module],
    /// The manifest's names of the modules, by those that they are linked by.
    pub(super) programs: &'a BTreeMap<String, String>,
    pub(super) functions: &'a [HostFunction],
}

/// Finds a provider for each import of each module, in time linear in the number of names.
///
/// # Errors
/// An import that nobody has, libraries that import each other, or a library that is command and reactor at once.
pub(super) fn plan(linking: &Linking<'_>, with_wasi: bool) -> Result<Plan, Error> {
    let Linking { names, modules, .. } = *linking;
    let resolver = Resolver::new(*linking, with_wasi);
    let order = resolver.order()?;
    // Providers have indices of the manifest first, and are then renumbered to the order of instantiation.
    let mut places = vec![usize::MAX; modules.len()];
    for (place, (index, _)) in order.iter().enumerate() {
        places[*index] = place;
    }
    let linked = Vec::with_capacity(order.len());
    let mut plan = Plan {
        modules: linked,
        imports_io_memory: false,
        imports_wasi: false,
        imports_host_functions: false,
        owns_io_memory: false,
    };
    for (index, mut providers) in order {
        let module = &modules[index];
        for (import, provider) in module.info().imports.values().zip(&mut providers) {
            match provider {
                Provider::Host => plan.imports_io_memory |= matches!(import, ImportIndex::Memory(_)),
                Provider::Module(other) => *other = places[*other],
                Provider::Wasi => plan.imports_wasi = true,
                Provider::HostFunction(_) => plan.imports_host_functions = true,
            }
        }
        let io_memory = module.info().exports.get(reserved::IO_MEMORY_EXPORT);
        plan.owns_io_memory = modules.len() == 1 && matches!(io_memory, Some(ExportIndex::Memory(_)));
        let kind = resolver.kind(index)?;
        plan.modules.push(Linked { name: names[index].clone(), module: module.clone(), kind, providers });
    }
    Ok(plan)
}

/// A module's index in the manifest, and its providers, with indices of the manifest.
type Resolved = (usize, Vec<Provider>);

struct Resolver<'a> {
    linking: Linking<'a>,
    with_wasi: bool,
    /// The host functions by namespace and name.
    functions: HashMap<(&'a str, &'a str), usize>,
    /// The libraries by name.
    by_name: HashMap<&'a str, usize>,
    /// For each export name, the libraries that export it. Made for the first import from `env` that needs it.
    by_export: OnceCell<HashMap<&'a str, Exporters>>,
}

/// The last two libraries, in the order of their names, that export the same name. `first` is the last of all; `second`
/// serves imports of `first` itself.
struct Exporters {
    first: usize,
    second: Option<usize>,
}

impl<'a> Resolver<'a> {
    fn new(linking: Linking<'a>, with_wasi: bool) -> Self {
        let libraries = linking.names.iter().enumerate().filter(|(_, name)| *name != MAIN);
        let by_name = libraries.map(|(index, name)| (name.as_str(), index)).collect();
        // Of two with the same names, the later one counts.
        let functions = linking.functions.iter().zip(0..);
        let functions = functions.map(|(function, index)| ((&*function.namespace, &*function.name), index)).collect();
        Self { linking, with_wasi, functions, by_name, by_export: OnceCell::new() }
    }

    /// All modules, dependencies first. Independent libraries are in the order of names; the main module is the last.
    fn order(&self) -> Result<Vec<Resolved>, Error> {
        let mut by_name: Vec<usize> = (0..self.linking.names.len()).collect();
        by_name.sort_by_key(|&index| (self.is_main(index), &self.linking.names[index]));
        let mut visits = Visits { done: Vec::with_capacity(by_name.len()), seen: vec![false; by_name.len()] };
        let mut path = Vec::new();
        for index in by_name {
            self.visit(index, &mut path, &mut visits)?;
        }
        Ok(visits.done)
    }

    fn visit(&self, index: usize, path: &mut Vec<usize>, visits: &mut Visits) -> Result<(), Error> {
        if visits.seen[index] {
            return Ok(());
        }
        // `path` contains a module at most once, so it is short.
        if let Some(start) = path.iter().position(|other| *other == index) {
            let cycle =
                path[start..].iter().chain([&index]).map(|&index| Excerpt::of(&self.linking.names[index]).to_string());
            return Err(Error::Cycle(Excerpt::of(cycle.collect::<Vec<_>>().join(" -> "))));
        }
        path.push(index);
        let imports = self.linking.modules[index].info().imports.keys();
        let mut providers = Vec::with_capacity(imports.len());
        for import in imports {
            let provider = self.provider(index, &import.module, &import.field)?;
            if let Provider::Module(other) = provider {
                self.visit(other, path, visits)?;
            }
            providers.push(provider);
        }
        path.pop();
        visits.seen[index] = true;
        visits.done.push((index, providers));
        Ok(())
    }

    /// Functions of the guest ABIs come first, so that no library can intercept them; then the library that has the name
    /// of the import module; then, for `env`, any library, as in Extism up to 0.3; then WASI. A host function stands
    /// before all but the library: the program that makes the plugin is trusted.
    fn provider(&self, importer: usize, module: &str, name: &str) -> Result<Provider, Error> {
        let is_known = host::is_known(module, name);
        let named = self.by_name.get(module).copied().filter(|_| !is_known && module != host::HOST_MODULE);
        if let Some(index) = named.filter(|&index| index != importer && self.exports(index, name)) {
            return Ok(Provider::Module(index));
        }
        if let Some(index) = self.functions.get(&(module, name)) {
            if !host::can_be_replaced(module, name) {
                return Err(Error::Irreplaceable { module: Excerpt::of(module), name: Excerpt::of(name) });
            }
            return Ok(Provider::HostFunction(*index));
        }
        if is_known {
            return Ok(Provider::Host);
        }
        if module == host::HOST_MODULE {
            return Err(Error::UnknownHostImport { name: Excerpt::of(name), hint: self.near(name) });
        }
        if module == "env"
            && let Some(index) = self.any_library(importer, name)
        {
            return Ok(Provider::Module(index));
        }
        if self.with_wasi && WASI_MODULES.contains(&module) {
            return Ok(Provider::Wasi);
        }
        let hint = if WASI_MODULES.contains(&module) { Hint::no_wasi() } else { self.near(name) };
        let [module, name] = [module, name].map(Excerpt::of);
        let Linking { names, programs, .. } = self.linking;
        let importer = Importer::new(&names[importer], names.len(), programs);
        Err(Error::UnknownImport { module, name, importer, hint })
    }

    /// The hint at the last host function that has this name, in whatever namespace.
    fn near(&self, name: &str) -> Hint {
        let near = self.linking.functions.iter().rev().find(|function| *function.name == *name);
        near.map_or_else(Hint::default, Hint::near)
    }

    /// The last library in the order of names that exports `name`, other than `importer`.
    fn any_library(&self, importer: usize, name: &str) -> Option<usize> {
        let exporters = self.by_export.get_or_init(|| self.exporters()).get(name)?;
        if exporters.first == importer { exporters.second } else { Some(exporters.first) }
    }

    fn exporters(&self) -> HashMap<&'a str, Exporters> {
        let mut libraries: Vec<_> = self.by_name.iter().collect();
        libraries.sort_unstable();
        let mut all = HashMap::new();
        for (_, &index) in libraries {
            let exports = self.linking.modules[index].info().exports.keys();
            for name in exports.filter(|name| !reserved::is_reserved(name)) {
                let second = all.get(name.as_str()).map(|before: &Exporters| before.first);
                all.insert(name.as_str(), Exporters { first: index, second });
            }
        }
        all
    }

    fn kind(&self, index: usize) -> Result<Kind, Error> {
        if self.is_main(index) {
            return Ok(Kind::Main);
        }
        let module = &self.linking.modules[index];
        match (exports_function(module, "_start"), exports_function(module, "_initialize")) {
            (true, true) => Err(Error::CommandAndReactor(Excerpt::of(&self.linking.names[index]))),
            (true, false) => Ok(Kind::Command),
            (false, _) => Ok(Kind::Reactor),
        }
    }

    fn exports(&self, index: usize, name: &str) -> bool {
        !reserved::is_reserved(name) && self.linking.modules[index].info().exports.contains_key(name)
    }

    fn is_main(&self, index: usize) -> bool {
        self.linking.names[index] == MAIN
    }
}

/// Whether `module` exports a function of this name, of any type.
pub(super) fn exports_function(module: &Module, name: &str) -> bool {
    matches!(module.info().exports.get(name), Some(ExportIndex::Function(_)))
}

/// The order of instantiation while it is being computed.
struct Visits {
    done: Vec<Resolved>,
    /// Whether the module of this index is in `done`.
    seen: Vec<bool>,
}
