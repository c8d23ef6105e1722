//! Texts that the library returns, the log, and the compiler.
#![expect(unsafe_code, reason = "the C functions take pointers")]

use std::ffi::{CStr, c_char};
use std::{ptr, slice};

use extism_v1::ffi;

use crate::arguments::{COMPILERS, FILES, LEVELS, of};
use crate::steps::take_some;
use crate::world::world;

/// A text that the library has returned; `None` for NULL.
pub(crate) fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the library's texts are NUL-terminated, and stay until more is asked for on this thread.
    let text = unsafe { CStr::from_ptr(text) }.to_str().expect("texts are UTF-8").to_owned();
    assert!(!text.starts_with("internal error"), "{text}");
    Some(text)
}

/// Frees a text of `errmsg`, one that was freed before, NULL, or what never was one.
pub(crate) fn free(number: u8) {
    let address = world(|world| {
        let (there, gone) = (world.texts.len(), world.freed_texts.len());
        let number = usize::from(number) % (there + gone + 2);
        if number < there {
            let text = world.texts.remove(number);
            world.freed_texts.push(text);
            text
        } else {
            world.freed_texts.get(number - there).copied().unwrap_or(if number == there + gone { 0 } else { 0x1230 })
        }
    });
    ffi::extism_plugin_new_error_free(ptr::with_exposed_provenance_mut(address));
}

/// Frees all texts of `errmsg`.
pub(crate) fn free_all() {
    for text in world(|world| std::mem::take(&mut world.texts)) {
        ffi::extism_plugin_new_error_free(ptr::with_exposed_provenance_mut(text));
    }
}

/// Sets where the log goes.
pub(crate) fn set_log(level: u8, file: u8) {
    let (level, is_level) = *of(&LEVELS, level);
    let level = level.map_or(ptr::null(), CStr::as_ptr);
    if usize::from(file) % (FILES.len() + 1) == FILES.len() {
        // SAFETY: NULL or a C string.
        assert_eq!(unsafe { ffi::extism_log_custom(level) }, is_level.into());
        return;
    }
    let (file, is_file) = *of(&FILES, (usize::from(file) % (FILES.len() + 1)) as u8);
    // SAFETY: NULL or C strings.
    assert_eq!(unsafe { ffi::extism_log_file(file.as_ptr(), level) }, (is_level && is_file).into());
}

/// Takes the lines of the log, or passes NULL.
pub(crate) fn drain(is_null: bool) {
    // SAFETY: NULL, or a function of this type.
    unsafe { ffi::extism_log_drain(if is_null { None } else { Some(line) }) };
}

unsafe extern "C" fn line(data: *const c_char, size: u64) {
    let size = usize::try_from(size).expect("short");
    // SAFETY: the library promises as many bytes, and a NUL.
    let bytes = unsafe { slice::from_raw_parts(data.cast::<u8>(), size + 1) };
    let line = CStr::from_bytes_with_nul(bytes).expect("one NUL, at the end").to_str().expect("UTF-8");
    assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line:?}");
    take_some(1);
}

/// Switches the log off, and drops its lines.
pub(crate) fn forget_log() {
    // SAFETY: NULL and a C string.
    let is_off = unsafe { ffi::extism_log_file(ptr::null(), c"off".as_ptr()) };
    assert!(bool::from(is_off));
    drain(false);
    // SAFETY: NULL stands for the default.
    unsafe { ffi::extism_compiler_set(ptr::null()) };
}

/// Chooses a compiler, if it is there.
pub(crate) fn set_compiler(name: u8) {
    let name = *of(&COMPILERS, name);
    let pointer = name.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: NULL or a C string.
    let is_there: bool = unsafe { ffi::extism_compiler_available(pointer) }.into();
    // SAFETY: as above.
    let is_set: bool = unsafe { ffi::extism_compiler_set(pointer) }.into();
    assert_eq!(is_set, is_there || name.is_none());
    for text in [ffi::extism_compiler(), ffi::extism_version(), ffi::extism_wasmer_version()] {
        // SAFETY: these are C strings that live as long as the library.
        assert!(!unsafe { CStr::from_ptr(text) }.is_empty());
    }
}
