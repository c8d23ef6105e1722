//! Replaces calls of the host functions that move bytes by the loads and stores themselves: a plugin moves its data in
//! a byte or a word per call, and calling the host costs some twenty times what the move does.
//!
//! The module gets the I/O memory as one of its own, and globals (registers) with the ranges of input and output. Both
//! are appended, so that the plugin's memories and globals keep their indices. Only accesses below a bound are inlined.
//! The host keeps the bound in a global: the end of the blocks, after which the memory has at least one more word. The
//! host function serves all other accesses: it has its ABI's rules, and records what it writes, to be cleared.

use std::collections::BTreeMap;

use wasm_encoder::{BlockType, Encode, Instruction as I, MemArg, ValType};

use super::options::Inlining;
use super::survey::{ImportedFunction, Survey};
use crate::host::abi::{ENV, HOST_MODULE, MEMORY};
use crate::module::reserved::REGISTER_EXPORTS;

/// A module with more is not changed, as the additions would take it above the limits that WebAssembly engines agreed
/// on (<https://webassembly.github.io/spec/js-api/#limits>).
const MAX_MEMORIES: u32 = 100;
const MAX_GLOBALS: u32 = 1_000_000 - REGISTER_EXPORTS.len() as u32;

/// The operations that calls are replaced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    LoadByte,
    LoadWord,
    StoreByte,
    StoreWord,
    InputByte,
    InputWord,
    InputLength,
    InputOffset,
    SetOutput,
    OutputOffset,
    OutputLength,
}

/// The functions of both ABIs that are inlined.
pub(super) const INLINED: [(&str, &str, Op); 20] = [
    (ENV, "extism_load_u8", Op::LoadByte),
    (ENV, "extism_load_u64", Op::LoadWord),
    (ENV, "extism_store_u8", Op::StoreByte),
    (ENV, "extism_store_u64", Op::StoreWord),
    (ENV, "extism_input_load_u8", Op::InputByte),
    (ENV, "extism_input_load_u64", Op::InputWord),
    (ENV, "extism_input_length", Op::InputLength),
    (ENV, "extism_input_offset", Op::InputOffset),
    (ENV, "extism_output_set", Op::SetOutput),
    (HOST_MODULE, "load_u8", Op::LoadByte),
    (HOST_MODULE, "load_u64", Op::LoadWord),
    (HOST_MODULE, "store_u8", Op::StoreByte),
    (HOST_MODULE, "store_u64", Op::StoreWord),
    (HOST_MODULE, "input_load_u8", Op::InputByte),
    (HOST_MODULE, "input_load_u64", Op::InputWord),
    (HOST_MODULE, "input_length", Op::InputLength),
    (HOST_MODULE, "input_offset", Op::InputOffset),
    (HOST_MODULE, "output_set", Op::SetOutput),
    (HOST_MODULE, "output_offset", Op::OutputOffset),
    (HOST_MODULE, "output_length", Op::OutputLength),
];

impl Op {
    fn is_about_output(self) -> bool {
        matches!(self, Self::SetOutput | Self::OutputOffset | Self::OutputLength)
    }

    fn signature(self) -> (&'static [wasmparser::ValType], &'static [wasmparser::ValType]) {
        use wasmparser::ValType::{I32, I64};
        match self {
            Self::LoadByte | Self::InputByte => (&[I64], &[I32]),
            Self::LoadWord | Self::InputWord => (&[I64], &[I64]),
            Self::StoreByte => (&[I64, I32], &[]),
            Self::StoreWord | Self::SetOutput => (&[I64, I64], &[]),
            Self::InputLength | Self::InputOffset | Self::OutputOffset | Self::OutputLength => (&[], &[I64]),
        }
    }
}

/// The globals that the host and the inlined code share, in the order of their indices. All are 64-bit integers that
/// begin as 0.
#[derive(Debug, Clone, Copy)]
enum Register {
    /// The offset of the input.
    InputOffset,
    /// The length of the input in bytes.
    InputLength,
    /// The number of offsets in the input that have a whole word from there on.
    InputWords,
    /// Bytes and words that begin below this offset may be moved.
    Bound,
    OutputOffset,
    OutputLength,
}

/// The types of the locals that inlined code uses. They follow a function's own.
pub(crate) const SCRATCH: [ValType; 3] = [ValType::I64, ValType::I64, ValType::I32];

/// The functions to inline in one module, and the indices that inlined code refers to.
#[derive(Debug)]
pub(crate) struct Inliner {
    by_import: BTreeMap<u32, Op>,
    /// The index of the I/O memory.
    pub(crate) memory: u32,
    /// The index of the first register.
    pub(crate) globals: u32,
}

impl Inliner {
    /// `None` if there is nothing to inline, the module imports the I/O memory itself, or it cannot have another
    /// memory. `globals` is the number of globals that come before the registers.
    pub(crate) fn of(survey: &Survey<'_>, inlining: Inlining, globals: u32) -> Option<Self> {
        let is_inlined = |op: Op| match inlining {
            Inlining::Alone => true,
            Inlining::Linked => !op.is_about_output(),
        };
        let op = |import: &ImportedFunction<'_>| {
            let (_, _, op) =
                INLINED.iter().find(|(module, name, _)| (*module, *name) == (import.module, import.name))?;
            // An import of another type is an error, which is reported when the module is linked.
            let ty = survey.types.get(import.ty as usize)?;
            ((ty.params(), ty.results()) == op.signature() && is_inlined(*op)).then_some(*op)
        };
        let ops = survey.imported_functions.iter().zip(0..).filter_map(|(import, index)| Some((index, op(import)?)));
        let by_import: BTreeMap<_, _> = ops.collect();
        // An import of the memory as a function is an error, too, which the linker reports.
        let imports_memory = |import: &ImportedFunction<'_>| (import.module, import.name) == (HOST_MODULE, MEMORY);
        if by_import.is_empty()
            || survey.imports_io_memory
            // The host could not tell that memory from the I/O memory.
            || survey.has_memory_like_io
            || survey.memory_count() >= MAX_MEMORIES
            || globals >= MAX_GLOBALS
            || survey.imported_functions.iter().any(imports_memory)
        {
            return None;
        }
        Some(Self { by_import, memory: survey.memory_count(), globals })
    }

    pub(crate) fn inlines(&self, function: u32) -> bool {
        self.by_import.contains_key(&function)
    }

    /// Writes the code for a call of `function`. `scratch` is the index of the first of the scratch locals.
    pub(crate) fn emit(&self, function: u32, scratch: u32, sink: &mut Vec<u8>) {
        let Some(op) = self.by_import.get(&function) else { return I::Call(function).encode(sink) };
        let (offset, word, byte) = (scratch, scratch + 1, scratch + 2);
        let read = |register: Register| I::GlobalGet(self.globals + register as u32);
        let access = MemArg { offset: 0, align: 0, memory_index: self.memory };
        let below = |register: Register| [I::LocalTee(offset), read(register), I::I64LtU];
        let address = [I::LocalGet(offset), I::I32WrapI64];
        let input = [I::LocalGet(offset), read(Register::InputOffset), I::I64Add, I::I32WrapI64];
        let load = |ty: ValType, condition: [I<'static>; 3], address: &[I<'static>], load: I<'static>| {
            let start = condition.into_iter().chain([I::If(BlockType::Result(ty))]);
            let middle = address.iter().cloned().chain([load, I::Else, I::LocalGet(offset), I::Call(function), I::End]);
            start.chain(middle).collect::<Vec<_>>()
        };
        let store = |value: u32, store: I<'static>| {
            let start = [I::LocalSet(value)].into_iter().chain(below(Register::Bound)).chain([I::If(BlockType::Empty)]);
            let middle = address.iter().cloned().chain([I::LocalGet(value), store, I::Else]);
            let end = [I::LocalGet(offset), I::LocalGet(value), I::Call(function), I::End];
            start.chain(middle).chain(end).collect::<Vec<_>>()
        };
        let code = match op {
            Op::LoadByte => load(ValType::I32, below(Register::Bound), &address, I::I32Load8U(access)),
            Op::LoadWord => load(ValType::I64, below(Register::Bound), &address, I::I64Load(access)),
            Op::StoreByte => store(byte, I::I32Store8(access)),
            Op::StoreWord => store(word, I::I64Store(access)),
            Op::InputByte => load(ValType::I32, below(Register::InputLength), &input, I::I32Load8U(access)),
            Op::InputWord => load(ValType::I64, below(Register::InputWords), &input, I::I64Load(access)),
            Op::InputLength => vec![read(Register::InputLength)],
            Op::InputOffset => vec![read(Register::InputOffset)],
            Op::OutputOffset => vec![read(Register::OutputOffset)],
            Op::OutputLength => vec![read(Register::OutputLength)],
            Op::SetOutput => self.set_output(function, scratch),
        };
        code.iter().for_each(|instruction| instruction.encode(sink));
    }

    /// The code that sets the output: inline if it lies below the bound, else by calling `function`.
    fn set_output(&self, function: u32, scratch: u32) -> Vec<I<'static>> {
        let (offset, length) = (scratch, scratch + 1);
        let register = |register: Register| self.globals + register as u32;
        let bound = I::GlobalGet(register(Register::Bound));
        vec![
            I::LocalSet(length),
            I::LocalTee(offset),
            bound.clone(),
            I::I64LeU,
            I::LocalGet(length),
            bound,
            I::LocalGet(offset),
            I::I64Sub,
            I::I64LeU,
            I::I32And,
            I::If(BlockType::Empty),
            I::LocalGet(offset),
            I::GlobalSet(register(Register::OutputOffset)),
            I::LocalGet(length),
            I::GlobalSet(register(Register::OutputLength)),
            I::Else,
            I::LocalGet(offset),
            I::LocalGet(length),
            I::Call(function),
            I::End,
        ]
    }
}
