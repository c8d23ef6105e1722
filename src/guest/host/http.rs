//! HTTP requests by plugins.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Env, Fault, HostResult};

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// The status of the last answer, 0 before the first.
pub(in crate::guest) fn http_status_code(env: Env<'_>) -> u32 {
    u32::from(env.data().state.lock().http_status)
}

/// Sends a request; its answer's body becomes a block.
fn request(env: &mut Env<'_>, query: Vec<u8>, body: Option<Vec<u8>>) -> Result<u64, Fault> {
    let (guest, mut store) = env.data_and_store_mut();
    let network = Arc::clone(&guest.state.lock().network);
    let answer = network.ask(query, body, guest.deadline, guest.watch)?;
    let mut state = guest.state.lock();
    state.http_status = answer.status;
    state.http_headers = answer.headers;
    drop(state);
    let length = answer.body.len() as u64;
    guest.io.alloc_with(&mut store, &answer.body).ok_or(Fault::OutOfMemory(length))
}

pub(in crate::guest) mod v0 {
    use super::{Env, HostResult};
    use crate::guest::host::live_block;

    /// A body of 0 is none.
    pub(in crate::guest) fn http_request(mut env: Env<'_>, query: u64, body: u64) -> HostResult<u64> {
        let guest = env.data();
        let query = live_block(guest, query)?;
        let body = match body {
            0 => None,
            offset => Some(live_block(guest, offset)?),
        };
        Ok(super::request(&mut env, query, body)?)
    }
}

/// Handles become the host's.
pub(in crate::guest) mod v1 {
    use super::{Env, Fault, HostResult};
    use crate::guest::host::handle_bytes;

    /// A body of 0 is none.
    pub(in crate::guest) fn http_request(mut env: Env<'_>, query: u64, body: u64) -> HostResult<u64> {
        let guest = env.data_mut();
        let text = handle_bytes(guest, query, "http request")?;
        let content = match body {
            0 => None,
            handle => Some(handle_bytes(guest, handle, "http body")?),
        };
        guest.io.release(query);
        guest.io.release(body);
        let mut state = guest.state.lock();
        state.http_status = 0;
        state.http_headers.clear();
        drop(state);
        Ok(super::request(&mut env, text, content)?)
    }

    /// The headers of the last answer as a JSON object; 0 before the first.
    pub(in crate::guest) fn http_headers(mut env: Env<'_>) -> HostResult<u64> {
        let (guest, mut store) = env.data_and_store_mut();
        let state = guest.state.lock();
        if state.http_headers.is_empty() {
            return Ok(0);
        }
        let text = serde_json::to_vec(&state.http_headers).map_err(|error| Fault::HttpRequest(error.to_string()))?;
        Ok(guest.io.alloc_with(&mut store, &text).ok_or(Fault::OutOfMemory(text.len() as u64))?)
    }
}
