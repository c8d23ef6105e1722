//! The functions behind the command-line tool. For the tool alone: this is not an interface for programs.

mod input;
#[doc(hidden)]
pub mod phases;

use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cache::code::{CodeCache, CachedArtifact};
use crate::cache::directory;
#[cfg(feature = "http")]
use crate::cache::downloads::Downloads;
use crate::cache::private_dir::Readers;
use crate::code::{self, Made, Modules};
use crate::compiler::{self, Backend, Machine};
use crate::environment;
use crate::error::{self, Excerpt, Message};
use crate::first_use;
use crate::log as sink;
use crate::manifest;
use crate::sandbox::Memories;
pub use input::{Input, Options, Plugin};
pub use log::LevelFilter as LogLevel;

/// An error as text.
#[derive(Debug)]
pub struct Error(String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

fn failed(error: impl std::error::Error) -> Error {
    Error(error::describe(&error))
}

/// The names of all compilers, each with true if it is built in.
#[must_use]
pub fn compilers() -> Vec<(&'static str, bool)> {
    compiler::backends().map(|backend| (backend.name(), backend.is_built_in())).collect()
}

/// Makes the library read the environment with `changes` applied, for programs that do not want to change their own.
/// False if the library was used before, which reads the environment: the changes then have no effect.
#[must_use]
pub fn set_environment<N: Into<OsString>, V: Into<OsString>>(changes: impl IntoIterator<Item = (N, V)>) -> bool {
    environment::read_with(changes.into_iter().map(|(name, value)| (name.into(), value.into())))
}

/// Whether all variables of the library can be used.
///
/// # Errors
/// One has a value that cannot be read; it is named.
pub fn check_environment() -> Result<(), Error> {
    environment::check().map_err(failed)
}

/// All of a foreign text on one line, as in the log: control characters are escaped.
#[must_use]
pub fn one_line(text: impl Display) -> String {
    error::one_line(text)
}

/// The beginning of a foreign text, as errors quote it.
#[must_use]
pub fn excerpt(text: impl Display) -> String {
    Excerpt::of(text).to_string()
}

/// A message of another library about foreign input: a few lines, each like an [`excerpt`].
#[must_use]
pub fn message(text: impl Display) -> String {
    Message::of(text).to_string()
}

/// Shows the library's log on standard error, from `level` on: the lines of plugins too. Plugins and calls that fail
/// are lines of it only at level debug and trace, as the tool itself says what has failed.
pub fn show_log(level: LogLevel) {
    if level < LogLevel::Debug {
        sink::without_notes();
    }
    first_use::begin();
    // Cannot fail: standard error is open, or nobody sees it.
    let _ = sink::set(sink::Destination::Stderr, level);
}

/// The directory of the cache: the one that the environment names, or the default.
#[must_use]
pub fn default_store() -> Option<PathBuf> {
    directory::path()
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
    /// The time to compile it; `None` if the code was in the store already.
    pub took: Option<Duration>,
}

impl Order {
    /// An order for the named compilers, else for the one that a manifest asks for or the default; for a target and a
    /// CPU, else for a baseline of this target.
    ///
    /// # Errors
    /// A compiler is not built in, or the machine does not exist.
    pub fn new(compilers: &[String], target: Option<&str>, cpu: Option<&str>) -> Result<Self, Error> {
        let named = compilers.iter().map(|name| compiler::named("--compiler", name));
        let backends = named.collect::<Result<_, _>>().map_err(failed)?;
        Ok(Self {
            backends,
            machine: Machine::new(target, cpu).map_err(failed)?,
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

    /// Compiles the modules of `input`, and keeps the code in `store`, if there is one. Others may read that as far as
    /// the umask lets them, but for the store that the environment names.
    ///
    /// # Errors
    /// `input` is wrong, a module cannot be compiled, or its code cannot be kept.
    pub fn compile(&self, input: &Input, store: Option<&Path>) -> Result<Vec<Compiled>, Error> {
        let store = match store {
            Some(path) if Some(path) == directory::path().as_deref() => Some(open(path, true, Readers::Owner)?),
            Some(path) => Some(open(path, true, Readers::Umask)?),
            None => None,
        };
        let manifest = input.manifest()?;
        let backends = match self.backends.as_slice() {
            [] => vec![in_use(manifest.compiler.as_deref())?],
            named => named.to_vec(),
        };
        environment::check().map_err(failed)?;
        manifest.log_warnings();
        let (fuel, deadline) = (self.fuel || manifest.fuel.is_some(), manifest::deadline(manifest.timeout));
        let modules = Modules::load(manifest.modules, fuel, deadline).map_err(failed)?;
        let mut compiled = Vec::new();
        let each = backends.iter().flat_map(|backend| self.memories.iter().map(move |memories| (*backend, *memories)));
        for (backend, memories) in each {
            let made = code::precompile(&modules, backend, memories, &self.machine, store.as_ref());
            for Made { module, sha256, size, took } in made.map_err(failed)? {
                let (sha256, compiler) = (sha256.to_string(), backend.name());
                let memories_move = memories == Memories::Moving;
                compiled.push(Compiled { module, sha256, compiler, memories_move, size, took });
            }
        }
        Ok(compiled)
    }
}

/// The compiler that a manifest names, else the one in use.
fn in_use(named: Option<&str>) -> Result<&'static Backend, Error> {
    let selected = compiler::select(named).map_err(failed)?;
    selected.ok_or_else(|| failed(compiler::Error::NoCompiler))
}

fn open(path: &Path, create: bool, readers: Readers) -> Result<CodeCache, Error> {
    CodeCache::open(path, create, readers).map_err(|error| wrong_store(path, &error))
}

fn wrong_store(path: &Path, error: &io::Error) -> Error {
    Error(format!("store `{}`: {error}", path.display()))
}

/// The cache on disk, with compiled code and downloads: to list, check and clear it.
#[derive(Debug)]
pub struct Cache {
    code: CodeCache,
    #[cfg(feature = "http")]
    downloads: Option<Downloads>,
}

/// A file in the cache.
#[derive(Debug)]
pub struct CacheEntry {
    file: File,
    size: u64,
    used: SystemTime,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum File {
    /// Code of the module with this SHA-256, in the file of this name.
    Code(String, String),
    #[cfg(feature = "http")]
    Download(String),
}

impl CacheEntry {
    /// The file's path, relative to the cache's directory.
    #[must_use]
    pub fn path(&self) -> String {
        match &self.file {
            File::Code(module, name) => format!("modules/{module}/{name}"),
            #[cfg(feature = "http")]
            File::Download(name) => format!("downloads/modules/{name}"),
        }
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The time at which it was last made or used.
    #[must_use]
    pub fn used(&self) -> SystemTime {
        self.used
    }
}

impl Cache {
    /// Opens the one at `path`; `None` if there is nothing.
    ///
    /// # Errors
    /// It is no directory, may not be read, or others can write to it.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let code = match CodeCache::open(path, false, Readers::Owner) {
            Ok(code) => code,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong_store(path, &error)),
        };
        #[cfg(feature = "http")]
        let downloads = Downloads::open_in(&code.root, path).map_err(failed)?;
        Ok(Some(Self {
            code,
            #[cfg(feature = "http")]
            downloads,
        }))
    }

    /// All files in it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn entries(&self) -> Result<Vec<CacheEntry>, Error> {
        let mut entries: Vec<_> = self
            .code
            .list()
            .map_err(failed)?
            .into_iter()
            .map(|stored| {
                let CachedArtifact { module, name, size, used } = stored;
                CacheEntry { file: File::Code(module, name), size, used }
            })
            .collect();
        #[cfg(feature = "http")]
        entries.extend(
            self.downloads
                .as_ref()
                .map_or(Ok(Vec::new()), Downloads::list)
                .map_err(failed)?
                .into_iter()
                .map(|entry| CacheEntry { file: File::Download(entry.name), size: entry.size, used: entry.modified }),
        );
        entries.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(entries)
    }

    #[cfg(feature = "http")]
    fn downloads(&self) -> io::Result<&Downloads> {
        self.downloads.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Checks that a file is undamaged.
    ///
    /// # Errors
    /// It is damaged.
    pub fn verify(&self, entry: &CacheEntry) -> Result<(), Error> {
        match &entry.file {
            File::Code(module, name) => self.code.verify(module, name).map(drop),
            #[cfg(feature = "http")]
            File::Download(name) => self.downloads().and_then(|downloads| downloads.verify(name)),
        }
        .map_err(failed)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, entry: &CacheEntry) -> Result<(), Error> {
        match &entry.file {
            File::Code(module, name) => self.code.remove(module, name),
            #[cfg(feature = "http")]
            File::Download(name) => self.downloads().and_then(|downloads| downloads.remove(name)),
        }
        .map_err(failed)
    }
}
