//! Modules in which the host's functions are inlined behave as those in which they are called.
#![no_main]

#[path = "../../tests/suite/inline/generated.rs"]
mod generated;
#[path = "../../tests/suite/host.rs"]
#[expect(dead_code, reason = "it is made for the tests")]
mod host;
#[path = "../../tests/suite/inline/visible.rs"]
mod visible;

use std::fmt::{self, Debug, Formatter};

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;

/// Shown as text when something is found.
struct Module(Vec<u8>);

impl<'a> Arbitrary<'a> for Module {
    fn arbitrary(noise: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        generated::module(noise).map(Self)
    }
}

impl Debug for Module {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&wasmprinter::print_bytes(&self.0).unwrap_or_else(|error| error.to_string()))
    }
}

fuzz_target!(|module: Module| {
    let _ = generated::compare(&module.0);
});
