//! Replaces `download.rs` in builds without HTTP: fetching is an error.

use std::sync::Arc;
use std::time::Instant;

use super::error::Error;
use crate::error::Excerpt;
use crate::manifest::Remote;
use crate::module::bytes::ModuleBytes;
use crate::module::digest::Digest;

pub(super) fn load(remote: &Remote, _: Option<Digest>, _: u64, _: Option<Instant>) -> Result<Arc<ModuleBytes>, Error> {
    Err(Error::NoHttp { url: Excerpt::of(&remote.url) })
}
