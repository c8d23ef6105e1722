//! The globals that a module with inlined calls shares with the host: the ranges of input and output, and the bound of
//! inlined accesses. The module can write them, so the host checks what it reads.

use std::ops::Range;

use wasmer::{AsStoreMut, Instance};

use super::direct::DirectGlobal;
use crate::module::reserved::REGISTER_EXPORTS;

/// The most bytes that inlined code moves at once.
pub(crate) const WORD: u64 = 8;

/// The globals of one instance, in the order of [`REGISTER_EXPORTS`].
#[derive(Debug)]
pub(crate) struct Registers {
    input_offset: DirectGlobal,
    input_length: DirectGlobal,
    /// The number of offsets in the input that have a whole word from there on.
    input_words: DirectGlobal,
    bound: DirectGlobal,
    output_offset: DirectGlobal,
    output_length: DirectGlobal,
}

impl Registers {
    /// The registers of `instance`, if it has all of them.
    pub(crate) fn of(store: &mut impl AsStoreMut, instance: &Instance) -> Option<Self> {
        let globals = REGISTER_EXPORTS.map(|name| DirectGlobal::of(store, instance.exports.get_global(name).ok()?));
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

    pub(crate) fn set_input(&mut self, input: &Range<u64>) {
        let length = input.end - input.start;
        self.input_offset.set(input.start);
        self.input_length.set(length);
        self.input_words.set(length.saturating_sub(WORD - 1));
    }

    pub(crate) fn set_bound(&mut self, bound: u64) {
        self.bound.set(bound);
    }

    pub(crate) fn set_output(&mut self, output: &Range<u64>) {
        self.output_offset.set(output.start);
        self.output_length.set(output.end - output.start);
    }

    /// The offset and the length of the output.
    pub(crate) fn output(&self) -> (u64, u64) {
        (self.output_offset.get(), self.output_length.get())
    }
}
