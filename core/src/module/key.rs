//! Identifies a module by the hashes of its bytes.

use super::digest::Digest;

/// A module's hashes, as far as they are known; at least one is. Two keys are equal only if they have the same hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct ModuleKey {
    /// Given by the manifest, or calculated where the cache on disk needs it.
    pub(crate) sha256: Option<Digest>,
    /// Calculated from the bytes, in a fraction of the time.
    pub(crate) blake3: Option<blake3::Hash>,
}
