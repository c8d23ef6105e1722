//! libextism on Wasmer for the programs of today: runs untrusted WebAssembly plugins behind the C ABI of Extism 1.x.
//!
//! The C functions in [`ffi`] and those in `extism_capi::ffi` are the whole interface; the header is generated from both.
//! `capi/` has what they share with the library of Extism 0.1.0, `core/` everything that is not C. No program can have
//! both libraries: functions of the same names have other signatures.

mod error_message;
mod failure;
pub mod ffi;
mod id;
mod making;
mod outputs;
mod plugin;
mod registry;
