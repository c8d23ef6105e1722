//! The place that a module comes from, for the text of errors.

use std::fmt;

use crate::error::Excerpt;
use crate::module::contents::Contents;

/// Where a module comes from, as errors say it.
#[derive(Debug)]
pub(crate) enum ModuleOrigin {
    /// The manifest or the caller, which gave the bytes of the module of this name.
    Given(Excerpt),
    /// A file or an address.
    Place(Excerpt),
}

impl ModuleOrigin {
    /// The file that `contents` are in, else the module called `name`.
    pub(super) fn of(contents: &Contents, name: &str) -> Self {
        match contents.path() {
            Some(path) => Self::Place(Excerpt::of(path.display())),
            None => Self::Given(Excerpt::of(name)),
        }
    }
}

impl fmt::Display for ModuleOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(name) => write!(f, "module `{name}`"),
            Self::Place(place) => write!(f, "`{place}`"),
        }
    }
}
