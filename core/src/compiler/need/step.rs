//! A step in making code, with memory kept free for it.

use crate::compiler::error::Error;
use crate::error::Excerpt;
use crate::reserve::{NoRoom, Reserve};

/// A step in making the code of one module, with memory kept free for it (`crate::reserve`).
#[derive(Debug)]
pub(crate) struct Step<'a> {
    /// The module's name in the manifest.
    module: &'a str,
    /// The step in the words of its error, such as `compile it`.
    what: &'static str,
    /// The memory that is kept free.
    pub(crate) reserve: Reserve,
}

impl<'a> Step<'a> {
    /// Keeps `bytes` bytes free until the step is dropped.
    pub(crate) fn begin(module: &'a str, what: &'static str, bytes: usize) -> Result<Self, Error> {
        let reserve = Reserve::hold(bytes).map_err(|cause| no_room(module, what, cause))?;
        Ok(Self { module, what, reserve })
    }

    /// Fails if the system has refused memory since the beginning.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.reserve.check().map_err(|cause| no_room(self.module, self.what, cause))
    }
}

fn no_room(module: &str, what: &'static str, cause: NoRoom) -> Error {
    Error::NoRoom { module: Excerpt::of(module), what, cause }
}
