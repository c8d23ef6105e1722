//! What the rewrite adds to modules. It is not the plugin's.

/// Changes whenever a module comes out differently than before: compiled code that was kept is for one version.
pub(crate) const REWRITE_VERSION: u32 = 1;

/// The start function, where the module has one.
pub(crate) const START_EXPORT: &str = "extism-wasmer:start";

/// Memory 0, where the module has one.
pub(super) const MEMORY_EXPORT: &str = "extism-wasmer:memory";

/// In code that counts its instructions: how many more it may execute, and whether it has wanted to execute more. The
/// names are those of wasmer-middlewares.
pub(crate) const FUEL_LEFT_EXPORT: &str = "wasmer_metering_remaining_points";
pub(crate) const FUEL_GONE_EXPORT: &str = "wasmer_metering_points_exhausted";

/// True for the names above.
pub(crate) fn is_reserved(export: &str) -> bool {
    [START_EXPORT, MEMORY_EXPORT, FUEL_LEFT_EXPORT, FUEL_GONE_EXPORT].contains(&export)
}
