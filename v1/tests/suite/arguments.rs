//! NULL, freed and foreign pointers: error values, never a crash.
#![expect(unsafe_code, reason = "what no safe function passes")]

use std::ptr;

use extism_v1::ffi;

use crate::host::{Compiled, Function, Plugin, leak, text};

/// NULL, small numbers, and pointers that the library gave for other things, or that were freed.
fn foreign() -> Vec<usize> {
    let plugin = Plugin::new("(module)", &[]);
    let compiled = Compiled::try_new("(module)", &[], None).expect("it compiles");
    let function = Function::of_i64("f", |_, handle| handle);
    let freed = [plugin.0.addr(), compiled.0.addr(), function.0.addr(), plugin.cancel_handle().0.addr()];
    drop((plugin, compiled, function));
    [&[0, 1, 7, usize::MAX, freed.as_ptr().addr()][..], &freed].concat()
}

fn pointer<T>(address: usize) -> *mut T {
    ptr::without_provenance_mut(address)
}

#[test]
fn all_functions_take_what_is_not_theirs() {
    let live = [leak(Plugin::new("(module)", &[])).addr()];
    for address in foreign() {
        check_plugin(address);
        check_others(address);
    }
    // A plugin is none of the others.
    live.into_iter().for_each(check_others);
    let function = Function::of_i64("f", |_, handle| handle);
    check_plugin(function.0.addr());
    assert!(!ffi::extism_plugin_id(pointer(live[0])).is_null());
    ffi::extism_plugin_free(pointer(live[0]));
}

fn check_plugin(address: usize) {
    let plugin = || pointer(address);
    // SAFETY: the library must recognise that it is no plugin. All other pointers are NULL, or those of literals.
    unsafe {
        assert_eq!(ffi::extism_plugin_call(plugin(), c"f".as_ptr(), ptr::null(), 0), -1);
    }
    // SAFETY: as above.
    let code =
        unsafe { ffi::extism_plugin_call_with_host_context(plugin(), ptr::null(), ptr::null(), 9, plugin().cast()) };
    assert_eq!(code, -1);
    assert_eq!((text(ffi::extism_plugin_error(plugin())), text(ffi::extism_error(plugin()))), (None, None));
    assert_eq!(ffi::extism_plugin_output_length(plugin()), 0);
    assert!(ffi::extism_plugin_output_data(plugin()).is_null() && ffi::extism_plugin_id(plugin()).is_null());
    assert!(ffi::extism_plugin_cancel_handle(plugin()).is_null());
    assert_eq!(ffi::extism_plugin_fuel_consumed(plugin()), 0);
    assert!(!bool::from(ffi::extism_plugin_reset(plugin())));
    // SAFETY: as above.
    assert!(!bool::from(unsafe { ffi::extism_plugin_config(plugin(), c"{}".as_ptr().cast(), 2) }));
    // SAFETY: as above.
    assert!(!bool::from(unsafe { ffi::extism_plugin_function_exists(plugin(), c"f".as_ptr()) }));
    ffi::extism_plugin_allow_http_response_headers(plugin());
    ffi::extism_plugin_free(plugin());
}

fn check_others(address: usize) {
    assert!(!bool::from(ffi::extism_plugin_cancel(pointer(address))));
    ffi::extism_compiled_plugin_free(pointer(address));
    ffi::extism_function_free(pointer(address));
    ffi::extism_plugin_new_error_free(pointer(address));
    // SAFETY: the library must recognise that it is no function, and takes NULL.
    unsafe { ffi::extism_function_set_namespace(pointer(address), ptr::null()) };
    // SAFETY: as above.
    unsafe { ffi::extism_function_set_namespace(pointer(address), c"x".as_ptr()) };
}

#[test]
fn null_arguments_of_a_live_plugin() {
    let plugin = Plugin::new("(module)", &[]);
    // SAFETY: the library must take NULL.
    assert!(!bool::from(unsafe { ffi::extism_plugin_config(plugin.0, ptr::null(), 0) }));
    // SAFETY: as above.
    assert!(!bool::from(unsafe { ffi::extism_plugin_config(plugin.0, ptr::null(), 7) }));
    // SAFETY: as above.
    assert!(!bool::from(unsafe { ffi::extism_plugin_function_exists(plugin.0, ptr::null()) }));
    assert_eq!(plugin.error(), None);
}

#[test]
fn functions_that_cannot_be_made() {
    let new = |name: *const std::ffi::c_char, count| {
        // SAFETY: the library must take NULL; the types are not there, and not read.
        unsafe { ffi::extism_function_new(name, ptr::null(), 0, [].as_ptr(), count, None, ptr::null_mut(), None) }
    };
    assert!(new(ptr::null(), 0).is_null() && new(c"\xff".as_ptr(), 0).is_null() && new(c"f".as_ptr(), 1001).is_null());
    // Without work it can be made, but not used.
    let function = Function(new(c"f".as_ptr(), 0));
    assert!(!function.0.is_null());
    let error = Plugin::try_new("(module)", &[&function], None).err().expect("it cannot be used");
    assert_eq!(error, "host function `extism:host/user::f`: `func` was NULL in extism_function_new");
}
