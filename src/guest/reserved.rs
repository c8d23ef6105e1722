//! What the rewrite adds to modules. It is not the plugin's.

/// Changes whenever a module comes out differently than before: compiled code that was kept is for one version.
pub(crate) const REWRITE_VERSION: u32 = 1;

/// The start function, where the module has one.
pub(crate) const START_EXPORT: &str = "extism-wasmer:start";

/// Memory 0, where the module has one.
pub(super) const MEMORY_EXPORT: &str = "extism-wasmer:memory";

/// True for the names above.
pub(crate) fn is_reserved(export: &str) -> bool {
    export == START_EXPORT || export == MEMORY_EXPORT
}
