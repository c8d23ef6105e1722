//! Changes a module before it is compiled, after checking that it is valid (`validate.rs`) and within limits
//! (`effort.rs`):
//!
//! - The start function is exported under a reserved name instead, so that the host can call it once the host functions
//!   can serve it: WASI, for one, needs the instance's memory first.
//! - Memory 0 is exported under a reserved name, for WASI, whatever name the module exports it by.
//! - Calls of host functions that move bytes become loads and stores of a memory that the module gets: `inline.rs`.
//! - The global that points into the module's own stack, if it can be found, is exported: `stack_pointer.rs`.
//! - If the host cannot intercept libcalls, the module gets yield points instead: `ticks.rs`.
//! - If fuel is wanted, the module counts its instructions: `meter.rs`.
//! - Tables get a maximum that is one higher (see `add_tables`); `engine/limits.rs` keeps that element from being used.
//! - References to imported functions become references to wrappers in the module: `wrappers.rs`.
//! - A custom section says how much data memory 0 begins with, so that instances need not copy large data.
//! - The module gets the name that the caller chooses; backtraces show it, and the names of functions.
//! - Custom sections other than `producers` are dropped: most of many plugins is debug data, which nothing here reads.

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
pub(crate) use effort::Estimate;
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
    #[error("function {index} has {what} nested more than {max} deep{advice}")]
    TooDeep { index: u32, what: &'static str, max: u32, advice: &'static str },
    #[error("function {index} has a jump table of {count} targets, and the most is {max}")]
    JumpTable { index: u32, count: u32, max: u32 },
    #[error(
        "it would take too long to compile: an estimate of {estimate} ms, and the most is {max} ms for a module of {size} bytes; \
         of what was looked at, function {function} takes {share} %{advice}"
    )]
    TooMuchWork { estimate: u64, max: u64, size: usize, function: u32, share: u64, advice: &'static str },
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

/// The order of sections in a module. The start section is dropped, custom sections come last.
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

/// Says if the host can intercept libcalls and stop the plugin there. Libcalls are functions of Wasmer's that compiled
/// code calls, to fill or copy memories or tables and for much else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtins {
    Seen,
    /// The compiler's code makes libcalls in a fixed way, and the host can intercept only the growing of a memory.
    Unseen,
}

/// Options of the rewrite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The proposals that the compiler supports; the module may use no others.
    pub(crate) features: &'a Features,
    pub(crate) inlining: Inlining,
    pub(crate) builtins: Builtins,
    /// The compiler that the module shall not take too long.
    pub(crate) estimate: Estimate,
    /// The module shall count its instructions, in the global [`FUEL_IMPORT`](super::FUEL_IMPORT).
    pub(crate) fuel: bool,
}

/// A rewritten module, ready to be compiled.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) wasm: Vec<u8>,
    /// The module owns the I/O memory. No other memory of it has the same type.
    pub(crate) has_io_memory: bool,
}

/// Validates `wasm`, rewrites it and names it `name`.
///
/// If calls are inlined, the module gets the I/O memory as its own, and globals. If libcalls are
/// [`Unseen`](Builtins::Unseen), instructions that make them are followed by a yield point now and then.
///
/// # Errors
/// The module is invalid, uses a proposal that is not among the features, or exceeds a limit.
pub(crate) fn rewrite(name: &str, wasm: &[u8], wanted: Wanted<'_>) -> Result<Rewritten, Error> {
    validate::validate(wasm, wanted.features, wanted.fuel, wanted.estimate)?;
    let survey = Survey::of(wasm)?;
    let wrappers = Wrappers::of(&survey);
    let meter = wanted.fuel.then_some(Meter { global: survey.imported_globals });
    // New globals follow the module's own.
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
    // True if functions or globals are referred to by other indices than before.
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

/// Writes the module's imports and the global that counts instructions.
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
    // Through one of an instance's own functions, the host finds the instance.
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

/// The type of an empty memory that serves only as a yield point: it is asked to grow.
const NO_MEMORY: MemoryType =
    MemoryType { minimum: 0, maximum: Some(0), memory64: false, shared: false, page_size_log2: None };

/// Writes the module's memories, and `more`.
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

/// Writes the module's tables, with a maximum that is one higher. If a table cannot grow, Wasmer's code reads a copy of
/// its elements in the instance, which takes 32 bytes more for each and misses changes by other instances. The highest
/// maximum limits nothing, so it is left out.
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

/// Writes the module's globals, and `more`, which begin as 0.
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

/// The module's name, and names of functions up to the first malformed one: a malformed name section is no error.
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

/// Cuts a name that is too long: a backtrace repeats names for every frame before it can be cut itself. A mangled name
/// would mean nothing when cut, so it is demangled instead.
fn shortened(name: &str) -> Cow<'_, str> {
    if name.len() <= demangle::MAX_NAME {
        return Cow::Borrowed(name);
    }
    let start = &name[..name.floor_char_boundary(demangle::MAX_NAME)];
    demangle::rust(name).map_or(Cow::Borrowed(start), Cow::Owned)
}

#[cfg(test)]
mod tests;
