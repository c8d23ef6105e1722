//! Replaces `download.rs` in builds without HTTP: fetching is an error.

use std::sync::Arc;
use std::time::Instant;

use super::error::Error;
use crate::error::Excerpt;
use crate::manifest::Remote;
use crate::module::bytes::ModuleBytes;
use crate::module::digest::Digest;

#[derive(Debug)]
#[expect(dead_code, reason = "nothing is fetched")]
pub(crate) struct WantedModule<'a> {
    pub(crate) remote: &'a Remote,
    pub(crate) expected: Option<Digest>,
    pub(crate) max: u64,
    pub(crate) deadline: Option<Instant>,
}

impl WantedModule<'_> {
    pub(crate) fn load(&self) -> Result<Arc<ModuleBytes>, Error> {
        Err(Error::NoHttp { url: Excerpt::of(&self.remote.url) })
    }
}
