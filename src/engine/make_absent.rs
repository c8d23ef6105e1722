//! Replaces `make.rs` in a library without compilers: no code is made or kept.

use super::artifact::Artifact;
use super::request::{Failure, Request};
use super::{Error, Input, Preparation};

pub(super) fn make<E: From<Error>>(
    _: &Request<'_>,
    index: usize,
    _: &Input<'_>,
    _: &Preparation<'_, E>,
) -> Result<Artifact, Failure<E>> {
    Err(Failure::Missing(index))
}

pub(super) fn keep(_: &Request<'_>, _: &Input<'_>, _: &Artifact) -> Result<(), Error> {
    Ok(())
}
