//! How many instructions a call may execute. Code that is compiled for it counts them itself, in a global that all modules of a
//! plugin have in common; here it is set and read.

use wasmer::{AsStoreMut, Global, Value};

/// A plugin's.
#[derive(Debug, Clone)]
pub(crate) struct Fuel {
    /// How many instructions are left; below 0, more were wanted than there were.
    left: Global,
    limit: u64,
}

impl Fuel {
    /// That of a plugin whose calls may execute `limit` instructions.
    pub(super) fn new(store: &mut impl AsStoreMut, limit: u64) -> Self {
        let left = Global::new_mut(store, Value::I64(0));
        let fuel = Self { left, limit };
        fuel.fill(store);
        fuel
    }

    /// What the plugin's modules import.
    pub(super) fn global(&self) -> &Global {
        &self.left
    }

    /// Gives the next call all that it may execute.
    pub(crate) fn fill(&self, store: &mut impl AsStoreMut) {
        // Cannot fail: it is mutable, of this type, and of this store.
        let _ = self.left.set(store, Value::I64(self.most()));
    }

    /// What there was, if more was wanted.
    pub(crate) fn exhausted(&self, store: &mut impl AsStoreMut) -> Option<u64> {
        (self.left(store) < 0).then_some(self.limit)
    }

    /// How many instructions were executed since it was filled.
    pub(crate) fn used(&self, store: &mut impl AsStoreMut) -> u64 {
        self.most().abs_diff(self.left(store).max(0))
    }

    /// More than that take centuries.
    fn most(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX)
    }

    fn left(&self, store: &mut impl AsStoreMut) -> i64 {
        match self.left.get(store) {
            Value::I64(left) => left,
            _ => 0,
        }
    }
}
