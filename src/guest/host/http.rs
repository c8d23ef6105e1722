//! HTTP requests by plugins. This build has no client: every request answers so.

use super::{Env, Fault, HostResult};

/// The status of the last answer, 0 before the first.
pub(in crate::guest) fn http_status_code(env: Env<'_>) -> u32 {
    u32::from(env.data().state.lock().http_status)
}

pub(in crate::guest) mod v0 {
    use super::{Env, Fault, HostResult};
    use crate::guest::host::live_block;

    pub(in crate::guest) fn http_request(mut env: Env<'_>, request: u64, body: u64) -> HostResult<u64> {
        let (guest, store) = env.data_and_store_mut();
        live_block(guest, &store, request)?;
        if body != 0 {
            live_block(guest, &store, body)?;
        }
        Err(Fault::NoHttp.into())
    }
}

pub(in crate::guest) mod v1 {
    use super::{Env, Fault, HostResult};
    use crate::guest::host::handle_bytes;

    pub(in crate::guest) fn http_request(mut env: Env<'_>, request: u64, body: u64) -> HostResult<u64> {
        handle_bytes(&mut env, request, "http request")?;
        handle_bytes(&mut env, body, "http body")?;
        env.data().state.lock().http_status = 0;
        Err(Fault::NoHttp.into())
    }

    /// 0: there is no answer whose headers could be shown.
    pub(in crate::guest) fn http_headers(_env: Env<'_>) -> u64 {
        0
    }
}
