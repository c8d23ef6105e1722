//! Wraps Wasmer's libcalls, functions that code calls for instructions such as `memory.copy`. A signal stops a plugin
//! only in its own code, where one that mostly calls these hardly ever is. Therefore an instance's table of libcalls
//! gets wrappers: each runs the stack probe (`stack_probe.rs`), calls the original, then traps if the plugin must stop.
#![expect(unsafe_code, reason = "an instance's table of these functions is reached by its address")]

use std::sync::OnceLock;

use wasmer::sys::vm::{VMContext, VMExtern};
use wasmer::{AsStoreMut, Extern, Instance, Module};
use wasmer_types::{ExportIndex, VMBuiltinFunctionIndex as Index, VMOffsets};

use super::limits::check_table_growth;
use super::stack_probe::probe;
use crate::stop;

/// A libcall. Each takes up to six integers or pointers and returns at most one. All can be called with six arguments
/// and one result: the calling convention passes these in registers (System V ABI for AMD64, 3.2.3).
type Function = extern "C" fn(usize, usize, usize, usize, usize, usize) -> usize;

const COUNT: usize = 23;

fn indices() -> [Index; COUNT] {
    [
        Index::get_memory32_grow_index(),
        Index::get_imported_memory32_grow_index(),
        Index::get_memory32_size_index(),
        Index::get_imported_memory32_size_index(),
        Index::get_memory_copy_index(),
        Index::get_memory_fill_index(),
        Index::get_imported_memory_fill_index(),
        Index::get_memory_init_index(),
        Index::get_data_drop_index(),
        Index::get_table_copy_index(),
        Index::get_table_init_index(),
        Index::get_table_fill_index(),
        Index::get_table_size_index(),
        Index::get_imported_table_size_index(),
        Index::get_table_grow_index(),
        Index::get_imported_table_grow_index(),
        Index::get_table_get_index(),
        Index::get_imported_table_get_index(),
        Index::get_table_set_index(),
        Index::get_imported_table_set_index(),
        Index::get_func_ref_index(),
        Index::get_elem_drop_index(),
        Index::get_raise_trap_index(),
    ]
}

/// Wasmer's libcalls, in the order of [`indices`]. All instances have the same.
static ORIGINALS: OnceLock<[Function; COUNT]> = OnceLock::new();

extern "C" fn stop_after<const N: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> usize {
    probe();
    let Some(originals) = ORIGINALS.get() else { return 0 };
    let result = originals[N](a, b, c, d, e, f);
    stop::leave_if_stopped();
    result
}

/// The wrapper of the libcalls that grow a table. Fails without memory for it, where Wasmer ends the process.
/// `GROW` and `SIZE` are the indices of the libcalls that grow the table and return its size.
extern "C" fn grow_table<const GROW: usize, const SIZE: usize>(
    context: usize,
    value: usize,
    delta: usize,
    index: usize,
    e: usize,
    f: usize,
) -> usize {
    /// The result of a `table.grow` that fails: -1.
    const REFUSED: usize = u32::MAX as usize;
    probe();
    let Some(originals) = ORIGINALS.get() else { return REFUSED };
    // Both are `u32`: the upper halves of their registers are undefined.
    let (size, delta) = (originals[SIZE](context, index, 0, 0, 0, 0) as u32, delta as u32);
    if check_table_growth(size, delta).is_err() {
        return REFUSED;
    }
    stop_after::<GROW>(context, value, delta as usize, index, e, f)
}

macro_rules! replacements {
    ($($number:literal)*) => {
        [$(stop_after::<$number>),*]
    };
}

const REPLACEMENTS: [Function; COUNT] = {
    let mut replacements = replacements!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22);
    replacements[14] = grow_table::<14, 12>;
    replacements[15] = grow_table::<15, 13>;
    replacements
};

/// Replaces the libcalls of `instance`, a new instance of `module`. The instance's context is found through a function
/// of the module's own, which the rewrite exports if there is one. Without one, the module has no code to stop.
pub(crate) fn replace(store: &mut impl AsStoreMut, module: &Module, instance: &Instance) {
    let info = module.info();
    let own = info.exports.iter().find_map(|(name, export)| match export {
        ExportIndex::Function(index) if info.local_func_index(*index).is_some() => Some(name),
        _ => None,
    });
    let Some(Ok(function)) = own.map(|name| instance.exports.get_function(name)) else { return };
    let handle = Extern::from(function.clone()).to_vm_extern();
    let VMExtern::Function(handle) = handle.unwrap_sys() else { return };
    let function = handle.get(store.objects_mut().as_sys()).anyfunc.as_ptr();
    // SAFETY: it points into the instance, which the store keeps.
    let context = unsafe { function.as_ref().vmctx };
    // SAFETY: the function is defined by the module, so its context is that of this instance and not a host function's.
    let context: *mut VMContext = unsafe { context.vmctx };
    let offsets = VMOffsets::new(size_of::<usize>() as u8, info);
    let places = indices().map(|index| {
        context.cast::<u8>().wrapping_add(offsets.vmctx_builtin_function(index) as usize).cast::<Function>()
    });
    // SAFETY: the instance has the libcalls of these numbers there, and each can be called as a `Function`, see there.
    ORIGINALS.get_or_init(|| places.map(|place| unsafe { place.read() }));
    for (place, replacement) in places.into_iter().zip(REPLACEMENTS) {
        // SAFETY: as above. No code of the instance runs that could read it, and no other thread has it.
        unsafe { place.write(replacement) };
    }
}
