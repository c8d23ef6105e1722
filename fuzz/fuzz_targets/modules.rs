//! Generated modules do the same on every built-in compiler, with and without counted instructions, and counts are
//! equal everywhere. If `NO_SKIP` is set, at least two compilers must be built in.
#![no_main]

#[path = "../environment.rs"]
mod environment;
#[path = "../../tests/suite/inline/generated.rs"]
#[expect(dead_code, reason = "the tests and `rewrite` use the rest")]
mod generated;
#[path = "../../tests/suite/host.rs"]
#[expect(dead_code, reason = "it is made for the tests")]
mod host;
#[path = "../module.rs"]
mod module;
#[path = "../../tests/suite/inline/visible.rs"]
mod visible;

use libfuzzer_sys::fuzz_target;

use host::Compiler;
use module::Module;

fuzz_target!(init: begin(), |module: Module| {
    let _ = generated::compare_compilers(&module.0);
});

fn begin() {
    environment::isolate(&[]);
    let compilers: Vec<_> = Compiler::ALL.into_iter().filter(Compiler::is_built_in).map(Compiler::name).collect();
    eprintln!("Compilers: {}", compilers.join(", "));
    let can_skip = std::env::var_os("NO_SKIP").is_none();
    assert!(compilers.len() > 1 || can_skip, "nothing to compare: build with FEATURES=llvm,singlepass");
}
