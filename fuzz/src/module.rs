//! A generated module as the input of a target.

use std::fmt::{self, Debug, Formatter};

use arbitrary::{Arbitrary, Unstructured};

use extism_testkit::generated;

/// A generated module; `Debug` prints it as text.
pub struct Module(pub Vec<u8>);

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
