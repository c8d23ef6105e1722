//! Initialisation at the first use of the library. It does everything that would read the environment later, because at
//! first use the program is likely to have a single thread (`environment/` says why that matters).
//!
//! The C library still reads the environment itself in two cases: looking up a host by name reads `RES_OPTIONS` and
//! `LOCALDOMAIN`, and the text of a system error depends on `LANGUAGE` if the program has set a locale.

#[cfg(feature = "compiler")]
use std::ffi::OsString;
use std::sync::Once;

#[cfg(feature = "compiler")]
use crate::compiler;
use crate::environment;
#[cfg(feature = "compiler")]
use crate::error::Described;
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

/// Makes the library read the environment with `changes` applied, for programs that do not want to change their own.
/// False if the library was used before, which reads the environment: the changes then have no effect.
#[cfg(feature = "compiler")]
#[must_use]
pub fn set_environment<N: Into<OsString>, V: Into<OsString>>(changes: impl IntoIterator<Item = (N, V)>) -> bool {
    environment::read_with(changes.into_iter().map(|(name, value)| (name.into(), value.into())))
}

/// Checks that all variables of the library have values that it can use.
///
/// # Errors
/// A variable has a value that cannot be read; the error names it.
#[cfg(feature = "compiler")]
pub fn check_environment() -> Result<(), Described> {
    environment::check().map_err(Described::of)
}
