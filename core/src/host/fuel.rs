//! Fuel: the number of instructions that a call may execute, and as many that making the plugin may. Each begins with
//! the full number. Code that is compiled for it counts them itself (`rewrite/meter.rs`), in one global that all
//! modules of a plugin import. This file sets and reads the global.

use wasmer::{AsStoreMut, Global, Value};

/// The fuel of one plugin.
#[derive(Debug, Clone)]
pub(crate) struct Fuel {
    /// The number of instructions that are left. Below 0, the call has asked for more than it may execute.
    left: Global,
    limit: u64,
}

impl Fuel {
    /// Full fuel for a plugin whose calls may execute `limit` instructions each.
    pub(crate) fn new(store: &mut impl AsStoreMut, limit: u64) -> Self {
        let left = Global::new_mut(store, Value::I64(0));
        let fuel = Self { left, limit };
        fuel.fill(store);
        fuel
    }

    /// The global that the plugin's modules import.
    pub(crate) fn global(&self) -> &Global {
        &self.left
    }

    /// Refills to the limit, for the next call, or the first after the plugin is made.
    pub(crate) fn fill(&self, store: &mut impl AsStoreMut) {
        // Cannot fail: the global is mutable, of this type, and of this store.
        let _ = self.left.set(store, Value::I64(self.most()));
    }

    /// The limit, if the call has asked for more instructions.
    pub(crate) fn exhausted(&self, store: &mut impl AsStoreMut) -> Option<u64> {
        (self.left(store) < 0).then_some(self.limit)
    }

    /// The number of instructions that were executed since the last refill.
    pub(crate) fn used(&self, store: &mut impl AsStoreMut) -> u64 {
        self.most().abs_diff(self.left(store).max(0))
    }

    /// The limit as the global holds it, at most `i64::MAX`: executing so many instructions takes centuries.
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
