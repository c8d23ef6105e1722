//! Modules with inlined host functions behave like those that call them.
#![no_main]

use extism_fuzz::environment;
use extism_fuzz::module::Module;
use extism_testkit::generated;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: environment::isolate(&[]), |module: Module| {
    let _ = generated::compare(&module.0);
});
