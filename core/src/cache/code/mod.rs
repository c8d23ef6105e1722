//! The cache on disk for compiled code, shared by processes. A [`CodeCache`] is an open one.
//!
//! ```text
//! modules/SHA-256/BACKEND-SETTINGS-TARGET-FEATURES    a sealed artifact
//! by-blake3/BLAKE3                                    a link that holds the SHA-256 of the same module
//! ```
//!
//! A module is looked up by its SHA-256 if that is known, as from a manifest, else by its BLAKE3, which takes a
//! fraction of the time. SETTINGS is a hash of all else that determines the code. FEATURES are the CPU features that it
//! uses: the machine must have them all. Any fault of the cache is a miss and a line in the log. If there is no
//! compiler either, the plugin's error names the first fault.
//!
//! Start with `lookup.rs`. `wanted.rs` has the names of files; `upkeep.rs` writes, lists and evicts.

mod lookup;
#[cfg(feature = "compiler")]
mod upkeep;
mod wanted;

pub(crate) use super::directory::warn;
pub(crate) use lookup::CodeCache;
#[cfg(feature = "compiler")]
pub(crate) use upkeep::CachedArtifact;
pub(crate) use wanted::WantedArtifact;
