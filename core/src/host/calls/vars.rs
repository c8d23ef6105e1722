//! The imports for variables.

use super::arguments::{Env, HostResult, handle_bytes, live_block, utf8};
use crate::host::fault::Fault;
use crate::host::guest::Guest;
use crate::host::slices;

/// The longest name of a variable, in bytes: comparing names in the map has no yield point.
const MAX_NAME: usize = slices::SLICE;

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
        (Name::TooLong(length), Some(_)) => Err(Fault::VarName { length, max: MAX_NAME }),
        (Name::Text(name), None) => {
            vars.remove(name);
            Ok(())
        }
        (Name::TooLong(_), None) => Ok(()),
    }
}

/// The variable's value in a new block; 0 if there is none.
fn get(env: &mut Env<'_>, key: impl FnOnce(&Guest) -> Result<&[u8], Fault>) -> Result<u64, Fault> {
    let guest = env.data_mut();
    let state = guest.state.lock();
    let Name::Text(key) = name(key(guest)?)? else { return Ok(0) };
    let Some(value) = state.vars.get(key) else { return Ok(0) };
    guest.io.alloc_with(value, guest.watch)
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
    use super::{Env, HostResult, handle_bytes};

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
