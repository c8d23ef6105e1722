//! A variable of this library: its name, type and default, and the error for a wrong value.

use std::ffi::OsStr;

use thiserror::Error;

use super::snapshot::{Snapshot, snapshot};
use crate::error::Excerpt;

pub(crate) struct Variable<T> {
    pub(super) name: &'static str,
    pub(super) default: T,
    /// True if an empty value counts as set.
    pub(super) may_be_empty: bool,
    /// Reads a value; `None` if it is wrong.
    pub(super) read: fn(&'static OsStr) -> Option<T>,
    /// The end of the error message for a wrong value.
    pub(super) wrong: &'static str,
}

/// A variable whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name}: `{value}` {wrong}")]
pub(crate) struct Error {
    pub(super) name: &'static str,
    value: Excerpt,
    wrong: &'static str,
}

impl<T: Copy> Variable<T> {
    pub(super) const fn new(
        name: &'static str,
        default: T,
        read: fn(&'static OsStr) -> Option<T>,
        wrong: &'static str,
    ) -> Self {
        Self { name, default, may_be_empty: false, read, wrong }
    }

    /// The value; the default if it is unset, or wrong, which `check` reports.
    pub(crate) fn value(&'static self) -> T {
        self.of(snapshot()).unwrap_or(self.default)
    }

    pub(super) fn of(&self, snapshot: &'static Snapshot) -> Result<T, Error> {
        let Some(value) = snapshot.get(self.name, self.may_be_empty) else { return Ok(self.default) };
        let error = || Error { name: self.name, value: Excerpt::of(value.to_string_lossy()), wrong: self.wrong };
        (self.read)(value).ok_or_else(error)
    }
}

/// A variable of any type.
pub(super) trait Checked: Sync {
    fn check(&self, snapshot: &'static Snapshot) -> Result<(), Error>;
    #[cfg(test)]
    fn name(&self) -> &'static str;
}

impl<T: Copy + Sync> Checked for Variable<T> {
    fn check(&self, snapshot: &'static Snapshot) -> Result<(), Error> {
        self.of(snapshot).map(drop)
    }

    #[cfg(test)]
    fn name(&self) -> &'static str {
        self.name
    }
}
