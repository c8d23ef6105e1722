//! Initialisation at the first use of the library. It does everything that would read the environment later, because at
//! first use the program is likely to have a single thread (`environment.rs` says why that matters).
//!
//! The C library still reads the environment itself in two cases: looking up a host by name reads `RES_OPTIONS` and
//! `LOCALDOMAIN`, and the text of a system error depends on `LANGUAGE` if the program has set a locale.

use std::sync::Once;

#[cfg(feature = "compiler")]
use crate::compiler;
use crate::environment;
#[cfg(feature = "http")]
use crate::http;

/// Called by each C function that can be a program's first one. Functions that need a context are never the first.
pub fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        environment::read();
        #[cfg(feature = "http")]
        http::begin();
        #[cfg(feature = "compiler")]
        compiler::begin();
    });
}
