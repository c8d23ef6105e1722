//! Compiles modules ahead of time, for this machine or another, into a directory from which processes without a
//! compiler run them. Start with [`Order`].

use std::path::Path;
use std::time::{Duration, Instant};

use super::error::Error;
use super::make::{keep, make};
use super::modules::Modules;
use super::request::{Failure, Request};
use crate::cache::code::CodeCache;
use crate::cache::directory;
use crate::cache::private_dir::Readers;
use crate::cache_files;
use crate::compiler::{self, Backend, Machine};
use crate::environment;
use crate::error::Described;
use crate::input::Input;
use crate::manifest;
use crate::sandbox::Memories;

/// The names of all compilers, each with true if it is built in.
#[must_use]
pub fn compilers() -> Vec<(&'static str, bool)> {
    compiler::backends().map(|backend| (backend.name(), backend.is_built_in())).collect()
}

/// The compilers and the machine that code is made for.
#[derive(Debug)]
pub struct Order {
    backends: Vec<&'static Backend>,
    machine: Machine,
    fuel: bool,
    memories: &'static [Memories],
}

/// The code of one module.
#[derive(Debug)]
pub struct Compiled {
    /// The module's name in the manifest.
    pub module: String,
    /// SHA-256 of the module, in hex.
    pub sha256: String,
    /// The compiler's name.
    pub compiler: &'static str,
    /// The code is for memories without a reservation of 8 GiB, which move when they grow.
    pub memories_move: bool,
    /// Size of the code, in bytes.
    pub size: usize,
    /// The time to compile it; `None` if the code was in the cache already.
    pub took: Option<Duration>,
}

impl Order {
    /// An order for the named compilers, else for the one that a manifest asks for or the default; for a target and a
    /// CPU, else for a baseline of this target.
    ///
    /// # Errors
    /// A compiler is not built in, or the machine does not exist.
    pub fn new(compilers: &[String], target: Option<&str>, cpu: Option<&str>) -> Result<Self, Described> {
        let named = compilers.iter().map(|name| compiler::named("--compiler", name));
        let backends = named.collect::<Result<_, _>>().map_err(Described::of)?;
        Ok(Self {
            backends,
            machine: Machine::new(target, cpu).map_err(Described::of)?,
            fuel: false,
            memories: &[Memories::Reserved],
        })
    }

    /// Sets whether the code counts its instructions, for manifests with `fuel`.
    #[must_use]
    pub fn with_fuel(self, fuel: bool) -> Self {
        Self { fuel, ..self }
    }

    /// Sets whether to make code for memories without an 8 GiB reservation too, for limited address spaces.
    #[must_use]
    pub fn with_moving_memories(self, also: bool) -> Self {
        Self { memories: if also { &[Memories::Reserved, Memories::Moving] } else { self.memories }, ..self }
    }

    /// The machine that the code is for, such as `x86_64-linux (sse2 sse3)`.
    #[must_use]
    pub fn machine(&self) -> String {
        let features: Vec<_> = self.machine.features().into_iter().collect();
        format!("{} ({})", self.machine.name(), features.join(" "))
    }

    /// Compiles the modules of `input`, and keeps the code in the cache at `directory`, if one is given. Others may
    /// read it as far as the umask lets them, unless it is the one that the environment names.
    ///
    /// # Errors
    /// `input` is wrong, a module cannot be compiled, or its code cannot be kept.
    pub fn compile(&self, input: &Input, directory: Option<&Path>) -> Result<Vec<Compiled>, Described> {
        let cache = directory.map(open).transpose()?;
        let manifest = input.manifest().map_err(Described::of)?;
        let backends = match self.backends.as_slice() {
            [] => vec![in_use(manifest.compiler.as_deref()).map_err(Described::of)?],
            named => named.to_vec(),
        };
        environment::check().map_err(Described::of)?;
        manifest.log_warnings();
        let (fuel, deadline) = (self.fuel || manifest.fuel.is_some(), manifest::deadline(manifest.timeout));
        let modules = Modules::load(manifest.modules, fuel, deadline).map_err(Described::of)?;
        let mut all = Vec::new();
        for backend in backends {
            for &memories in self.memories {
                let request = Request::new(backend, memories, &modules, cache.as_ref(), self.machine.clone());
                all.extend(fill(&request, memories == Memories::Moving).map_err(Described::of)?);
            }
        }
        Ok(all)
    }
}

/// Opens the cache at `path`, and makes it first if it is not there.
fn open(path: &Path) -> Result<CodeCache, Described> {
    let is_of_environment = Some(path) == directory::path().as_deref();
    let readers = if is_of_environment { Readers::Owner } else { Readers::Umask };
    CodeCache::open(path, true, readers).map_err(|error| cache_files::unusable(path, &error))
}

/// The compiler that a manifest names, else the one in use.
pub(crate) fn in_use(named: Option<&str>) -> Result<&'static Backend, compiler::Error> {
    compiler::select(named)?.ok_or(compiler::Error::NoCompiler)
}

/// Puts the code of all modules of `request` into its cache, under the keys that [`Modules::code`] uses on its machine.
fn fill(request: &Request<'_>, memories_move: bool) -> Result<Vec<Compiled>, Error> {
    let &Request { modules, cache, .. } = request;
    let mut all = Vec::with_capacity(modules.sources.len());
    for (index, source) in modules.sources.iter().enumerate() {
        let key = source.cache_key(cache)?;
        let start = Instant::now();
        // Code for fewer CPU features would run too, but the user wants code for exactly this machine.
        let found = cache.and_then(|cache| cache.find_exactly(&key, &request.wanted));
        let (artifact, took) = match found {
            Some(artifact) => (artifact, None),
            // No deadline: a manifest's timeout is for plugins, and this code is made ahead of time.
            None => match make(request, index, None) {
                Ok(artifact) => (artifact, Some(start.elapsed())),
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Missing(_)) => return Err(compiler::Error::NoCompiler.into()),
            },
        };
        if took.is_some() {
            keep(request, source, &artifact)?;
        }
        let Some(sha256) = key.sha256.map_or_else(|| source.sha256(), |known| Ok(Some(known)))? else {
            return Err(compiler::Error::NoCompiler.into());
        };
        all.push(Compiled {
            module: source.name().to_owned(),
            sha256: sha256.to_string(),
            compiler: request.backend.name(),
            memories_move,
            size: artifact.size(),
            took,
        });
    }
    Ok(all)
}
