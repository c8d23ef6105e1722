//! The types of host functions, as C sees them.

use std::ffi::c_void;

/// A number of bytes, or of elements.
pub type ExtismSize = u64;

/// The place of a block in a plugin's memory for input and output, in bytes from that memory's begin. 0 is no block.
pub type ExtismMemoryHandle = u64;

/// The type of a value that a host function takes or returns. Only the first four can be used: a plugin with a host
/// function that has another one cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ExtismValType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer. Handles of blocks are of this type.
    I64,
    /// A 32-bit float.
    F32,
    /// A 64-bit float.
    F64,
    /// A vector. Cannot be used.
    V128,
    /// A reference to a function. Cannot be used.
    FuncRef,
    /// A reference to an object of the host. Cannot be used.
    ExternRef,
}

/// A value without its type.
#[derive(Clone, Copy)]
#[repr(C)]
pub union ExtismValUnion {
    /// The value of an `I32`.
    pub i32: i32,
    /// The value of an `I64`.
    pub i64: i64,
    /// The value of an `F32`.
    pub f32: f32,
    /// The value of an `F64`.
    pub f64: f64,
}

/// A value that a host function takes or returns.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct ExtismVal {
    /// The type, which is set in arguments and in results. Changing that of a result has no effect.
    pub t: ExtismValType,
    /// The value: the member of type `t`.
    pub v: ExtismValUnion,
}

/// A function of the program that plugins can call. Made by `extism_function_new`, freed by `extism_function_free`; its
/// contents are private. Any thread may use it.
pub struct ExtismFunction {
    _private: (),
}

/// The plugin that calls a host function, for the time of that call and on its thread. Each call of a host function gets
/// another pointer. At other times, and on other threads, functions recognise it, do nothing and return 0 or NULL. Do not
/// keep it all the same: a pointer comes again on its thread, after 4096 calls of host functions at the earliest.
pub struct ExtismCurrentPlugin {
    _private: (),
}

/// The work of a host function. It runs on the thread that called the plugin, and may use the library, also this plugin
/// as far as its functions say so. It must return: no exception and no `longjmp` may leave it.
///
/// @param plugin The plugin that calls, until the return.
/// @param inputs The arguments, `n_inputs` of them; NULL if there are none.
/// @param outputs The place for the results, `n_outputs` of them; NULL if there are none. Their types are set, and their
///                values are 0. Only the member `v` counts at the return.
/// @param data The `user_data` of `extism_function_new`.
pub type ExtismFunctionType = Option<
    unsafe extern "C" fn(
        plugin: *mut ExtismCurrentPlugin,
        inputs: *const ExtismVal,
        n_inputs: ExtismSize,
        outputs: *mut ExtismVal,
        n_outputs: ExtismSize,
        data: *mut c_void,
    ),
>;
