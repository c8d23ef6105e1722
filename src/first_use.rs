//! What is done once, when the library is first used: everything that would read the environment later does so now, while the
//! program is likely to have no other threads (`environment.rs` says why).
//!
//! What is left to the C library: looking up a host by name reads `RES_OPTIONS` and `LOCALDOMAIN`, and an error of the system's is
//! put into words with `LANGUAGE`, where the program has set a locale.

use std::sync::Once;

#[cfg(feature = "compiler")]

use crate::{compiler, environment};
#[cfg(feature = "http")]
use crate::http;

/// Called by each function of the C interface that can be the first, but not by those that need a context.
pub(crate) fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        environment::read();
        #[cfg(feature = "http")]
        http::begin();
        #[cfg(feature = "compiler")]
        compiler::begin();
    });
}
