//! What the rewrite adds to modules. It is not the plugin's.

/// Changes whenever a module comes out differently than before: compiled code that was kept is for one version.
pub(crate) const REWRITE_VERSION: u32 = 10;

/// The start function, where the module has one.
pub(crate) const START_EXPORT: &str = "extism-wasmer:start";

/// A function, where the module exports none of its own.
pub(crate) const FUNCTION_EXPORT: &str = "extism-wasmer:function";

/// Memory 0, where the module has one.
pub(crate) const MEMORY_EXPORT: &str = "extism-wasmer:memory";

/// The global that is the pointer into the module's own stack, where it can be told.
pub(crate) const STACK_POINTER_EXPORT: &str = "extism-wasmer:stack-pointer";

/// The I/O memory, where it is the module's own, and what that may grow to in pages: no memory of a plugin's has that
/// maximum but by chance.
pub(crate) const IO_MEMORY_EXPORT: &str = "extism-wasmer:io";
pub(crate) const IO_MEMORY_MAX_PAGES: u32 = 65_521;

// Wasmer's LLVM backend takes the length of a memory that moves for 32 bits: at 4 GiB, it would be 0.
const _: () = assert!(IO_MEMORY_MAX_PAGES < 1 << 16);

/// The globals that go with it, in their order.
pub(in crate::guest) const REGISTER_EXPORTS: [&str; 6] = [
    "extism-wasmer:input-offset",
    "extism-wasmer:input-length",
    "extism-wasmer:input-words",
    "extism-wasmer:bound",
    "extism-wasmer:output-offset",
    "extism-wasmer:output-length",
];

/// The custom section that says how much data memory 0 begins with, in bytes, and in how many segments it is, if that is the
/// module's own memory and all instances begin with the same: two numbers of 64 bits, the lowest byte first.
pub(crate) const DATA_SECTION: &str = "extism-wasmer:data";

/// The global that code counts its instructions in, where it does, as an import: module and name.
pub(crate) const FUEL_IMPORT: (&str, &str) = ("extism-wasmer", "fuel");

/// True for the names of exports above.
pub(crate) fn is_reserved(export: &str) -> bool {
    const OTHERS: [&str; 5] = [START_EXPORT, FUNCTION_EXPORT, MEMORY_EXPORT, IO_MEMORY_EXPORT, STACK_POINTER_EXPORT];
    OTHERS.contains(&export) || REGISTER_EXPORTS.contains(&export)
}
