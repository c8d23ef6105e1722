//! Plugins' HTTP requests, within the limits of their manifests.
//!
//! Start with [`Network`]. In builds without HTTP, `absent.rs` has its place.

#[cfg(not(feature = "http"))]
mod absent;
mod answer;
#[cfg(feature = "http")]
mod hosts;
#[cfg(feature = "http")]
mod notice;
#[cfg(feature = "http")]
mod send;

#[cfg(not(feature = "http"))]
pub(crate) use absent::Network;
pub(super) use answer::Answer;
#[cfg(feature = "http")]
pub(crate) use send::Network;
