//! Stands in the place of `make.rs` where there is no compiler: nothing is made.

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
