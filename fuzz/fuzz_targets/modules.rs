//! Generated modules do the same on every compiler that is built in, with instructions counted and without; and counted, they
//! execute as many.
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

use module::Module;

fuzz_target!(init: environment::isolate(), |module: Module| {
    let _ = generated::compare_compilers(&module.0);
});
