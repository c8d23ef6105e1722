//! The configuration, read-only for plugins. Changes by `extism_plugin_config` take effect at once.

use super::arguments::{Env, HostResult, handle_bytes, live_block, named};
use crate::host::fault::Fault;
use crate::host::guest::Guest;

/// The value in a new block; 0 if there is none.
fn get(env: &mut Env<'_>, key: impl FnOnce(&Guest) -> Result<&[u8], Fault>) -> Result<u64, Fault> {
    let guest = env.data_mut();
    let state = guest.state.lock();
    let Some(value) = named(&state.config, key(guest)?, guest.watch)? else { return Ok(0) };
    guest.io.alloc_with(value.as_bytes(), guest.watch)
}

pub(crate) mod v0 {
    use super::{Env, HostResult, live_block};

    pub(crate) fn config_get(mut env: Env<'_>, key: u64) -> HostResult<u64> {
        Ok(super::get(&mut env, |guest| live_block(guest, key))?)
    }
}

pub(crate) mod v1 {
    use super::{Env, HostResult, handle_bytes};

    pub(crate) fn config_get(mut env: Env<'_>, key: u64) -> HostResult<u64> {
        let value = super::get(&mut env, |guest| handle_bytes(guest, key, "config key"));
        env.data_mut().io.release(key);
        Ok(value?)
    }
}
