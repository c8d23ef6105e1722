//! What is changed in a module before it is compiled:
//!
//! - The start function is no longer run by the engine but exported under a reserved name, and called once the host
//!   functions can serve it: WASI, for one, needs the instance's memory first.
//! - Memory 0 is exported under a reserved name, for WASI, whatever the module exports itself.
//! - References to imported functions lead to functions of the module; `wrappers.rs` says why.
//! - The module gets the name it is asked to have; backtraces show that and the functions' names.
//! - Custom sections are dropped otherwise: debug data is most of many plugins and nobody reads it here.

mod survey;
mod wrappers;

use std::convert::Infallible;

use thiserror::Error;
use wasm_encoder::{
    CustomSection, ExportKind, ExportSection, Module, NameMap, NameSection, RawSection, SectionId, reencode,
};
use wasmparser::{BinaryReaderError, ExternalKind, Name};

use super::reserved::{MEMORY_EXPORT, START_EXPORT, is_reserved};
use survey::Survey;
use wrappers::Wrappers;

/// Why a module could not be rewritten.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("failed to parse WebAssembly module: {0}")]
    Malformed(#[from] BinaryReaderError),
    #[error("failed to parse WebAssembly module: {0}")]
    Unknown(#[from] reencode::Error<Infallible>),
    #[error("this is a WebAssembly component; a core module is needed")]
    Component,
    #[error("the export name `{0}` is reserved")]
    ReservedExport(String),
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

/// Rewrites `wasm` and names it `name`. The module is not validated here; the compiler does that with the result.
///
/// # Errors
/// The bytes are not a module that can be taken apart.
pub(crate) fn rewrite(name: &str, wasm: &[u8]) -> Result<Vec<u8>, Error> {
    let survey = Survey::of(wasm)?;
    let mut wrappers = Wrappers::of(&survey)?;
    let mut module = Module::new();
    for id in ORDER {
        match (id, &mut wrappers) {
            (SectionId::Export, _) => add_exports(&mut module, &survey),
            (SectionId::Function, Some(wrappers)) => wrappers.add_functions(&mut module, &survey)?,
            (SectionId::Table, Some(wrappers)) => wrappers.add_tables(&mut module, &survey)?,
            (SectionId::Global, Some(wrappers)) => wrappers.add_globals(&mut module, &survey)?,
            (SectionId::Element, Some(wrappers)) => wrappers.add_elements(&mut module, &survey)?,
            (SectionId::Code, Some(wrappers)) => wrappers.add_code(&mut module, &survey)?,
            _ => {
                if let Some(data) = survey.section(id) {
                    module.section(&RawSection { id: id as u8, data });
                }
            }
        }
    }
    if let Some(data) = survey.producers {
        module.section(&CustomSection { name: "producers".into(), data: data.into() });
    }
    module.section(&names(name, &survey, wrappers.as_ref()));
    Ok(module.finish())
}

fn add_exports(module: &mut Module, survey: &Survey<'_>) {
    let mut exports = ExportSection::new();
    for export in &survey.exports {
        exports.export(export.name, kind(export.kind), export.index);
    }
    if let Some(function) = survey.start {
        exports.export(START_EXPORT, ExportKind::Func, function);
    }
    if survey.has_memory {
        exports.export(MEMORY_EXPORT, ExportKind::Memory, 0);
    }
    if !exports.is_empty() {
        module.section(&exports);
    }
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
fn names(module: &str, survey: &Survey<'_>, wrappers: Option<&Wrappers>) -> NameSection {
    let mut functions = NameMap::new();
    for subsection in survey.names.clone().into_iter().flatten() {
        if let Ok(Name::Function(names)) = subsection {
            let names = names.into_iter().map_while(Result::ok);
            for naming in names.filter(|naming| naming.index < survey.function_count()) {
                functions.append(naming.index, shortened(naming.name));
            }
        }
    }
    for (index, wrapper) in wrappers.into_iter().flat_map(Wrappers::iter) {
        if let Some(function) = survey.imported_functions.get(wrapper.import as usize) {
            functions.append(index, shortened(function.name));
        }
    }
    let mut section = NameSection::new();
    section.module(shortened(module));
    section.functions(&functions);
    section
}

/// A backtrace repeats names for every frame, and is made before anyone can cut it.
fn shortened(name: &str) -> &str {
    const MAX_NAME: usize = 256;
    &name[..name.floor_char_boundary(MAX_NAME)]
}

#[cfg(test)]
mod tests {
    use super::{Error, MEMORY_EXPORT, START_EXPORT, rewrite};
    use crate::guest::REWRITE_VERSION;
    use wasmparser::{Parser, Payload, Validator};

    fn rewritten(wat: &str) -> Vec<u8> {
        let wasm = rewrite("main", &wat::parse_str(wat).expect("WAT")).expect("a module");
        Validator::new().validate_all(&wasm).expect("still valid");
        wasm
    }

    fn export_names(wasm: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            if let Payload::ExportSection(exports) = payload.expect("valid") {
                names.extend(exports.into_iter().map(|export| export.expect("valid").name.to_owned()));
            }
        }
        names
    }

    #[test]
    fn the_start_function_becomes_an_export() {
        let wasm = rewritten("(module (func $f) (start $f) (export \"g\" (func $f)))");
        assert_eq!(export_names(&wasm), ["g", START_EXPORT]);
        assert!(!Parser::new(0).parse_all(&wasm).any(|payload| matches!(payload, Ok(Payload::StartSection { .. }))));
    }

    #[test]
    fn an_export_section_is_made_where_there_is_none() {
        for wat in [
            "(module (memory 1))",
            "(module (import \"a\" \"b\" (memory 1)))",
            "(module (memory 1) (data (i32.const 0) \"x\"))",
            "(module (memory 1) (tag) (global i32 (i32.const 1)) (table 1 funcref) (func) (elem func 0))",
        ] {
            assert_eq!(export_names(&rewritten(wat)), [MEMORY_EXPORT], "{wat}");
        }
        assert!(export_names(&rewritten("(module)")).is_empty());
    }

    #[test]
    fn only_name_and_producers_survive_of_the_custom_sections() {
        let wasm = rewritten(
            "(module $named (@custom \".debug_info\" \"big\") (@custom \"producers\" \"\\00\") (func $f) (@custom \"x\" (after code) \"\"))",
        );
        let customs: Vec<String> = Parser::new(0)
            .parse_all(&wasm)
            .filter_map(|payload| match payload {
                Ok(Payload::CustomSection(section)) => Some(section.name().to_owned()),
                _ => None,
            })
            .collect();
        assert_eq!(customs, ["producers", "name"]);
    }

    /// Compiled code that is kept is that of rewritten modules.
    #[test]
    fn what_comes_out_differently_has_another_version() {
        let wasm = rewritten(
            r#"(module $m (import "a" "b" (func $host (param i32))) (memory 1) (table 2 funcref) (start $own)
                (elem (i32.const 0) $host $own) (func $own (drop (ref.func $host))) (export "f" (func $own))
                (@custom "producers" "\00") (data (i32.const 0) "x"))"#,
        );
        let found = (REWRITE_VERSION, blake3::hash(&wasm).to_hex()[..16].to_owned());
        assert_eq!(found, (1, "e623192aee178c5f".to_owned()), "if this changes, so must REWRITE_VERSION");
    }

    #[test]
    fn what_cannot_be_taken_apart_is_an_error() {
        assert!(matches!(rewrite("main", b"\0asm"), Err(Error::Malformed(_))));
        assert!(matches!(rewrite("main", b"\0asm\x0d\0\x01\0"), Err(Error::Component)));
        let reserved = wat::parse_str(format!("(module (func (export \"{START_EXPORT}\")))")).expect("WAT");
        assert!(matches!(rewrite("main", &reserved), Err(Error::ReservedExport(_))));
    }
}
