//! A WebAssembly module before it is compiled: its bytes, their hashes, and the names that the rewrite adds.

pub(crate) mod bytes;
pub(crate) mod contents;
pub(crate) mod demangle;
pub(crate) mod digest;
pub(crate) mod key;
pub(crate) mod kind;
pub(crate) mod reserved;
