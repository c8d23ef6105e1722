//! Runs workloads: one process of the driver for each, with separate caches for each library.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::time::{ClockId, clock_gettime};

use crate::library::{Kind, Library};
use crate::workload::{Mode, Workload};

/// The driver, and the settings of its runs.
pub(crate) struct Bench<'a> {
    driver: PathBuf,
    seconds: f64,
    /// The directory with the libraries' caches, one each.
    caches: PathBuf,
    libraries: &'a [Library],
}

/// A measured number, and the beginning of the plugin's answer.
pub(crate) type Figure = (f64, String);

impl<'a> Bench<'a> {
    /// Uses the driver in `folder`, which also holds the libraries' caches. Removes those of an earlier run.
    pub(crate) fn new(folder: &Path, seconds: f64, libraries: &'a [Library]) -> Result<Self, String> {
        let caches = folder.join("caches");
        if caches.exists() {
            fs::remove_dir_all(&caches).map_err(|error| format!("{}: {error}", caches.display()))?;
        }
        Ok(Self { driver: folder.join("driver"), seconds, caches, libraries })
    }

    /// The guest interface (`v0` or `v1`) of the plugin that a library runs; `None` if it lacks the workload's. Our
    /// libraries have both, and use `v1` if a peer of 1.x is compared, to run the same plugin as it.
    pub(crate) fn guests(&self, workload: &Workload, library: &Library) -> Option<&'static str> {
        let has_v1 = self.libraries.iter().any(|library| library.guests == Some("v1"));
        let default = if has_v1 { "v1" } else { "v0" };
        let guests = workload.guests.or(library.guests).unwrap_or(default);
        library.guests.is_none_or(|only| only == guests).then_some(guests)
    }

    /// Compiles all plugins into the libraries' caches; that of the library without compilers gets LLVM's code.
    pub(crate) fn fill(&self, workloads: &[&Workload]) -> Result<(), String> {
        for library in self.libraries {
            let maker = match library.kind {
                Kind::Headless => self.llvm()?,
                Kind::Compiler | Kind::Peer => library,
                Kind::Engine => continue,
            };
            let cache = self.cache(library);
            let mut filled = BTreeSet::new();
            for workload in workloads {
                let Some(guests) = self.guests(workload, library) else { continue };
                let plugin = workload.plugin_for(guests)?;
                if !filled.insert(plugin.clone()) {
                    continue;
                }
                let figure = self.drive(maker, Some(&cache), "start", &plugin, workload, Some(monotonic()));
                // A peer that fails here reports it when it is measured.
                if library.kind != Kind::Peer {
                    figure?;
                }
            }
        }
        Ok(())
    }

    /// Runs a workload; `None` if the library does not support it.
    pub(crate) fn run(&self, workload: &Workload, library: &Library) -> Result<Option<Figure>, String> {
        if library.kind == Kind::Engine && !workload.is_plain() {
            return Ok(None);
        }
        let Some(guests) = self.guests(workload, library) else { return Ok(None) };
        let plugin = workload.plugin_for(guests)?;
        let cache = self.cache(library);
        let (mode, number) = match workload.mode {
            Mode::Compile if library.kind == Kind::Headless => return Ok(None),
            Mode::Compile => return self.drive(library, None, "new", &plugin, workload, None).map(Some),
            Mode::Size if library.kind != Kind::Compiler => return Ok(None),
            Mode::Size => return self.size(workload, library, &plugin).map(Some),
            Mode::Start => return self.start(workload, library, &plugin).map(Some),
            Mode::New => ("new", None),
            Mode::Use => ("use", None),
            Mode::Call => ("call", None),
            Mode::Processor => ("cpu", None),
            Mode::Resident(plugins) => ("rss", Some(plugins)),
            Mode::Threads => ("threads", None),
            Mode::Scaling => ("scaling", None),
        };
        self.drive(library, Some(&cache), mode, &plugin, workload, number).map(Some)
    }

    /// The median of several processes, because one start is too short to measure well.
    fn start(&self, workload: &Workload, library: &Library, plugin: &str) -> Result<Figure, String> {
        const PROCESSES: usize = 15;
        let cache = self.cache(library);
        let one = |_| self.drive(library, Some(&cache), "start", plugin, workload, Some(monotonic()));
        let mut figures = (0..PROCESSES).map(one).collect::<Result<Vec<_>, _>>()?;
        figures.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Ok(figures.swap_remove(PROCESSES / 2))
    }

    /// The size of a plugin's code, measured in a cache without other code.
    fn size(&self, workload: &Workload, library: &Library, plugin: &str) -> Result<Figure, String> {
        let cache = self.cache(library).join(file_name(workload.name));
        let (_, answer) = self.drive(library, Some(&cache), "start", plugin, workload, Some(monotonic()))?;
        let failed = |error: std::io::Error| format!("{} in {}: {error}", workload.name, cache.display());
        let mut size = 0;
        for module in fs::read_dir(cache.join("modules")).map_err(failed)?.flatten() {
            for file in fs::read_dir(module.path()).map_err(failed)?.flatten() {
                size += file.metadata().map_err(failed)?.len();
            }
        }
        Ok((size as f64, answer))
    }

    /// Runs the driver; without `cache`, all caches are off.
    fn drive(
        &self,
        library: &Library,
        cache: Option<&Path>,
        mode: &str,
        plugin: &str,
        workload: &Workload,
        number: Option<u64>,
    ) -> Result<Figure, String> {
        let mut command = Command::new(&self.driver);
        command.arg(&library.path).args([mode, plugin, workload.function, workload.input]);
        command.arg(self.seconds.to_string()).args(number.map(|number| number.to_string()));
        for variable in ["EXTISM_COMPILER", "EXTISM_CACHE_CONFIG", "EXTISM_CACHE_MEMORY_BYTES"] {
            command.env_remove(variable);
        }
        // Our libraries cache code in this directory, and in memory. Upstream's cache is off if its configuration is
        // empty, and else where caches usually are.
        match cache {
            Some(cache) => {
                fs::create_dir_all(cache).map_err(|error| format!("{}: {error}", cache.display()))?;
                let cache = cache.canonicalize().map_err(|error| format!("{}: {error}", cache.display()))?;
                command.env("EXTISM_CACHE_DIR", &cache).env("XDG_CACHE_HOME", cache);
            }
            None => {
                command
                    .env("EXTISM_CACHE_DIR", "")
                    .env("EXTISM_CACHE_MEMORY_BYTES", "0")
                    .env("EXTISM_CACHE_CONFIG", "");
            }
        }
        let output = command.output().map_err(|error| format!("the driver: {error}"))?;
        let failed = |what: &str| format!("{} on {}: {what}", workload.name, library.name);
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let (figure, answer) = text.trim().split_once('\t').ok_or_else(|| failed("no figure"))?;
        Ok((figure.parse().map_err(|_| failed("no figure"))?, answer.to_owned()))
    }

    fn cache(&self, library: &Library) -> PathBuf {
        self.caches.join(file_name(&library.name))
    }

    fn llvm(&self) -> Result<&Library, String> {
        let llvm = self.libraries.iter().find(|library| library.kind == Kind::Compiler && library.name == "llvm");
        llvm.ok_or_else(|| "the library without compilers runs LLVM's code: add --only llvm".to_owned())
    }
}

fn file_name(name: &str) -> String {
    name.replace(|c: char| !c.is_alphanumeric(), "-")
}

/// The driver's clock, in nanoseconds.
fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
