//! How many instructions a call may execute. Code that is compiled for it counts them itself; here the counters are set
//! and read. Each instance has its own.

use wasmer::{AsStoreMut, Instance, Value};

use crate::guest::{FUEL_GONE_EXPORT, FUEL_LEFT_EXPORT};

/// Lets `instance` execute `fuel` instructions from now on.
pub(super) fn fill(store: &mut impl AsStoreMut, instance: &Instance, fuel: u64) {
    // Cannot fail: where there is fuel, code has both, mutable and of these types.
    for (name, value) in [(FUEL_LEFT_EXPORT, Value::I64(fuel.cast_signed())), (FUEL_GONE_EXPORT, Value::I32(0))] {
        let _ = instance.exports.get_global(name).map(|global| global.set(store, value));
    }
}

/// Whether `instance` has wanted to execute more than it was given.
pub(super) fn is_gone(store: &mut impl AsStoreMut, instance: &Instance) -> bool {
    let gone = instance.exports.get_global(FUEL_GONE_EXPORT);
    gone.is_ok_and(|global| global.get(store) == Value::I32(1))
}

/// How much of `fuel` the instance has used since it was filled.
pub(super) fn used(store: &mut impl AsStoreMut, instance: &Instance, fuel: u64) -> u64 {
    if is_gone(store, instance) {
        return fuel;
    }
    match instance.exports.get_global(FUEL_LEFT_EXPORT).map(|global| global.get(store)) {
        Ok(Value::I64(left)) => fuel.saturating_sub(left.cast_unsigned()),
        _ => 0,
    }
}

/// What the caller is told.
pub(super) fn exhausted(fuel: u64) -> String {
    format!("out of fuel: a module has executed the {fuel} instructions that a call may (fuel)")
}
