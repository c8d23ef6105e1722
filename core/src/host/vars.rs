//! Variables: values that a plugin keeps from one call to the next, up to a limit.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::slices;
use crate::stop::Watch;

/// Bytes that each variable counts in addition to its key and value, as in Extism 1.x.
const OVERHEAD: u64 = 48;

/// Limit of all variables together, in bytes, if the manifest has none: that of Extism 0.x.
const DEFAULT_MAX_BYTES: u64 = 100 << 20;

/// The variables of one plugin.
#[derive(Debug)]
pub(crate) struct Vars {
    values: BTreeMap<String, Vec<u8>>,
    /// The sum of their costs in bytes, [`OVERHEAD`] included.
    bytes: u64,
    max_bytes: u64,
}

impl Vars {
    /// No variables. The limit is `max_bytes`: 100 MiB if `None`; 0 disables variables.
    pub(crate) fn new(max_bytes: Option<u64>) -> Self {
        Self { values: BTreeMap::new(), bytes: 0, max_bytes: max_bytes.unwrap_or(DEFAULT_MAX_BYTES) }
    }

    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key).map(Vec::as_slice)
    }

    pub(super) fn remove(&mut self, key: &str) {
        if let Some(value) = self.values.remove(key) {
            self.bytes -= Self::cost(key, &value);
        }
    }

    /// Sets `key`. Fails, and keeps the old value, if all variables together would exceed the limit, the host cannot
    /// allocate a copy, or the plugin shall stop.
    pub(super) fn set(&mut self, key: &str, value: &[u8], watch: Watch) -> Result<(), Fault> {
        if self.max_bytes == 0 {
            return Err(Fault::VarsDisabled);
        }
        let replaced = self.get(key).map_or(0, |old| Self::cost(key, old));
        let needed = self.bytes - replaced + Self::cost(key, value);
        if needed > self.max_bytes {
            return Err(Fault::VarsFull { needed, max: self.max_bytes });
        }
        let value = slices::copy(value, watch)?;
        if let Some(old) = self.values.get_mut(key) {
            *old = value;
        } else {
            let mut owned = String::new();
            owned.try_reserve_exact(key.len()).map_err(|_| Fault::NoRoom(key.len()))?;
            owned.push_str(key);
            self.values.insert(owned, value);
        }
        self.bytes = needed;
        Ok(())
    }

    fn cost(key: &str, value: &[u8]) -> u64 {
        key.len() as u64 + value.len() as u64 + OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Fault, OVERHEAD, Vars};
    use crate::stop::{CodeRanges, Stopper};

    fn set(vars: &mut Vars, key: &str, length: usize) -> Result<(), Fault> {
        let stopper = Stopper::new(Arc::new(CodeRanges::new(Vec::new())));
        vars.set(key, &vec![7; length], stopper.watch())
    }

    #[test]
    fn the_new_total_decides() {
        let mut vars = Vars::new(Some(2 * OVERHEAD + 12));
        set(&mut vars, "a", 5).expect("54 of 108");
        set(&mut vars, "b", 5).expect("108 of 108");
        let error = set(&mut vars, "b", 6).expect_err("109 of 108").to_string();
        assert!(error.contains("Variable store is full") && error.contains("109") && error.contains("108"), "{error}");
        assert_eq!(vars.get("b"), Some([7; 5].as_slice()), "what was there stays");
        vars.remove("a");
        vars.remove("a");
        set(&mut vars, "b", 59).expect("108 of 108");
    }

    #[test]
    fn one_giant_value_does_not_slip_through() {
        assert!(matches!(set(&mut Vars::new(None), "k", 100 << 20), Err(Fault::VarsFull { .. })));
        assert!(set(&mut Vars::new(None), "k", (100 << 20) - 49).is_ok());
    }

    #[test]
    fn zero_disables_them() {
        assert!(matches!(set(&mut Vars::new(Some(0)), "k", 0), Err(Fault::VarsDisabled)));
    }
}
