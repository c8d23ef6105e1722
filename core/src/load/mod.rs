//! Turns a manifest entry into the verified bytes of a WebAssembly module. The bytes are not interpreted before their
//! hash was compared with the manifest's. Start with [`load`].
//!
//! This room does not know what a module imports or how it is compiled.

#[cfg(feature = "http")]
mod download;
#[cfg(not(feature = "http"))]
mod download_absent;
mod error;
mod module;
mod own_memory;
#[cfg(feature = "compiler")]
mod text;

#[cfg(not(feature = "http"))]
use download_absent as download;
pub(crate) use error::Error;
#[cfg(feature = "compiler")]
pub(crate) use error::ModuleOrigin;
#[cfg(not(feature = "compiler"))]
pub(crate) use module::expected_hash;
#[cfg(feature = "compiler")]
pub(crate) use module::read;
pub(crate) use module::{LoadedModule, load};
