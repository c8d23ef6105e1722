//! Replaces `send.rs` in builds without HTTP, with the same interface: every request fails.

use std::sync::Arc;

use super::answer::Answer;
use crate::host::fault::Fault;
use crate::host::logs::Logs;
use crate::stop::Watch;

#[derive(Debug)]
pub(crate) struct Network;

impl Network {
    pub(crate) fn new(_: &[String], _: Option<u64>) -> Self {
        Self
    }

    pub(crate) fn ask(self: Arc<Self>, _: &[u8], _: Option<&[u8]>, _: &Logs, _: Watch) -> Result<Answer, Fault> {
        Err(Fault::NoHttp)
    }
}
