//! What is changed in a module before it is compiled, once it is known to be valid (`validate.rs`) and within the limits
//! (`effort.rs`):
//!
//! - The start function is no longer run by the engine but exported under a reserved name, and called once the host
//!   functions can serve it: WASI, for one, needs the instance's memory first.
//! - Memory 0 is exported under a reserved name, for WASI, whatever the module exports itself.
//! - Calls of host functions that move bytes become loads and stores of a memory that the module gets; `inline.rs`.
//! - The pointer into its own stack is exported under a reserved name, where it can be told; `stack_pointer.rs`.
//! - Where the compiler's code calls Wasmer unseen, the module counts what it does so; `ticks.rs`.
//! - Where instructions are to be counted, the module counts them; `meter.rs`.
//! - Tables may grow by one element more than they say, of which `engine/limits.rs` lets none be used; `add_tables` says why.
//! - References to imported functions lead to functions of the module; `wrappers.rs` says why.
//! - A section says how much data memory 0 begins with: where it is much, instances need not copy it.
//! - The module gets the name it is asked to have; backtraces show that and the functions' names.
//! - Custom sections are dropped otherwise: debug data is most of many plugins and nobody reads it here.

mod code;
mod effort;
mod indices;
mod inline;
mod meter;
mod stack_pointer;
mod survey;
mod ticks;
mod validate;
mod wrappers;

use std::borrow::Cow;
use std::convert::Infallible;

use thiserror::Error;
use wasm_encoder::reencode::{self, Reencode as _};
use wasm_encoder::{
    ConstExpr, CustomSection, DataSection, ExportKind, ExportSection, GlobalSection, GlobalType, ImportSection,
    MemorySection, MemoryType, Module, NameMap, NameSection, RawSection, SectionId, TableSection, ValType,
};
use wasmer::sys::Features;
use wasmparser::{BinaryReaderError, Export, ExternalKind, Name};

use super::Inlining;
use super::reserved::{
    DATA_SECTION, FUEL_IMPORT, FUNCTION_EXPORT, IO_MEMORY_EXPORT, IO_MEMORY_MAX_PAGES, MEMORY_EXPORT, REGISTER_EXPORTS,
    STACK_POINTER_EXPORT, START_EXPORT, is_reserved,
};
use crate::demangle;
use crate::error::{Excerpt, Message};
use code::Code;
use indices::Indices;
use inline::Inliner;
use meter::Meter;
use survey::Survey;
use ticks::Ticks;
use wrappers::Wrappers;

/// Why a module could not be rewritten.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("failed to parse WebAssembly module: {}", Message::of(.0))]
    Malformed(#[from] BinaryReaderError),
    #[error("failed to parse WebAssembly module: {}", Message::of(.0))]
    Unknown(#[from] reencode::Error<Infallible>),
    #[error("this is a WebAssembly component; a core module is needed")]
    Component,
    #[error("invalid WebAssembly: {0}")]
    Invalid(Message),
    #[error("it uses a proposal that is not offered: {0}")]
    Unsupported(Message),
    #[error("function {index} has {what} nested more than {max} deep")]
    TooDeep { index: u32, what: &'static str, max: u32 },
    #[error("function {index} has a jump table of {count} targets, and the most is {max}")]
    JumpTable { index: u32, count: u32, max: u32 },
    #[error(
        "it would take too long to compile: an estimate of {estimate} ms, and the most is {max} ms for a module of {size} bytes; \
         of what was looked at, function {function} takes {share} %"
    )]
    TooMuchWork { estimate: u64, max: u64, size: usize, function: u32, share: u64 },
    #[error(
        "data segment {index} begins at {offset}, and those that are copied at the start must begin below {max}: use memory.init"
    )]
    HighData { index: u32, offset: u32, max: u32 },
    #[error("the export name `{0}` is reserved")]
    ReservedExport(Excerpt),
    #[error("the import name `{0}::{1}` is reserved")]
    ReservedImport(Excerpt, Excerpt),
    #[error(
        "function {index} is too large to be stopped or to have fuel: with what counts its work it would have {size} bytes, and the most is {max}"
    )]
    TooLargeToCount { index: u32, size: usize, max: usize },
}

/// The sections in the order in which they stand, but for those of other floors.
const ORDER: [SectionId; 12] = [
    SectionId::Type,
    SectionId::Import,
    SectionId::Function,
    SectionId::Table,
    SectionId::Memory,
    SectionId::Tag,
    SectionId::Global,
    SectionId::Export,
    SectionId::Element,
    SectionId::DataCount,
    SectionId::Code,
    SectionId::Data,
];

/// Whether the host sees it when a plugin's code calls Wasmer, as it does for filling and copying memory or tables and much
/// else, and can stop the plugin then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtins {
    Seen,
    /// The compiler's code calls Wasmer in a way that nobody can change. It can be seen to let memory grow.
    Unseen,
}

/// What is wanted of a module, beside what is done to each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// What its compiler understands: it may use no more.
    pub(crate) features: &'a Features,
    pub(crate) inlining: Inlining,
    pub(crate) builtins: Builtins,
    /// It counts its instructions, in the global [`FUEL_IMPORT`](super::FUEL_IMPORT).
    pub(crate) fuel: bool,
}

/// A module as it is compiled.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) wasm: Vec<u8>,
    /// It has the I/O memory for its own. No other memory of it has the type of that.
    pub(crate) has_io_memory: bool,
}

/// Validates `wasm`, rewrites it and names it `name`.
///
/// If calls are inlined, it gets the I/O memory for its own, and globals. If builtins are [`Unseen`](Builtins::Unseen), what
/// calls them is followed by something that can be seen, now and then.
///
/// # Errors
/// It is not valid, uses a proposal that is not among the features, or is above a limit.
pub(crate) fn rewrite(name: &str, wasm: &[u8], wanted: Wanted<'_>) -> Result<Rewritten, Error> {
    validate::validate(wasm, wanted.features, wanted.fuel)?;
    let survey = Survey::of(wasm)?;
    let wrappers = Wrappers::of(&survey);
    let meter = wanted.fuel.then_some(Meter { global: survey.imported_globals });
    // Behind the module's own.
    let globals = survey.global_count().saturating_add(u32::from(wanted.fuel));
    let inliner = Inliner::of(&survey, wanted.inlining, globals);
    let inlines = inliner.is_some();
    let registers: &[ValType] = if inlines { &[ValType::I64; REGISTER_EXPORTS.len()] } else { &[] };
    let ticks = (wanted.builtins == Builtins::Unseen && survey.code.is_some())
        .then(|| Ticks { memory: 0, globals: globals.saturating_add(registers.len() as u32) });
    let more_memories: &[MemoryType] = match (inlines, ticks) {
        (true, _) => &[IO_MEMORY_TYPE],
        (false, Some(_)) if survey.memory_count() == 0 => &[NO_MEMORY],
        (false, _) => &[],
    };
    let more_globals = [registers, if ticks.is_some() { &Ticks::GLOBALS } else { &[] }].concat();
    let has_wrappers = !wrappers.is_empty();
    // Whether what refers to functions or globals does so by other indices.
    let changes_indices = has_wrappers || meter.is_some();
    let changes_code = changes_indices || inlines || ticks.is_some();
    let indices = Indices { wrappers: &wrappers, meter };
    let code = Code { indices, inliner: inliner.as_ref(), ticks };
    let mut module = Module::new();
    for id in ORDER {
        match id {
            SectionId::Import if meter.is_some() => add_imports(&mut module, &survey, indices)?,
            SectionId::Export => add_exports(&mut module, &survey, indices, inliner.as_ref()),
            SectionId::Memory if !more_memories.is_empty() => {
                add_memories(&mut module, &survey, indices, more_memories)?;
            }
            SectionId::Global if changes_indices || !more_globals.is_empty() => {
                add_globals(&mut module, &survey, indices, &more_globals)?;
            }
            SectionId::Code if changes_code => drop(module.section(&code.section(&survey)?)),
            SectionId::Function if has_wrappers => wrappers.add_functions(&mut module, &survey, indices)?,
            SectionId::Table => add_tables(&mut module, &survey, indices)?,
            SectionId::Element if changes_indices => wrappers.add_elements(&mut module, &survey, indices)?,
            SectionId::Data if meter.is_some() => add_data(&mut module, &survey, indices)?,
            _ => {
                if let Some(data) = survey.section(id) {
                    module.section(&RawSection { id: id as u8, data });
                }
            }
        }
    }
    if let Some(data) = survey.data()? {
        let data = data.map(u64::to_le_bytes).concat();
        module.section(&CustomSection { name: DATA_SECTION.into(), data: data.into() });
    }
    if let Some(data) = survey.producers {
        module.section(&CustomSection { name: "producers".into(), data: data.into() });
    }
    module.section(&names(name, &survey, &wrappers));
    Ok(Rewritten { wasm: module.finish(), has_io_memory: inlines })
}

/// The module's imports, and the global to count in.
fn add_imports(module: &mut Module, survey: &Survey<'_>, mut indices: Indices<'_>) -> Result<(), Error> {
    let mut imports = ImportSection::new();
    if let Some(section) = survey.imports.clone() {
        indices.parse_import_section(&mut imports, section)?;
    }
    imports.import(FUEL_IMPORT.0, FUEL_IMPORT.1, Meter::TYPE);
    module.section(&imports);
    Ok(())
}

fn add_exports(module: &mut Module, survey: &Survey<'_>, indices: Indices<'_>, inliner: Option<&Inliner>) {
    let mut exports = ExportSection::new();
    for export in &survey.exports {
        let index = if export.kind == ExternalKind::Global { indices.global(export.index) } else { export.index };
        exports.export(export.name, kind(export.kind), index);
    }
    if let Some(function) = survey.start {
        exports.export(START_EXPORT, ExportKind::Func, function);
    }
    if survey.memory_count() > 0 {
        exports.export(MEMORY_EXPORT, ExportKind::Memory, 0);
    }
    if let Some(pointer) = stack_pointer::find(survey) {
        exports.export(STACK_POINTER_EXPORT, ExportKind::Global, indices.global(pointer));
    }
    // Who has one of its functions finds the instance that it belongs to.
    let own = survey.imported_functions.len() as u32..survey.function_count();
    let is_own = |export: &Export<'_>| export.kind == ExternalKind::Func && own.contains(&export.index);
    let is_exported = survey.exports.iter().any(is_own) || survey.start.is_some_and(|start| own.contains(&start));
    if !own.is_empty() && !is_exported {
        exports.export(FUNCTION_EXPORT, ExportKind::Func, own.start);
    }
    if let Some(inliner) = inliner {
        exports.export(IO_MEMORY_EXPORT, ExportKind::Memory, inliner.memory);
        for (name, index) in REGISTER_EXPORTS.iter().zip(inliner.globals..) {
            exports.export(name, ExportKind::Global, index);
        }
    }
    if !exports.is_empty() {
        module.section(&exports);
    }
}

/// The I/O memory's type.
const IO_MEMORY_TYPE: MemoryType = MemoryType {
    minimum: 1,
    maximum: Some(IO_MEMORY_MAX_PAGES as u64),
    memory64: false,
    shared: false,
    page_size_log2: None,
};

/// That of a memory that is there only to be asked whether it grows.
const NO_MEMORY: MemoryType =
    MemoryType { minimum: 0, maximum: Some(0), memory64: false, shared: false, page_size_log2: None };

/// The module's memories, and more.
fn add_memories(
    module: &mut Module,
    survey: &Survey<'_>,
    mut indices: Indices<'_>,
    more: &[MemoryType],
) -> Result<(), Error> {
    let mut memories = MemorySection::new();
    if let Some(section) = survey.memories.clone() {
        indices.parse_memory_section(&mut memories, section)?;
    }
    for ty in more {
        memories.memory(*ty);
    }
    module.section(&memories);
    Ok(())
}

/// The module's tables, with a maximum that is one higher. Of a table that cannot grow, Wasmer's code reads a copy of its elements
/// in the instance: 32 bytes more for each, and what another instance changes in the table is not in there. The highest maximum
/// is no bound at all, and becomes none.
fn add_tables(module: &mut Module, survey: &Survey<'_>, mut indices: Indices<'_>) -> Result<(), Error> {
    if let Some(section) = survey.tables.clone() {
        let mut tables = TableSection::new();
        for table in section {
            let mut table = table?;
            table.ty.maximum =
                table.ty.maximum.filter(|maximum| *maximum < u64::from(u32::MAX)).map(|maximum| maximum + 1);
            indices.parse_table(&mut tables, table)?;
        }
        module.section(&tables);
    }
    Ok(())
}

/// The module's globals, and more, which are 0.
fn add_globals(
    module: &mut Module,
    survey: &Survey<'_>,
    mut indices: Indices<'_>,
    more: &[ValType],
) -> Result<(), Error> {
    let mut globals = GlobalSection::new();
    if let Some(section) = survey.globals.clone() {
        indices.parse_global_section(&mut globals, section)?;
    }
    for val_type in more {
        let zero = if *val_type == ValType::I64 { ConstExpr::i64_const(0) } else { ConstExpr::i32_const(0) };
        globals.global(GlobalType { val_type: *val_type, mutable: true, shared: false }, &zero);
    }
    if !globals.is_empty() {
        module.section(&globals);
    }
    Ok(())
}

fn add_data(module: &mut Module, survey: &Survey<'_>, mut indices: Indices<'_>) -> Result<(), Error> {
    if let Some(section) = survey.data_section.clone() {
        let mut data = DataSection::new();
        indices.parse_data_section(&mut data, section)?;
        module.section(&data);
    }
    Ok(())
}

fn kind(kind: ExternalKind) -> ExportKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
        ExternalKind::Table => ExportKind::Table,
        ExternalKind::Memory => ExportKind::Memory,
        ExternalKind::Global => ExportKind::Global,
        ExternalKind::Tag => ExportKind::Tag,
    }
}

/// The module's name, and the functions' as far as they can be read: what is malformed there does no harm.
fn names(module: &str, survey: &Survey<'_>, wrappers: &Wrappers) -> NameSection {
    let mut functions = NameMap::new();
    for subsection in survey.names.clone().into_iter().flatten() {
        if let Ok(Name::Function(names)) = subsection {
            let names = names.into_iter().map_while(Result::ok);
            for naming in names.filter(|naming| naming.index < survey.function_count()) {
                functions.append(naming.index, &shortened(naming.name));
            }
        }
    }
    for (index, wrapper) in wrappers.iter() {
        if let Some(function) = survey.imported_functions.get(wrapper.import as usize) {
            functions.append(index, &shortened(function.name));
        }
    }
    let mut section = NameSection::new();
    section.module(&shortened(module));
    section.functions(&functions);
    section
}

/// A backtrace repeats names for every frame, and is made before anyone can cut it. A mangled name that is cut would say
/// nothing any more: it becomes what it stands for.
fn shortened(name: &str) -> Cow<'_, str> {
    if name.len() <= demangle::MAX_NAME {
        return Cow::Borrowed(name);
    }
    let start = &name[..name.floor_char_boundary(demangle::MAX_NAME)];
    demangle::rust(name).map_or(Cow::Borrowed(start), Cow::Owned)
}

#[cfg(test)]
mod tests;
