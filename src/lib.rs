//! libextism on Wasmer: runs untrusted WebAssembly plugins behind the C ABI of Extism 0.1.0.
//!
//! The C functions in [`ffi`] are the whole interface; `extism.h` is generated from them. `capi/` has what they share
//! with the functions of other C libraries, `core/` everything that is not C.

mod context;
pub mod ffi;
