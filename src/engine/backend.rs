//! The compilers, and the choice among them for a plugin: by its manifest, else the program (`extism_compiler_set`),
//! else `EXTISM_COMPILER`, else the order of [`BACKENDS`].

use std::ffi::CStr;
use std::time::Duration;

use super::address_space::Memories;
use super::moving_memory::DYNAMIC_GUARD;
use super::{Error, cranelift, llvm, singlepass};
use crate::environment;
use crate::error::Excerpt;
use crate::sync::RwLock;

/// A compiler. One that is not built in is listed too: its code may come from the cache.
#[derive(Debug)]
pub(crate) struct Backend {
    /// The name by which users choose it.
    pub(super) name: &'static CStr,
    /// The compiler's own settings and version, which determine the code.
    pub(super) options: &'static str,
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    /// Whether it compiles SIMD instructions.
    pub(super) simd: bool,
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    /// Checks a module for what makes this compiler panic instead of returning an error.
    pub(super) refuses: Option<Refuse>,
    /// Whether modules that are linked with others must be compiled for memories that can move.
    pub(super) linked_memories_move: bool,
    /// Whether its code calls Wasmer's libcalls through a table in the instance, where `builtins.rs` replaces them.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    pub(super) builtins_are_seen: bool,
    /// Whether it takes as long as LLVM, so that the rewrite has to estimate that compiler's time.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    pub(super) optimises_at_length: bool,
    /// Whether it takes process-wide locks at every compilation, not only at the first.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    pub(super) has_locks: bool,
    /// Whether it allocates memory itself, in C++, and ends the process if the system refuses it.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    pub(super) has_own_memory: bool,
    /// The time in which it compiles a megabyte of any module that the rewrite accepts.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
    pub(super) time_for_megabyte: Duration,
    /// Makes its configuration for a number of threads; `None` if it is not built in.
    pub(super) config: Option<MakeConfig>,
}

/// Takes a module's bytes. Returns why the compiler cannot compile it, or `None` if it can.
pub(super) type Refuse = fn(&[u8]) -> Option<String>;

#[cfg(feature = "compiler")]
pub(super) type MakeConfig = fn(threads: std::num::NonZero<usize>) -> Box<dyn wasmer::sys::CompilerConfig>;
#[cfg(not(feature = "compiler"))]
pub(super) type MakeConfig = std::convert::Infallible;

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

    pub(crate) fn c_name(&self) -> &'static CStr {
        self.name
    }

    /// All that determines the code but module and machine: whether the module is `linked` with others, the kind of its
    /// `memories`, whether it counts instructions (`fuel`), and the `version` of [`Preparation`](super::Preparation).
    pub(super) fn settings(&self, linked: bool, memories: Memories, fuel: bool, version: u32) -> String {
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
pub(crate) fn find(name: &str) -> Option<&'static Backend> {
    let headless = !BACKENDS.iter().any(Backend::is_built_in);
    BACKENDS.iter().find(|backend| backend.name() == name && (headless || backend.is_built_in()))
}

/// Makes `backend` the choice for plugins whose manifest names none; `None` removes the choice.
pub(crate) fn choose(backend: Option<&'static Backend>) {
    *CHOSEN.write() = backend;
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
pub(super) fn by_speed() -> Vec<&'static Backend> {
    let [cranelift, llvm, singlepass] = &BACKENDS;
    vec![llvm, cranelift, singlepass]
}

/// The compilers that can be chosen, as text for errors.
pub(super) fn choices() -> String {
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
        let lock = include_str!("../../Cargo.lock");
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
