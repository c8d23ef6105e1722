//! Variables: values that a plugin keeps from one call to the next, up to a limit.

use std::collections::BTreeMap;

use super::{Env, Fault, Guest, HostResult, live_block, utf8};

use crate::host::slices;
use crate::stop::Watch;

/// Bytes that each variable counts in addition to its key and value, as in Extism 1.x.
const OVERHEAD: u64 = 48;

/// The longest name of a variable, in bytes: comparing names in the map has no yield point.
pub(crate) const MAX_NAME: usize = slices::SLICE;

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

    fn get(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key).map(Vec::as_slice)
    }

    fn remove(&mut self, key: &str) {
        if let Some(value) = self.values.remove(key) {
            self.bytes -= Self::cost(key, &value);
        }
    }

    /// Sets `key`. Fails, and keeps the old value, if all variables together would exceed the limit, the host cannot
    /// allocate a copy, or the plugin shall stop.
    fn set(&mut self, key: &str, value: &[u8], watch: Watch) -> Result<(), Fault> {
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

/// A variable's name, as a plugin gives it.
enum Name<'a> {
    Text(&'a str),
    /// A name of so many bytes, more than any variable has.
    TooLong(usize),
}

fn name(bytes: &[u8]) -> Result<Name<'_>, Fault> {
    if bytes.len() > MAX_NAME { Ok(Name::TooLong(bytes.len())) } else { utf8(bytes).map(Name::Text) }
}

/// Sets a variable; removes it if `value` is `None`.
fn set(guest: &Guest, name: Name<'_>, value: Option<&[u8]>) -> Result<(), Fault> {
    let vars = &mut guest.state.lock().vars;
    match (name, value) {
        (Name::Text(name), Some(value)) => vars.set(name, value, guest.watch),
        (Name::TooLong(length), Some(_)) => Err(Fault::VarName(length)),
        (Name::Text(name), None) => {
            vars.remove(name);
            Ok(())
        }
        (Name::TooLong(_), None) => Ok(()),
    }
}

/// The variable's value in a new block; 0 if there is none.
fn get(env: &mut Env<'_>, key: impl FnOnce(&Guest) -> Result<&[u8], Fault>) -> Result<u64, Fault> {
    let (guest, mut store) = env.data_and_store_mut();
    let state = guest.state.lock();
    let Name::Text(key) = name(key(guest)?)? else { return Ok(0) };
    let Some(value) = state.vars.get(key) else { return Ok(0) };
    guest.io.alloc_with(&mut store, value, guest.watch)
}

pub(crate) mod v0 {
    use super::{Env, HostResult, live_block};

    pub(crate) fn var_get(mut env: Env<'_>, key: u64) -> HostResult<u64> {
        Ok(super::get(&mut env, |guest| live_block(guest, key))?)
    }

    /// A value of 0 removes the variable.
    pub(crate) fn var_set(env: Env<'_>, key: u64, value: u64) -> HostResult<()> {
        let guest = env.data();
        let name = super::name(live_block(guest, key)?)?;
        let value = if value == 0 { None } else { Some(live_block(guest, value)?) };
        Ok(super::set(guest, name, value)?)
    }
}

/// Takes over the blocks of the handles. `var_get` allocates first, so that the value does not take the key's place.
pub(crate) mod v1 {
    use super::{Env, HostResult};
    use crate::host::calls::handle_bytes;

    pub(crate) fn var_get(mut env: Env<'_>, key: u64) -> HostResult<u64> {
        let value = super::get(&mut env, |guest| handle_bytes(guest, key, "var key"));
        env.data_mut().io.release(key);
        Ok(value?)
    }

    /// A value of 0 removes the variable.
    pub(crate) fn var_set(mut env: Env<'_>, key: u64, value: u64) -> HostResult<()> {
        let guest = env.data_mut();
        let name = super::name(handle_bytes(guest, key, "var key")?)?;
        let bytes = if value == 0 { Ok(None) } else { handle_bytes(guest, value, "var value").map(Some) };
        let result = bytes.and_then(|bytes| super::set(guest, name, bytes));
        guest.io.release(key);
        guest.io.release(value);
        Ok(result?)
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
