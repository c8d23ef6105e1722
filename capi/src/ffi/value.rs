//! Conversion of the arguments and results of host functions between the core's values and C's.

use std::mem::MaybeUninit;
use std::{iter, ptr};

use super::types::{ExtismVal, ExtismValType, ExtismValUnion};
use extism_core::plugin::Val;

/// The number of values that are converted on the stack; more need an allocation.
const ON_STACK: usize = 16;

/// Places for values as C sees them, for the time of one call. They are where they are made: moving them would cost as
/// much as the rest of a call.
pub(super) struct CValues {
    /// Places, not values: C may write types that are none.
    few: [MaybeUninit<ExtismVal>; ON_STACK],
    /// All of them, if they are more than `few` has places for.
    many: Vec<MaybeUninit<ExtismVal>>,
}

impl CValues {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { few: [const { MaybeUninit::uninit() }; ON_STACK], many: Vec::new() }
    }

    /// Puts `values` into the places. Returns the address of the first one; null if there are none.
    #[inline(always)]
    pub(super) fn fill(&mut self, values: &[Val]) -> *mut ExtismVal {
        let places = if values.len() <= ON_STACK {
            iter::zip(&mut self.few, values).for_each(|(place, value)| *place = MaybeUninit::new((*value).into()));
            &mut self.few[..]
        } else {
            self.many.extend(values.iter().map(|value| MaybeUninit::new((*value).into())));
            &mut self.many[..]
        };
        if values.is_empty() { ptr::null_mut() } else { places.as_mut_ptr().cast() }
    }

    /// Reads what C has written, into `values`, with which this was filled: each keeps its type, whatever C's is.
    #[inline(always)]
    pub(super) fn read_back(&self, values: &mut [Val]) {
        let places = if self.many.is_empty() { &self.few[..] } else { &self.many };
        for (value, place) in iter::zip(values, places) {
            let place = place.as_ptr();
            // SAFETY: `fill` has written as many places as there are values. It is not read as a whole, because its type may
            // be none by now.
            let union = unsafe { &raw const (*place).v };
            // SAFETY: as above.
            let union = unsafe { union.read() };
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
            let mut places = CValues::new();
            assert_eq!(places.fill(&values).is_null(), count == 0);
            places.read_back(&mut back);
            assert_eq!(back, values);
        }
    }

    #[test]
    fn the_type_that_c_leaves_does_not_count() {
        let mut values = [ValType::I64.zero(), ValType::I32.zero()];
        let mut places = CValues::new();
        let address = places.fill(&[Val::I64(5), Val::I32(7)]);
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
