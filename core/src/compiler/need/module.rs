//! Upper bounds of the memory that steps need, from a quick look at the module.
//!
//! Each factor is one and a half times the memory that was measured with a module of one kind of item. Some are larger:
//! those for lists, which double their space when they grow, and may just have done so. All are in bytes.
//! `tests/suite/faults/scarce_memory.rs` tries such modules.

use std::num::NonZero;

use wasmer_compiler::ArtifactBuild;
use wasmer_compiler::types::relocation::Relocation;
use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload};

use crate::module::kind;

/// The bytes that parsing and rewriting a module needs, which is a binary or a text.
pub(crate) fn to_prepare(module: &[u8]) -> usize {
    if kind::is_binary(module) { Size::of(module).whole() } else { of_text(module) }
}

/// The bytes that the steps from a prepared module to its loaded code need.
pub(crate) struct Needs {
    size: Size,
    /// For each function, the bytes that compiling it needs, in ascending order.
    bodies: Vec<usize>,
}

impl Needs {
    pub(crate) fn of(wasm: &[u8]) -> Self {
        let (size, mut bodies) = (Size::of(wasm), Vec::new());
        for body in payloads(wasm)
            .filter_map(|payload| if let Payload::CodeSectionEntry(body) = payload { Some(body) } else { None })
        {
            if bodies.try_reserve(1).is_ok() {
                bodies.push(size.body(&body));
            }
        }
        bodies.sort_unstable();
        Self { size, bodies }
    }

    /// The bytes that compiling on a number of threads needs. Compilers look for refusals between functions, so that
    /// one function on each thread counts in full.
    pub(crate) fn to_compile(&self, threads: NonZero<usize>) -> usize {
        self.size.whole().saturating_add(self.bodies.iter().rev().take(threads.get()).sum())
    }

    /// The bytes that turning compiled code into an artifact needs.
    pub(crate) fn to_serialise(&self, code: &ArtifactBuild) -> usize {
        /// In bytes: an instruction's place in the source, and a trap.
        const PLACE: usize = 24;
        const COPIES: usize = 4;
        let functions = code.get_function_bodies_ref().into_iter().flat_map(|all| all.values());
        let calls = code.get_function_call_trampolines_ref().into_iter().flat_map(|all| all.values());
        let dynamic = code.get_dynamic_function_trampolines_ref().into_iter().flat_map(|all| all.values());
        let bodies: usize = functions.chain(calls).chain(dynamic).map(|function| function.body.len()).sum();
        let sections = code.get_custom_sections_ref().into_iter().flat_map(|all| all.values());
        let sections: usize = sections.map(|section| section.bytes.len()).sum();
        let frames = code.get_frame_info_ref().into_iter().flat_map(|all| all.values());
        let places: usize = frames.map(|frame| frame.traps.len() + frame.address_map.instructions.len()).sum();
        let of_functions = code.get_function_relocations().into_iter().flat_map(|all| all.values());
        let of_sections = code.get_custom_section_relocations_ref().into_iter().flat_map(|all| all.values());
        let relocations: usize = of_functions.chain(of_sections).map(Vec::len).sum();
        let code = bodies + sections + places * PLACE + relocations * size_of::<Relocation>();
        self.size.whole().saturating_add(code.saturating_mul(COPIES))
    }

    /// The bytes that loading the code needs: copies of all but the code.
    pub(crate) fn to_load(&self) -> usize {
        Size { code: 0, ..self.size }.whole()
    }
}

/// The bytes that the parser of texts needs: it keeps each word, and much more for what is in parentheses.
fn of_text(text: &[u8]) -> usize {
    // In bytes of memory, for each byte of the text, each word and each parenthesis.
    const BYTE: usize = 6;
    const WORD: usize = 384;
    const PARENTHESIS: usize = 800;
    let begins_word = |pair: &[u8]| matches!(pair[0], b' ' | b'\t' | b'\n' | b'\r' | b')' | b'"') && pair[1] > b' ';
    let words = text.windows(2).filter(|pair| begins_word(pair)).count();
    let parentheses = text.iter().filter(|byte| **byte == b'(').count();
    text.len().saturating_mul(BYTE).saturating_add(words * WORD).saturating_add(parentheses * PARENTHESIS)
}

/// The parts of a module, up to the first that is malformed.
fn payloads(wasm: &[u8]) -> impl Iterator<Item = Payload<'_>> {
    Parser::new(0).parse_all(wasm).map_while(Result::ok)
}

/// The size of a module, by kinds of contents.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// The bytes of its code section.
    code: usize,
    /// Its other bytes.
    other: usize,
    /// Types, imports, functions, exports and the like: all that sections count.
    items: usize,
    /// The most results that one of its function types has.
    results: usize,
}

impl Size {
    fn of(wasm: &[u8]) -> Self {
        let mut size = Self { other: wasm.len(), ..Self::default() };
        payloads(wasm).for_each(|payload| size.add(&payload));
        size
    }

    fn add(&mut self, payload: &Payload<'_>) {
        /// In bytes: the least entry of a name section.
        const NAMING: usize = 3;
        let items = match payload {
            Payload::TypeSection(section) => {
                let types = section.clone().into_iter_err_on_gc_types().map_while(Result::ok);
                self.results = types.map(|ty| ty.results().len()).max().unwrap_or(0);
                section.count()
            }
            Payload::ImportSection(section) => section.count(),
            Payload::FunctionSection(section) => section.count(),
            Payload::TableSection(section) => section.count(),
            Payload::MemorySection(section) => section.count(),
            Payload::GlobalSection(section) => section.count(),
            Payload::ExportSection(section) => section.count(),
            Payload::ElementSection(section) => section.count(),
            Payload::DataSection(section) => section.count(),
            Payload::CodeSectionStart { count, size, .. } => {
                self.code = *size as usize;
                self.other = self.other.saturating_sub(self.code);
                *count
            }
            Payload::CustomSection(section) => u32::try_from(section.data().len() / NAMING).unwrap_or(u32::MAX),
            _ => 0,
        };
        // A malformed section may claim more items than it has bytes.
        self.items = self.items.saturating_add((items as usize).min(self.other.saturating_add(self.code)));
    }

    /// The bytes that compiling a function needs, by its instructions.
    fn body(&self, body: &FunctionBody<'_>) -> usize {
        // In bytes of memory, for each function.
        const LEAST: usize = 1 << 10;
        let operators = |body: &FunctionBody<'_>| -> Result<usize, BinaryReaderError> {
            let mut need = LEAST;
            for operator in body.get_operators_reader()? {
                need = need.saturating_add(self.instruction(&operator?));
            }
            Ok(need)
        };
        // The compiler refuses the instructions that the reader does not know.
        operators(body).unwrap_or(LEAST)
    }

    /// The bytes that compiling an instruction needs.
    fn instruction(&self, operator: &Operator<'_>) -> usize {
        use Operator as O;
        // In bytes of memory: for most instructions, and each result of a call; for those that may branch, trap or
        // call; for indirect calls.
        const MOST: usize = 768;
        const BRANCHING: usize = 6 << 10;
        const INDIRECT: usize = 18 << 10;
        match operator {
            O::Call { .. } | O::ReturnCall { .. } => BRANCHING + self.results * MOST,
            O::CallIndirect { .. } | O::ReturnCallIndirect { .. } => INDIRECT + self.results * MOST,
            O::Block { .. } | O::Loop { .. } | O::If { .. } | O::MemorySize { .. } | O::MemoryGrow { .. } => BRANCHING,
            O::TableGet { .. } | O::TableSet { .. } | O::TableSize { .. } | O::TableGrow { .. } => BRANCHING,
            O::TableFill { .. } | O::TableCopy { .. } | O::TableInit { .. } | O::ElemDrop { .. } => BRANCHING,
            O::MemoryFill { .. } | O::MemoryCopy { .. } | O::MemoryInit { .. } | O::DataDrop { .. } => BRANCHING,
            O::I32DivS | O::I32DivU | O::I32RemS | O::I32RemU | O::RefFunc { .. } => BRANCHING,
            O::I64DivS | O::I64DivU | O::I64RemS | O::I64RemU => BRANCHING,
            _ => MOST,
        }
    }

    /// The bytes that steps on the whole module need, without the compilation of its functions.
    fn whole(&self) -> usize {
        // In bytes of memory, for each byte of code, each other byte, and each item.
        const CODE: usize = 6;
        const OTHER: usize = 16;
        const ITEM: usize = 512;
        let bytes = self.code.saturating_mul(CODE).saturating_add(self.other.saturating_mul(OTHER));
        bytes.saturating_add(self.items.saturating_mul(ITEM))
    }
}
