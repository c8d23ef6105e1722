//! Reads WAT, WebAssembly's text format.

use std::borrow::Cow;
use std::path::Path;
use std::{panic, thread};

use super::error::Error;
use crate::error::{Excerpt, Message};
use crate::panics;

/// Bytes. The parser calls itself for nested components, types and the like, down to a limit of 100 levels of its own.
/// The parser takes less than 512 KiB in a release build, and is more than the stacks of some hosts' threads. Only the
/// pages that are touched take memory.
const STACK: usize = 4 << 20;

/// The binary form of the module `name`, whose text is `text`. Errors name `path`, if there is one.
pub(super) fn to_binary(name: &str, path: Option<&Path>, text: &[u8]) -> Result<Vec<u8>, Error> {
    let parse = || panics::quietly(|| wat::Parser::new().parse_bytes(path, text).map(Cow::into_owned));
    let parsed = thread::scope(|scope| {
        let thread = thread::Builder::new().name("extism-wat".to_owned()).stack_size(STACK);
        let running = thread.spawn_scoped(scope, parse)?;
        Ok(running.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
    });
    let parsed = parsed.map_err(|cause| Error::NoThread { name: Excerpt::of(name), cause })?;
    parsed.map_err(|error| Error::Wat(Message::of(error)))
}
