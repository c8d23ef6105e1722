//! Modules with inlined host functions behave like those that call them.
#![no_main]

#[path = "../environment.rs"]
mod environment;
#[path = "../../tests/suite/inline/generated.rs"]
#[expect(dead_code, reason = "the tests and `modules` use the rest")]
mod generated;
#[path = "../../tests/suite/host.rs"]
#[expect(dead_code, reason = "it is made for the tests")]
mod host;
#[path = "../module.rs"]
mod module;
#[path = "../../tests/suite/inline/visible.rs"]
mod visible;

use libfuzzer_sys::fuzz_target;

use module::Module;

fuzz_target!(init: environment::isolate(&[]), |module: Module| {
    let _ = generated::compare(&module.0);
});
