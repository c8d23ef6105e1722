//! A compiler, as the rest of the library sees it: a [`Backend`].

use std::ffi::CStr;
use std::time::Duration;

use crate::sandbox::{DYNAMIC_GUARD, Memories};

/// A compiler. One that is not built in is listed too: its code may come from the cache.
#[derive(Debug)]
#[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "asked when compiling"))]
pub(crate) struct Backend {
    /// The name by which users choose it.
    pub(crate) name: &'static CStr,
    /// The compiler's own settings and version, which determine the code.
    pub(crate) options: &'static str,
    pub(crate) simd: bool,
    /// Checks a module for what makes this compiler panic instead of returning an error.
    pub(crate) refuses: Option<Refuse>,
    /// Whether modules that are linked with others must be compiled for memories that can move.
    pub(crate) linked_memories_move: bool,
    /// Whether its code calls Wasmer's libcalls through a table in the instance, where `sandbox/libcalls.rs` replaces
    /// them.
    pub(crate) libcalls_are_replaced: bool,
    /// Whether it takes as long as LLVM, so that the rewrite has to estimate that compiler's time.
    pub(crate) optimises_at_length: bool,
    /// Whether it takes process-wide locks at every compilation, not only at the first.
    pub(crate) has_locks: bool,
    /// Whether it allocates memory itself, in C++, and ends the process if the system refuses it.
    pub(crate) has_own_memory: bool,
    /// The time in which it compiles a megabyte of any module that the rewrite accepts.
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

/// Part of the settings: raised when other code comes out because of a change to `compile.rs`, or to `tunables.rs`,
/// `stack_probe.rs` or `libcall_thunks.rs` of the sandbox.
const COMPILE_VERSION: u32 = 6;

impl Backend {
    pub(crate) fn name(&self) -> &'static str {
        self.name.to_str().unwrap_or_default()
    }

    /// All that determines the code but module and machine: whether the module is `linked` with others, the kind of its
    /// `memories`, whether it counts instructions (`fuel`), and the `version` of the rewrite (`REWRITE_VERSION`).
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

#[cfg(test)]
mod tests {
    use super::Memories;
    use crate::compiler::list::BACKENDS;

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
