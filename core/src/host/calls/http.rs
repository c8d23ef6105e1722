//! The imports for HTTP requests. `network/` sends the requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::arguments::{Env, HostResult};
use crate::host::fault::Fault;
use crate::host::guest::Guest;
use crate::host::network::Answer;

/// The status of the last answer, 0 before the first.
pub(crate) fn http_status_code(env: Env<'_>) -> u32 {
    u32::from(env.data().state.lock().http_status)
}

/// Sends the request that `query` describes.
fn ask(guest: &Guest, query: &[u8], body: Option<&[u8]>) -> Result<Answer, Fault> {
    let network = Arc::clone(&guest.state.lock().network);
    network.ask(query, body, &guest.logs, guest.watch)
}

/// Records the answer, and puts its body into a new block.
fn take(env: &mut Env<'_>, answer: Answer) -> Result<u64, Fault> {
    let guest = env.data_mut();
    let mut state = guest.state.lock();
    state.http_status = answer.status;
    state.http_headers = if state.keeps_http_headers { answer.headers } else { BTreeMap::new() };
    drop(state);
    guest.io.alloc_with(&answer.body, guest.watch)
}

pub(crate) mod v0 {
    use super::{Env, Fault, HostResult};

    /// A body of 0 is no body.
    pub(crate) fn http_request(mut env: Env<'_>, query: u64, body: u64) -> HostResult<u64> {
        let guest = env.data();
        let block = |offset| guest.io.block(offset).ok_or(Fault::InvalidOffset(offset));
        let query = block(query)?;
        let body = if body == 0 { None } else { Some(block(body)?) };
        let answer = super::ask(guest, query, body)?;
        Ok(super::take(&mut env, answer)?)
    }
}

/// Takes over the blocks of the handles.
pub(crate) mod v1 {
    use super::{Env, Fault, HostResult};
    use crate::error::Message;

    /// A body of 0 is no body.
    pub(crate) fn http_request(mut env: Env<'_>, query: u64, body: u64) -> HostResult<u64> {
        let guest = env.data_mut();
        let mut state = guest.state.lock();
        state.http_status = 0;
        state.http_headers.clear();
        drop(state);
        let block = |handle, what| match handle {
            0 => Ok(None),
            handle => guest.io.block(handle).map(Some).ok_or(Fault::InvalidHandle(what)),
        };
        let answer = super::ask(guest, block(query, "http request")?.unwrap_or_default(), block(body, "http body")?)?;
        guest.io.release(query);
        guest.io.release(body);
        Ok(super::take(&mut env, answer)?)
    }

    /// The headers of the last answer as a JSON object in a new block; 0 before the first answer.
    pub(crate) fn http_headers(mut env: Env<'_>) -> HostResult<u64> {
        let guest = env.data_mut();
        let state = guest.state.lock();
        if state.http_headers.is_empty() {
            return Ok(0);
        }
        let text = serde_json::to_vec(&state.http_headers).map_err(|error| Fault::HttpRequest(Message::of(error)))?;
        Ok(guest.io.alloc_with(&text, guest.watch)?)
    }
}
