//! Conversion of C pointers to slices and strings. NULL and impossible lengths are errors that name the parameter.
#![expect(unsafe_code, reason = "C passes pointers")]

use std::ffi::{CStr, c_char};
use std::slice;

use thiserror::Error;

/// An argument that cannot be used.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct Error(#[from] Reason);

#[derive(Debug, Error)]
enum Reason {
    #[error("`{0}` is NULL")]
    Null(&'static str),
    #[error("`{name}` is NULL, but its length is {length}")]
    NullWithLength { name: &'static str, length: u64 },
    #[error("`{name}` is {length} bytes long, more than an address space has")]
    TooLong { name: &'static str, length: u64 },
    #[error("`{name}` is not UTF-8 from byte {at} on")]
    NotUtf8 { name: &'static str, at: usize },
}

/// The bytes at `data`. NULL with a length of 0 is the empty slice.
///
/// # Errors
/// NULL with another length, or more bytes than a slice may have.
///
/// # Safety
/// If `data` is not NULL, `length` bytes must be readable there, and stay unchanged, for `'a`.
#[inline]
pub unsafe fn bytes<'a>(name: &'static str, data: *const u8, length: u64) -> Result<&'a [u8], Error> {
    if data.is_null() {
        return if length == 0 { Ok(&[]) } else { Err(Reason::NullWithLength { name, length }.into()) };
    }
    match usize::try_from(length) {
        // SAFETY: not NULL, not longer than a slice may be, and the caller promises the rest.
        Ok(length) if isize::try_from(length).is_ok() => Ok(unsafe { slice::from_raw_parts(data, length) }),
        _ => Err(Reason::TooLong { name, length }.into()),
    }
}

/// The C string at `text`.
///
/// # Errors
/// It is NULL.
///
/// # Safety
/// If `text` is not NULL, it must point to a NUL-terminated string that stays unchanged for `'a`.
#[inline]
pub unsafe fn c_str<'a>(name: &'static str, text: *const c_char) -> Result<&'a CStr, Error> {
    if text.is_null() {
        return Err(Reason::Null(name).into());
    }
    // SAFETY: not NULL, and the caller promises the rest.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// The UTF-8 string at `text`.
///
/// # Errors
/// It is NULL, or not UTF-8.
///
/// # Safety
/// As for [`c_str`].
pub unsafe fn some_string<'a>(name: &'static str, text: *const c_char) -> Result<&'a str, Error> {
    // SAFETY: the caller promises it.
    unsafe { string(name, text) }?.ok_or_else(|| Reason::Null(name).into())
}

/// The UTF-8 string at `text`; `None` if that is NULL.
///
/// # Errors
/// It is not UTF-8.
///
/// # Safety
/// As for [`c_str`].
pub unsafe fn string<'a>(name: &'static str, text: *const c_char) -> Result<Option<&'a str>, Error> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller promises what `c_str` asks for.
    let text = unsafe { c_str(name, text) }?;
    text.to_str().map(Some).map_err(|error| Reason::NotUtf8 { name, at: error.valid_up_to() }.into())
}
