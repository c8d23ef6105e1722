//! Replaces `download.rs` in builds without HTTP: fetching is an error.

use std::sync::Arc;
use std::time::Instant;

use super::Error;
use crate::digest::Digest;
use crate::error::Excerpt;
use crate::manifest::Remote;
use crate::module_bytes::ModuleBytes;

#[derive(Debug)]
#[expect(dead_code, reason = "nothing is fetched")]
pub(super) struct Wanted<'a> {
    pub(super) remote: &'a Remote,
    pub(super) expected: Option<Digest>,
    pub(super) max: u64,
    pub(super) deadline: Option<Instant>,
}

impl Wanted<'_> {
    pub(super) fn load(&self) -> Result<Arc<ModuleBytes>, Error> {
        Err(Error::NoHttp { url: Excerpt::of(&self.remote.url) })
    }
}
