//! What is changed in a module before it is compiled:
//!
//! - The start function is no longer run by the engine but exported under a reserved name, and called once the host
//!   functions can serve it: WASI, for one, needs the instance's memory first.
//! - Memory 0 is exported under a reserved name, for WASI, whatever the module exports itself.
//! - The module gets the manifest's name for it; backtraces show that and the functions' names.
//! - Custom sections are dropped otherwise: debug data is most of many plugins and nobody reads it here.

use std::ops::Range;

use thiserror::Error;
use wasm_encoder::{ExportKind, ExportSection, NameMap, NameSection, RawSection, SectionId};
use wasmparser::{BinaryReaderError, Encoding, ExternalKind, KnownCustom, Name, NameSectionReader, Parser, Payload};

/// The start function, where the module has one.
pub(crate) const START_EXPORT: &str = "extism-wasmer:start";

/// Memory 0, where the module has one.
pub(crate) const MEMORY_EXPORT: &str = "extism-wasmer:memory";

/// True for the names that this file adds; they are not the plugin's.
pub(crate) fn is_reserved(export: &str) -> bool {
    export == START_EXPORT || export == MEMORY_EXPORT
}

/// Why a module could not be rewritten.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("failed to parse WebAssembly module: {0}")]
    Malformed(#[from] BinaryReaderError),
    #[error("this is a WebAssembly component; a core module is needed")]
    Component,
    #[error("the export name `{0}` is reserved")]
    ReservedExport(String),
}

/// Rewrites `wasm`, which the manifest calls `name`. The module is not validated here; the compiler does that with the result.
///
/// # Errors
/// The bytes are not a module that can be taken apart.
pub(crate) fn rewrite(name: &str, wasm: &[u8]) -> Result<Vec<u8>, Error> {
    let facts = survey(wasm)?;
    let mut module = wasm_encoder::Module::new();
    let mut exports = Some(exports(&facts));
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else { continue };
        if id > SectionId::Export as u8 && has_place(id) || id == SectionId::Export as u8 {
            add_exports(&mut module, exports.take());
        }
        if keep(&payload)
            && let Some(data) = bytes(wasm, range)
        {
            module.section(&RawSection { id, data });
        }
    }
    add_exports(&mut module, exports.take());
    module.section(&names(name, facts.names));
    Ok(module.finish())
}

fn bytes(wasm: &[u8], range: Range<u64>) -> Option<&[u8]> {
    wasm.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

/// What the additions depend on.
#[derive(Default)]
struct Facts<'a> {
    exports: Vec<wasmparser::Export<'a>>,
    start: Option<u32>,
    has_memory: bool,
    names: Option<NameSectionReader<'a>>,
}

fn survey(wasm: &[u8]) -> Result<Facts<'_>, Error> {
    let mut facts = Facts::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { encoding: Encoding::Component, .. } => return Err(Error::Component),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    facts.has_memory |= matches!(import?.ty, wasmparser::TypeRef::Memory(_));
                }
            }
            Payload::MemorySection(memories) => facts.has_memory |= memories.count() > 0,
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if is_reserved(export.name) {
                        return Err(Error::ReservedExport(export.name.to_owned()));
                    }
                    facts.exports.push(export);
                }
            }
            Payload::StartSection { func, .. } => facts.start = Some(func),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    facts.names = Some(names);
                }
            }
            _ => {}
        }
    }
    Ok(facts)
}

fn exports(facts: &Facts<'_>) -> ExportSection {
    let mut exports = ExportSection::new();
    for export in &facts.exports {
        exports.export(export.name, kind(export.kind), export.index);
    }
    if let Some(function) = facts.start {
        exports.export(START_EXPORT, ExportKind::Func, function);
    }
    if facts.has_memory {
        exports.export(MEMORY_EXPORT, ExportKind::Memory, 0);
    }
    exports
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

fn add_exports(module: &mut wasm_encoder::Module, exports: Option<ExportSection>) {
    if let Some(exports) = exports
        && !exports.is_empty()
    {
        module.section(&exports);
    }
}

/// True if a section's id tells where it stands: custom sections stand anywhere, and tags have a late id but an
/// early place, before the exports.
fn has_place(id: u8) -> bool {
    id != SectionId::Custom as u8 && id != SectionId::Tag as u8
}

fn keep(payload: &Payload<'_>) -> bool {
    match payload {
        Payload::StartSection { .. } | Payload::ExportSection(_) => false,
        Payload::CustomSection(section) => section.name() == "producers",
        _ => true,
    }
}

/// The module's name, and the functions' as far as they can be read: what is malformed there does no harm.
fn names(module: &str, names: Option<NameSectionReader<'_>>) -> NameSection {
    let mut section = NameSection::new();
    section.module(shortened(module));
    for subsection in names.into_iter().flatten() {
        if let Ok(Name::Function(functions)) = subsection {
            let mut map = NameMap::new();
            for naming in functions.into_iter().map_while(Result::ok) {
                map.append(naming.index, shortened(naming.name));
            }
            section.functions(&map);
        }
    }
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

    #[test]
    fn what_cannot_be_taken_apart_is_an_error() {
        assert!(matches!(rewrite("main", b"\0asm"), Err(Error::Malformed(_))));
        assert!(matches!(rewrite("main", b"\0asm\x0d\0\x01\0"), Err(Error::Component)));
        let reserved = wat::parse_str(format!("(module (func (export \"{START_EXPORT}\")))")).expect("WAT");
        assert!(matches!(rewrite("main", &reserved), Err(Error::ReservedExport(_))));
    }
}
