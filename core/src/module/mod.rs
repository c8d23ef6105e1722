//! A WebAssembly module before it is compiled: its kind, its bytes, their hashes and keys. Also names: those that the
//! rewrite adds, and those of functions, demangled.

pub(crate) mod bytes;
pub(crate) mod contents;
pub(crate) mod demangle;
pub(crate) mod digest;
pub(crate) mod kind;
pub(crate) mod reserved;
