//! The compilers, and the choice among them for a plugin: by its manifest, else the program (`extism_compiler_set`),
//! else `EXTISM_COMPILER`, else the order of [`BACKENDS`].

use std::ffi::CStr;
use std::time::Duration;

use super::error::Error;
use super::{cranelift, llvm, singlepass};
use crate::environment;
use crate::error::Excerpt;
use crate::sandbox::{DYNAMIC_GUARD, Memories};
use crate::sync::RwLock;

/// A compiler. One that is not built in is listed too: its code may come from the cache.
#[derive(Debug)]
pub(crate) struct Backend {
    /// The name by which users choose it.
    pub(crate) name: &'static CStr,
    /// The compiler's own settings and version, which determine the code.
    pub(crate) options: &'static str,
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    /// Whether it compiles SIMD instructions.
    pub(crate) simd: bool,
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    /// Checks a module for what makes this compiler panic instead of returning an error.
    pub(crate) refuses: Option<Refuse>,
    /// Whether modules that are linked with others must be compiled for memories that can move.
    pub(crate) linked_memories_move: bool,
    /// Whether its code calls Wasmer's libcalls through a table in the instance, where `builtins.rs` replaces them.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    pub(crate) builtins_are_seen: bool,
    /// Whether it takes process-wide locks at every compilation, not only at the first.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    pub(crate) has_locks: bool,
    /// Whether it allocates memory itself, in C++, and ends the process if the system refuses it.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    pub(crate) has_own_memory: bool,
    /// The time in which it compiles a megabyte of any module that the rewrite accepts.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    pub(crate) time_for_megabyte: Duration,
    /// Makes its configuration for a number of threads; `None` if it is not built in.
    pub(crate) config: Option<MakeConfig>,
}

/// Takes a module's bytes. Returns why the compiler cannot compile it, or `None` if it can.
pub(crate) type Refuse = fn(&[u8]) -> Option<String>;

#[cfg(feature = "compiler")]
pub(crate) type MakeConfig = fn(threads: std::num::NonZero<usize>) -> Box<dyn wasmer::sys::CompilerConfig>;
#[cfg(not(feature = "compiler"))]
pub(crate) type MakeConfig = std::convert::Infallible;

/// All compilers. The first that is built in is the default.
static BACKENDS: [Backend; 3] = [cranelift::BACKEND, llvm::BACKEND, singlepass::BACKEND];

/// Part of the settings: raised when `compile.rs`, `tunables.rs` or `room.rs` change what code comes out.
const COMPILE_VERSION: u32 = 6;

/// The program's choice, if it has made one.
static CHOSEN: RwLock<Option<&'static Backend>> = RwLock::new(None);

impl Backend {
    pub(crate) fn name(&self) -> &'static str {
        self.name.to_str().unwrap_or_default()
    }

    /// All that determines the code but module and machine: whether the module is `linked` with others, the kind of its
    /// `memories`, whether it counts instructions (`fuel`), and the `version` of [`Preparation`](crate::code::Preparation).
    pub(crate) fn settings(&self, linked: bool, memories: Memories, fuel: bool, version: u32) -> String {
        let fuel = if fuel { ", fuel" } else { "" };
        let linked = if linked { "linked" } else { "alone" };
        let memories = match memories {
            Memories::Moving => format!("{linked}, memories move before {DYNAMIC_GUARD} bytes"),
            Memories::Reserved => format!("{linked}, moving memories before {DYNAMIC_GUARD} bytes"),
        };
        format!(
            "extism-wasmer {}, wasmer {}, {} {}, compile {COMPILE_VERSION}, rewrite {version}, {memories}{fuel}",
            env!("CARGO_PKG_VERSION"),
            env!("WASMER_VERSION"),
            self.name(),
            self.options,
        )
    }

    /// The time that compiling `bytes` bytes may take, however short a plugin's timeout is: timeouts suit calls, and
    /// code would never be made within them. Several times what the compiler needs on an idle machine.
    #[cfg(feature = "compiler")]
    pub(crate) fn time_for(&self, bytes: u64) -> Duration {
        const FOR_ALL: Duration = Duration::from_secs(5);
        let megabytes = u32::try_from(bytes / 1_000_000).unwrap_or(u32::MAX).saturating_add(1);
        self.time_for_megabyte.saturating_mul(megabytes).saturating_add(FOR_ALL)
    }

    pub(crate) fn is_built_in(&self) -> bool {
        self.config.is_some()
    }
}

/// All compilers, built in or not.
#[cfg(feature = "compiler")]
pub(crate) fn backends() -> impl Iterator<Item = &'static Backend> {
    BACKENDS.iter()
}

/// The compiler called `name`, if users can choose it: only built-in ones can be chosen. In a library without compilers
/// all can, as their code may come from the cache.
fn find(name: &str) -> Option<&'static Backend> {
    let headless = !BACKENDS.iter().any(Backend::is_built_in);
    BACKENDS.iter().find(|backend| backend.name() == name && (headless || backend.is_built_in()))
}

/// Whether the compiler called `name` is built in.
#[must_use]
pub fn is_built_in(name: &str) -> bool {
    find(name).is_some_and(Backend::is_built_in)
}

/// Makes the compiler called `name` the choice for plugins whose manifest names none. `None` takes the choice back. False
/// if there is no such compiler; the choice then stays as it was.
#[must_use]
pub fn choose(name: Option<&str>) -> bool {
    let backend = name.and_then(find);
    let is_known = name.is_none() || backend.is_some();
    if is_known {
        *CHOSEN.write() = backend;
    }
    is_known
}

/// The name of the compiler for the next plugin whose manifest names none; `headless` if no compiler is built in and none
/// was chosen; `None` if the environment names one that is not there.
pub fn chosen() -> Option<&'static CStr> {
    select(None).ok().map(|backend| backend.map_or(c"headless", |backend| backend.name))
}

/// The compiler for a plugin whose manifest names `wanted`. `None` in a library without compilers, if none is named or
/// chosen.
///
/// # Errors
/// The manifest or the environment names one that cannot be chosen.
pub(crate) fn select(wanted: Option<&str>) -> Result<Option<&'static Backend>, Error> {
    if let Some(name) = wanted {
        return named("the manifest's compiler", name).map(Some);
    }
    if let Some(chosen) = *CHOSEN.read() {
        return Ok(Some(chosen));
    }
    match environment::COMPILER.value() {
        Some(name) => named("EXTISM_COMPILER", name).map(Some),
        None => Ok(BACKENDS.iter().find(|backend| backend.is_built_in())),
    }
}

/// The compiler called `name`; `by` is the setting that names it, for the error.
///
/// # Errors
/// It cannot be chosen.
pub(crate) fn named(by: &'static str, name: &str) -> Result<&'static Backend, Error> {
    find(name).ok_or_else(|| Error::UnknownBackend { by, name: Excerpt::of(name) })
}

/// All compilers, those with the fastest code first.
pub(crate) fn by_speed() -> Vec<&'static Backend> {
    let [cranelift, llvm, singlepass] = &BACKENDS;
    vec![llvm, cranelift, singlepass]
}

/// The compilers that can be chosen, as text for errors.
pub(crate) fn choices() -> String {
    let names = |of: &mut dyn Iterator<Item = &Backend>| of.map(Backend::name).collect::<Vec<_>>().join(", ");
    match names(&mut BACKENDS.iter().filter(|backend| backend.is_built_in())).as_str() {
        "" => format!("no compiler is built in; code can come from {}", names(&mut BACKENDS.iter())),
        built_in => format!("built in: {built_in}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{BACKENDS, Memories};

    #[test]
    fn settings_name_the_versions_that_are_locked() {
        let lock = include_str!("../../../Cargo.lock");
        let is_locked =
            |name: &str, version: &str| lock.contains(&format!("\nname = \"{name}\"\nversion = \"{version}\"\n"));
        assert!(is_locked("wasmer", env!("WASMER_VERSION")));
        assert!(is_locked("cranelift-codegen", env!("CRANELIFT_VERSION")));
        assert!(is_locked("llvm-sys", env!("LLVM_SYS_VERSION")));
        assert!(is_locked("wasmer-compiler-singlepass", env!("SINGLEPASS_VERSION")));
    }

    #[test]
    fn whatever_decides_the_code_is_in_the_settings() {
        let mut all: Vec<String> = Vec::new();
        for backend in &BACKENDS {
            for (fuel, version) in [(false, 1), (true, 1), (false, 2)] {
                all.push(backend.settings(false, Memories::Reserved, fuel, version));
            }
            all.push(backend.settings(true, Memories::Reserved, false, 1));
            all.extend([true, false].map(|linked| backend.settings(linked, Memories::Moving, false, 1)));
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "{all:?}");
    }
}
