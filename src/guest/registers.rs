//! The globals that a module with inlined calls shares with the host: where input and output are, and below which bound
//! bytes may be moved. They are the module's, so what they say is to be checked.

use std::ops::Range;

use wasmer::{AsStoreMut, Global, Instance, Value};

use super::reserved::REGISTER_EXPORTS;

/// The most bytes that inlined code moves at once.
pub(super) const WORD: u64 = 8;

/// In the order of their exports.
#[derive(Debug)]
pub(super) struct Registers {
    input_offset: Global,
    input_length: Global,
    /// At how many offsets a word of the input begins.
    input_words: Global,
    bound: Global,
    output_offset: Global,
    output_length: Global,
}

impl Registers {
    /// Those of `instance`, if it has them.
    pub(super) fn of(instance: &Instance) -> Option<Self> {
        let globals = REGISTER_EXPORTS.map(|name| instance.exports.get_global(name).ok().cloned());
        let [input_offset, input_length, input_words, bound, output_offset, output_length] = globals;
        Some(Self {
            input_offset: input_offset?,
            input_length: input_length?,
            input_words: input_words?,
            bound: bound?,
            output_offset: output_offset?,
            output_length: output_length?,
        })
    }

    pub(super) fn set_input(&self, store: &mut impl AsStoreMut, input: &Range<u64>) {
        let length = input.end - input.start;
        set(&self.input_offset, store, input.start);
        set(&self.input_length, store, length);
        set(&self.input_words, store, length.saturating_sub(WORD - 1));
    }

    pub(super) fn set_bound(&self, store: &mut impl AsStoreMut, bound: u64) {
        set(&self.bound, store, bound);
    }

    pub(super) fn set_output(&self, store: &mut impl AsStoreMut, output: &Range<u64>) {
        set(&self.output_offset, store, output.start);
        set(&self.output_length, store, output.end - output.start);
    }

    /// Offset and length.
    pub(super) fn output(&self, store: &mut impl AsStoreMut) -> (u64, u64) {
        (get(&self.output_offset, store), get(&self.output_length, store))
    }
}

fn set(global: &Global, store: &mut impl AsStoreMut, value: u64) {
    // Cannot fail: they are mutable 64-bit integers of this store.
    let _ = global.set(store, Value::I64(value.cast_signed()));
}

fn get(global: &Global, store: &mut impl AsStoreMut) -> u64 {
    match global.get(store) {
        Value::I64(value) => value.cast_unsigned(),
        _ => 0,
    }
}
