//! Generated modules do the same on every built-in compiler, with and without counted instructions, and counts are
//! equal everywhere. If `NO_SKIP` is set, at least two compilers must be built in.
#![no_main]

use extism_fuzz::environment;
use extism_fuzz::module::Module;
use extism_testkit::generated;
use extism_testkit::host::Compiler;
use libfuzzer_sys::fuzz_target;

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
