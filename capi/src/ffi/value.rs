//! Conversion of the arguments and results of host functions between the core's values and C's.

use std::mem::MaybeUninit;
use std::{iter, ptr};

use super::types::{ExtismVal, ExtismValType, ExtismValUnion};
use extism_core::plugin::Val;

/// The number of values that are converted on the stack; more need an allocation.
const ON_STACK: usize = 16;

/// Values as C sees them, for the time of one call.
pub(super) struct CValues {
    count: usize,
    /// Places, not values: C may write types that are none.
    few: [MaybeUninit<ExtismVal>; ON_STACK],
    /// All of them, if they are more than `few` has places for.
    many: Vec<MaybeUninit<ExtismVal>>,
}

impl CValues {
    #[inline]
    pub(super) fn of(values: &[Val]) -> Self {
        let mut few = [const { MaybeUninit::uninit() }; ON_STACK];
        let mut many = Vec::new();
        if values.len() <= ON_STACK {
            iter::zip(&mut few, values).for_each(|(place, value)| *place = MaybeUninit::new(ExtismVal::from(*value)));
        } else {
            many.extend(values.iter().map(|value| MaybeUninit::new(ExtismVal::from(*value))));
        }
        Self { count: values.len(), few, many }
    }

    /// The address of the first one; null if there are none.
    #[inline]
    pub(super) fn address(&mut self) -> *mut ExtismVal {
        match self.count {
            0 => ptr::null_mut(),
            _ if self.many.is_empty() => self.few.as_mut_ptr().cast(),
            _ => self.many.as_mut_ptr().cast(),
        }
    }

    /// Reads what C has written, into `values`, those that this was made of: each keeps its type, whatever C's is.
    #[inline]
    pub(super) fn read_back(&self, values: &mut [Val]) {
        let places = if self.many.is_empty() { &self.few[..self.count] } else { &self.many };
        for (value, place) in iter::zip(values, places) {
            let place = place.as_ptr();
            // SAFETY: the place was written by `of`. It is not read as a whole, because its type may be none by now.
            let union = unsafe { (&raw const (*place).v).read() };
            *value = match value {
                // SAFETY: the members are numbers, for which all bits are values.
                Val::I32(_) => Val::I32(unsafe { union.i32 }),
                // SAFETY: as above.
                Val::I64(_) => Val::I64(unsafe { union.i64 }),
                // SAFETY: as above.
                Val::F32(_) => Val::F32(unsafe { union.i32 }.cast_unsigned()),
                // SAFETY: as above.
                Val::F64(_) => Val::F64(unsafe { union.i64 }.cast_unsigned()),
            };
        }
    }
}

impl From<Val> for ExtismVal {
    #[inline]
    fn from(value: Val) -> Self {
        let (t, bits) = match value {
            Val::I32(number) => (ExtismValType::I32, u64::from(number.cast_unsigned())),
            Val::I64(number) => (ExtismValType::I64, number.cast_unsigned()),
            Val::F32(bits) => (ExtismValType::F32, u64::from(bits)),
            Val::F64(bits) => (ExtismValType::F64, bits),
        };
        // All eight bytes are set, so that C reads no leftovers. A member of four bytes is the lower half: the library is
        // for little-endian machines, as WebAssembly is.
        Self { t, v: ExtismValUnion { i64: bits.cast_signed() } }
    }
}

#[cfg(test)]
mod tests {
    use super::{CValues, ExtismVal, ON_STACK};
    use extism_core::plugin::{Val, ValType};

    const ZEROS: [Val; 4] = [Val::I32(0), Val::I64(0), Val::F32(0), Val::F64(0)];

    #[test]
    fn values_keep_their_bits_both_ways() {
        // The floats are signalling NaNs with payloads.
        let some = [Val::I32(-1), Val::I64(i64::MIN), Val::F32(0x7fa0_1234), Val::F64(0x7ff4_0000_dead_beef)];
        for count in [0, 1, 4, ON_STACK, ON_STACK + 1, 1000] {
            let values: Vec<_> = some.into_iter().cycle().take(count).collect();
            let mut back: Vec<_> = ZEROS.into_iter().cycle().take(count).collect();
            let mut places = CValues::of(&values);
            assert_eq!(places.address().is_null(), count == 0);
            places.read_back(&mut back);
            assert_eq!(back, values);
        }
    }

    #[test]
    fn the_type_that_c_leaves_does_not_count() {
        let mut values = [ValType::I64.zero(), ValType::I32.zero()];
        let mut places = CValues::of(&[Val::I64(5), Val::I32(7)]);
        let address = places.address();
        for (number, garbage) in [u32::MAX, 4].into_iter().enumerate() {
            // SAFETY: there are two places.
            let place = unsafe { address.add(number) };
            // SAFETY: a type has four bytes.
            unsafe { place.cast::<u32>().write(garbage) };
        }
        places.read_back(&mut values);
        assert_eq!(values, [Val::I64(5), Val::I32(7)]);
        assert_eq!((size_of::<ExtismVal>(), align_of::<ExtismVal>()), (16, 8));
    }
}
