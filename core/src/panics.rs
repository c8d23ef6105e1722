//! Keeps caught panics, of this library and its dependencies, off the host's standard error.
//!
//! Rust calls the process's single panic hook on the panicking thread, before anything can catch the panic. The library
//! replaces it once, by a hook that forwards only the host's own panics: those on threads outside the library.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, Location};
use std::sync::Once;
#[cfg(feature = "compiler")]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::stop;

thread_local! {
    /// The number of calls of [`quietly`] that are active on this thread.
    static QUIET: Cell<u32> = const { Cell::new(0) };
}

/// Runs `work` without reporting its panics, which the library's entry point catches. Plugins' runs do not need it
/// ([`stop::is_running_here`]).
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            QUIET.set(QUIET.get().saturating_sub(1));
        }
    }
    install();
    QUIET.set(QUIET.get().saturating_add(1));
    let _inside = Inside;
    work()
}

/// Runs `work`, which compiles on this thread and on threads of a pool. Returns its panic.
///
/// # Errors
/// `work` panics.
#[cfg(feature = "compiler")]
pub(crate) fn catch_compiler<T>(work: impl FnOnce() -> T) -> thread::Result<T> {
    struct Compiling;
    impl Drop for Compiling {
        fn drop(&mut self) {
            COMPILING.fetch_sub(1, Ordering::Relaxed);
        }
    }
    COMPILING.fetch_add(1, Ordering::Relaxed);
    let _compiling = Compiling;
    quietly(|| panic::catch_unwind(panic::AssertUnwindSafe(work)))
}

/// The message of a panic.
pub fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

/// Installs the hook, once. If the host installs another one later, that one is called for all panics.
fn install() {
    static INSTALLED: Once = Once::new();
    // The standard library panics if a panicking thread changes the hook.
    if INSTALLED.is_completed() || thread::panicking() {
        return;
    }
    INSTALLED.call_once(cover_hook);
}

/// Replaces the hook by one that forwards to it the panics that the library does not catch.
fn cover_hook() {
    let hosts = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !is_caught(panic.location()) {
            hosts(panic);
        }
    }));
}

/// True if the library catches the panic at `location` on this thread.
fn is_caught(location: Option<&Location<'_>>) -> bool {
    let is_quiet = QUIET.try_with(Cell::get).unwrap_or(0) > 0;
    is_quiet || stop::is_running_here() || is_compilers(location)
}

/// The number of threads that compile at the moment. Only then can a pool's thread panic inside a compiler.
#[cfg(feature = "compiler")]
static COMPILING: AtomicUsize = AtomicUsize::new(0);

/// True if the panic at `location` comes from a compiler on a thread of its pool.
#[cfg(feature = "compiler")]
fn is_compilers(location: Option<&Location<'_>>) -> bool {
    COMPILING.load(Ordering::Relaxed) > 0
        && rayon::current_thread_index().is_some()
        && location.is_some_and(|location| is_of_compiler(location.file()))
}

#[cfg(not(feature = "compiler"))]
fn is_compilers(_: Option<&Location<'_>>) -> bool {
    false
}

/// True if a source file belongs to a compiler, or to a library that only compilers use here: a directory above it is
/// named after the crate and its version.
#[cfg(feature = "compiler")]
fn is_of_compiler(file: &str) -> bool {
    const CRATES: [&str; 9] =
        ["wasmer", "cranelift", "regalloc2", "inkwell", "llvm-sys", "dynasm", "gimli", "object", "target-lexicon"];
    let mut directories = file.split(['/', '\\']);
    directories.any(|name| name.contains('-') && CRATES.iter().any(|of| name.starts_with(of)))
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::{catch_compiler, cover_hook, is_of_compiler, message, quietly};
    use std::panic;
    use std::sync::Mutex;
    use std::thread;

    #[test]
    fn a_compilers_files_are_known() {
        let of_cargo =
            |rest: &str| format!("/home/somebody/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/{rest}");
        assert!(is_of_compiler(&of_cargo("wasmer-compiler-cranelift-7.4.2/src/compiler.rs")));
        assert!(is_of_compiler(&of_cargo("cranelift-codegen-0.134.0/src/isa/x64/lower.rs")));
        assert!(is_of_compiler("/usr/src/vendor/regalloc2-0.15.0/src/lib.rs"));
        assert!(!is_of_compiler(&of_cargo("serde_json-1.0.0/src/lib.rs")));
        assert!(!is_of_compiler("src/objects/wasmer.rs"));
    }

    /// One test, because a process has one hook.
    #[test]
    fn only_panics_that_the_library_does_not_catch_reach_the_hosts_hook() {
        static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let text = message(panic.payload()).to_owned();
            if text.starts_with("seen?") {
                SEEN.lock().expect("no panic with it").push(text);
            } else {
                before(panic);
            }
        }));
        // Another test may have installed the library's hook already.
        cover_hook();
        let panics = |text: &'static str| assert!(thread::spawn(move || panic!("{text}")).join().is_err());
        assert!(catch_compiler(|| panic!("seen? caught")).is_err());
        assert!(panic::catch_unwind(|| quietly(|| panic!("seen? quiet"))).is_err());
        panics("seen? the host's");
        quietly(|| panics("seen? on another thread"));
        // On the host's thread pool: the panic counts as the host's, because this file belongs to no compiler.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
        assert!(catch_compiler(|| pool.install(|| panic!("seen? on the host's pool"))).is_err());
        let seen = SEEN.lock().expect("no panic with it");
        assert_eq!(*seen, ["seen? the host's", "seen? on another thread", "seen? on the host's pool"]);
    }
}
