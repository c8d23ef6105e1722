//! Functions of the host program, as code calls them.
//!
//! Code passes arguments and results of any types in an array, through a trampoline that compilers make for each import.
//! Wasmer's own functions of this kind allocate several times in a call, and look up store and state: 100 ns instead of
//! 20. Those whose types Rust knows cost 40 ns, and there is one for each combination of types.
#![expect(unsafe_code, reason = "code calls by address, and passes values by address")]

use std::any::Any;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

use wasmer::sys::vm::{
    VMContext, VMDynamicFunctionContext, VMExtern, VMFunctionBody, VMFunctionContext, on_host_stack, raise_user_trap,
    resume_panic,
};
use wasmer::{AsStoreMut, Extern, Function, FunctionEnv, FunctionEnvMut, FunctionType, RuntimeError, Value};
use wasmer_types::RawValue;

use super::guest::Guest;
use crate::value::{FEW_VALUES, Val, ValType};

/// The work of a function: it gets the state of the plugin that calls it, the arguments, and the results, which are 0.
pub(crate) type Work = Box<dyn Fn(&mut Guest, &[Val], &mut [Val]) -> Result<(), RuntimeError>>;

/// A function that the code of one store calls.
struct DirectFunction {
    /// The store owns it, as it owns this value.
    guest: NonNull<Guest>,
    parameters: Arc<[ValType]>,
    results: Arc<[ValType]>,
    work: Work,
}

/// The function that Wasmer's trampolines call, with the address of its context and that of the values.
type Entry = unsafe extern "C" fn(*mut VMDynamicFunctionContext<DirectFunction>, *mut RawValue);

/// Makes a function with this type for the modules of the plugin of `guest`.
pub(crate) fn make(
    store: &mut impl AsStoreMut,
    guest: &FunctionEnv<Guest>,
    (parameters, results): (Arc<[ValType]>, Arc<[ValType]>),
    work: Work,
) -> Function {
    let types = |types: &[ValType]| types.iter().map(|ty| ty.to_wasmer()).collect::<Vec<_>>();
    let ty = FunctionType::new(types(&parameters), types(&results));
    // Wasmer makes the function, and registers its type. Then it gets another context, with another entry.
    let never = |_: FunctionEnvMut<'_, Guest>, _: &[Value]| Err(RuntimeError::new("a function without its context"));
    let function = Function::new_with_env(store, guest, ty, never);
    let entry: Entry = enter;
    let context = Box::new(VMDynamicFunctionContext {
        address: entry as *const VMFunctionBody,
        ctx: DirectFunction { guest: NonNull::from(guest.as_mut(store)), parameters, results, work },
    });
    let handle = Extern::from(function.clone()).to_vm_extern();
    // Always so: it is a function.
    let VMExtern::Function(handle) = handle.unwrap_sys() else { return function };
    let made = handle.get_mut(store.objects_mut().as_sys_mut());
    let host_env = (&raw const *context).cast_mut().cast();
    // SAFETY: the function is new, so nothing else refers to what the pointer leads to.
    let calls = unsafe { made.anyfunc.as_ptr().as_mut() };
    calls.vmctx = VMFunctionContext { host_env };
    calls.call_trampoline = enter_from_host;
    made.host_data = context as Box<dyn Any>;
    function
}

/// Called by code, on the plugin's stack. No value with a destructor may be alive where a trap or a panic is raised.
///
/// # Safety
/// `context` must be that of a function which [`make`] has made and the store still has, and `values` an array with its
/// arguments and room for its results.
unsafe extern "C" fn enter(context: *mut VMDynamicFunctionContext<DirectFunction>, values: *mut RawValue) {
    let result = on_host_stack(|| {
        catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the caller promises that the context is there. Nothing changes it.
            let function = unsafe { &(*context).ctx };
            // SAFETY: the caller promises that the values are those of this function.
            unsafe { function.call(values) }
        }))
    });
    match result {
        Ok(Ok(())) => {}
        // SAFETY: code of a plugin has called, and no destructor is skipped.
        Ok(Err(error)) => unsafe { raise_user_trap(error) },
        // SAFETY: as above.
        Err(panic) => unsafe { resume_panic(panic) },
    }
}

/// Called by the host in place of code, for a function that a module exports as it imports it.
///
/// # Safety
/// As for [`enter`].
unsafe extern "C" fn enter_from_host(context: *mut VMContext, _: *const VMFunctionBody, values: *mut RawValue) {
    // SAFETY: the contract is the same; Wasmer passes the address that it was given as the function's context.
    unsafe { enter(context.cast(), values) }
}

impl DirectFunction {
    /// Calls the function's work.
    ///
    /// # Safety
    /// `values` must have the arguments, and room for the results.
    unsafe fn call(&self, values: *mut RawValue) -> Result<(), Box<dyn Error + Send + Sync>> {
        let count = self.parameters.len() + self.results.len();
        let (mut few, mut many) = ([Val::I64(0); FEW_VALUES], Vec::new());
        let all = if count <= FEW_VALUES {
            &mut few[..count]
        } else {
            many.resize(count, Val::I64(0));
            &mut many[..]
        };
        let (arguments, results) = all.split_at_mut(self.parameters.len());
        for (index, (argument, ty)) in arguments.iter_mut().zip(&*self.parameters).enumerate() {
            // SAFETY: the caller promises so many values, of these types.
            *argument = unsafe { read(values.wrapping_add(index), *ty) };
        }
        results.iter_mut().zip(&*self.results).for_each(|(result, ty)| *result = ty.zero());
        // SAFETY: the store keeps the guest in a box of its own, and lives. Nothing else uses the guest, as the plugin's
        // code waits for this call.
        let guest = unsafe { &mut *self.guest.as_ptr() };
        (self.work)(guest, arguments, results)?;
        for (index, (result, ty)) in results.iter().zip(&*self.results).enumerate() {
            // SAFETY: the caller promises room for so many values.
            unsafe { values.wrapping_add(index).write(raw(*result, *ty)) };
        }
        Ok(())
    }
}

/// The value at `place`.
///
/// # Safety
/// There must be a value of this type.
unsafe fn read(place: *const RawValue, ty: ValType) -> Val {
    match ty {
        // SAFETY: the caller promises a value of this type, so that these bits are written.
        ValType::I32 => Val::I32(unsafe { place.cast::<i32>().read() }),
        // SAFETY: as above.
        ValType::I64 => Val::I64(unsafe { place.cast::<i64>().read() }),
        // SAFETY: as above.
        ValType::F32 => Val::F32(unsafe { place.cast::<u32>().read() }),
        // SAFETY: as above.
        ValType::F64 => Val::F64(unsafe { place.cast::<u64>().read() }),
    }
}

/// `value` as code reads it; 0 if it has another type than `ty`.
fn raw(value: Val, ty: ValType) -> RawValue {
    match (value, ty) {
        (Val::I32(number), ValType::I32) => number.into(),
        (Val::I64(number), ValType::I64) => number.into(),
        (Val::F32(bits), ValType::F32) => bits.cast_signed().into(),
        (Val::F64(bits), ValType::F64) => bits.cast_signed().into(),
        _ => 0_i64.into(),
    }
}
