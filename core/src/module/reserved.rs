//! Names of what the rewrite (`rewrite/`) adds to modules. Plugins may not use these names.

/// The rewrite's version, which cached code depends on: raise the number when any module is rewritten differently.
pub(crate) const REWRITE_VERSION: u32 = 10;

/// The export of the start function, in a module that has one.
pub(crate) const START_EXPORT: &str = "extism-wasmer:start";

/// The export of one function, in a module that exports none of its own: through it the host finds the instance.
pub(crate) const FUNCTION_EXPORT: &str = "extism-wasmer:function";

/// The export of memory 0, in a module that has one.
pub(crate) const MEMORY_EXPORT: &str = "extism-wasmer:memory";

/// The export of the global that points into the module's own stack, if it can be found (`rewrite/stack_pointer.rs`).
pub(crate) const STACK_POINTER_EXPORT: &str = "extism-wasmer:stack-pointer";

/// The export of the I/O memory in a module that owns it, and the memory's maximum in pages. The unusual maximum
/// identifies it: a plugin's other memories have it only by chance.
pub(crate) const IO_MEMORY_EXPORT: &str = "extism-wasmer:io";
pub(crate) const IO_MEMORY_MAX_PAGES: u32 = 65_521;

// Wasmer's LLVM backend reads the length of a memory that can move as 32 bits: at 4 GiB it would read 0.
const _: () = assert!(IO_MEMORY_MAX_PAGES < 1 << 16);

/// The exports of the globals that go with the I/O memory (`host/registers.rs`), in the order of their indices.
pub(crate) const REGISTER_EXPORTS: [&str; 6] = [
    "extism-wasmer:input-offset",
    "extism-wasmer:input-length",
    "extism-wasmer:input-words",
    "extism-wasmer:bound",
    "extism-wasmer:output-offset",
    "extism-wasmer:output-length",
];

/// The custom section about memory 0's initial data: its size in bytes and its number of segments, as two little-endian
/// 64-bit numbers. Absent unless the memory is the module's own and begins with the same data in all instances.
pub(crate) const DATA_SECTION: &str = "extism-wasmer:data";

/// The import (module and name) of the global that instructions are counted in, in code that counts them.
pub(crate) const FUEL_IMPORT: (&str, &str) = ("extism-wasmer", "fuel");

/// True if `export` is one of the export names above.
pub(crate) fn is_reserved(export: &str) -> bool {
    const OTHERS: [&str; 5] = [START_EXPORT, FUNCTION_EXPORT, MEMORY_EXPORT, IO_MEMORY_EXPORT, STACK_POINTER_EXPORT];
    OTHERS.contains(&export) || REGISTER_EXPORTS.contains(&export)
}
