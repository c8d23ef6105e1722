//! The common part of the functions that make plugins.

use std::ffi::c_char;
use std::ptr;

use crate::error_message;
use crate::making::{Error, Parts};
use crate::registry;
use extism_capi::arg;
use extism_capi::boolean::BoolArg;
use extism_capi::ffi::{ExtismFunction, ExtismSize, collect};
use extism_capi::guard::{caught, guard_use};
use extism_capi::log;
use extism_capi::thread_end::Use;

/// The arguments of a function that makes a plugin or a compiled plugin.
#[derive(Clone, Copy)]
pub(super) struct Arguments {
    pub(super) wasm: *const u8,
    pub(super) wasm_size: ExtismSize,
    pub(super) functions: *mut *const ExtismFunction,
    pub(super) n_functions: ExtismSize,
    pub(super) with_wasi: BoolArg,
    pub(super) fuel_limit: Option<u64>,
}

impl Arguments {
    /// Reads what C passes, and calls `make` with it.
    ///
    /// # Errors
    /// Something cannot be used, or `make` fails.
    ///
    /// # Safety
    /// `wasm` must be NULL or point to `wasm_size` readable bytes, `functions` must be NULL or point to `n_functions`
    /// readable pointers.
    pub(super) unsafe fn read<T>(self, make: impl FnOnce(Parts<'_>) -> Result<T, Error>) -> Result<T, Error> {
        // SAFETY: the caller promises it.
        let functions = unsafe { collect(self.functions, self.n_functions) }?;
        // SAFETY: as above.
        let input = unsafe { arg::bytes("wasm", self.wasm, self.wasm_size) }?;
        make(Parts { input, functions, with_wasi: self.with_wasi.into(), fuel: self.fuel_limit })
    }
}

/// Runs `make`, which makes what a token stands for, and returns the token as a pointer. If it fails or panics, the text of
/// why is put into `errmsg`, and the pointer is NULL. On a thread that is ending, another thread does all this.
///
/// # Safety
/// `errmsg` must be NULL or point to a pointer that may be written.
pub(super) unsafe fn create<T>(errmsg: *mut *mut c_char, make: &impl Fn() -> Result<usize, Error>) -> *mut T {
    let fail = |text: String| {
        log::note_failure_v1(None, &text);
        if !errmsg.is_null() {
            // SAFETY: the caller promises it. It may be uninitialised, and is not read.
            unsafe { errmsg.write(error_message::keep(&text)) };
        }
    };
    // SAFETY: the caller's promise still holds, as this thread waits for the other.
    let again = || unsafe { create(errmsg, make) };
    guard_use(Use::Other, ptr::null_mut(), again, fail, || {
        let made = caught(|| {
            registry::begin();
            make()
        });
        match made {
            Ok(Ok(token)) => return ptr::without_provenance_mut(token),
            Ok(Err(error)) => fail(error.to_string()),
            Err(panic) => fail(panic.text()),
        }
        ptr::null_mut()
    })
}
