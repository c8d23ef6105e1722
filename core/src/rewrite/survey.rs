//! Reads a module once: its sections, and the facts that the additions depend on.

use std::collections::BTreeSet;

use wasm_encoder::{MemoryType, SectionId};
use wasmparser::{
    CodeSectionReader, ConstExpr, DataKind, DataSectionReader, ElementItems, ElementSectionReader, Export,
    ExportSectionReader, ExternalKind, FuncType, FunctionSectionReader, GlobalSectionReader, ImportSectionReader,
    KnownCustom, MemorySectionReader, NameSectionReader, Operator, Parser, Payload, TableInit, TableSectionReader,
    TypeRef,
};

use super::error::Error;
use crate::error::Excerpt;
use crate::host::abi::{HOST_MODULE, MEMORY};
use crate::module::reserved::{FUEL_IMPORT, IO_MEMORY_MAX_PAGES, is_reserved};

pub(super) const IO_MEMORY_TYPE: MemoryType = MemoryType {
    minimum: 1,
    maximum: Some(IO_MEMORY_MAX_PAGES as u64),
    memory64: false,
    shared: false,
    page_size_log2: None,
};

/// The contents of one module.
#[derive(Default)]
pub(crate) struct Survey<'a> {
    /// The contents of all sections but custom ones, by section number.
    sections: Vec<(u8, &'a [u8])>,
    pub(crate) types: Vec<FuncType>,
    pub(crate) imports: Option<ImportSectionReader<'a>>,
    pub(crate) functions: Option<FunctionSectionReader<'a>>,
    pub(crate) memories: Option<MemorySectionReader<'a>>,
    pub(crate) tables: Option<TableSectionReader<'a>>,
    pub(crate) globals: Option<GlobalSectionReader<'a>>,
    pub(crate) elements: Option<ElementSectionReader<'a>>,
    pub(crate) code: Option<CodeSectionReader<'a>>,
    pub(crate) exports: Vec<Export<'a>>,
    pub(crate) start: Option<u32>,
    pub(crate) imported_memories: u32,
    /// True if one of the imported memories is the I/O memory.
    pub(crate) imports_io_memory: bool,
    /// True if a memory has the type that the I/O memory would have.
    pub(crate) has_memory_like_io: bool,
    pub(crate) imported_globals: u32,
    pub(crate) producers: Option<&'a [u8]>,
    pub(crate) names: Option<NameSectionReader<'a>>,
    pub(crate) imported_functions: Vec<ImportedFunction<'a>>,
    /// Imported functions that the module may refer to: WebAssembly allows `ref.func` in code only for functions that
    /// an element segment, an initialiser or an export names.
    pub(crate) referable_imports: BTreeSet<u32>,
    pub(crate) data_section: Option<DataSectionReader<'a>>,
}

pub(crate) struct ImportedFunction<'a> {
    pub(crate) module: &'a str,
    pub(crate) name: &'a str,
    /// The index of its type.
    pub(crate) ty: u32,
}

impl<'a> Survey<'a> {
    /// Reads `wasm`, which has to be valid.
    pub(crate) fn of(wasm: &'a [u8]) -> Result<Self, Error> {
        let mut survey = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            if let Some((id, range)) = payload.as_section()
                && id != SectionId::Custom as u8
                && let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end))
                && let Some(contents) = wasm.get(start..end)
            {
                survey.sections.push((id, contents));
            }
            survey.read(payload)?;
        }
        Ok(survey)
    }

    pub(crate) fn section(&self, id: SectionId) -> Option<&'a [u8]> {
        self.sections.iter().find(|(other, _)| *other == id as u8).map(|(_, contents)| *contents)
    }

    /// The number of functions, imported ones included.
    pub(crate) fn function_count(&self) -> u32 {
        let own = self.functions.as_ref().map_or(0, wasmparser::SectionLimited::count);
        own.saturating_add(u32::try_from(self.imported_functions.len()).unwrap_or(u32::MAX))
    }

    /// The number of memories, imported ones included.
    pub(crate) fn memory_count(&self) -> u32 {
        self.imported_memories.saturating_add(self.memories.as_ref().map_or(0, wasmparser::SectionLimited::count))
    }

    /// The number of globals, imported ones included.
    pub(crate) fn global_count(&self) -> u32 {
        self.imported_globals.saturating_add(self.globals.as_ref().map_or(0, wasmparser::SectionLimited::count))
    }

    /// The size of memory 0's initial data in bytes, and its number of segments. `None` if there is no data, the memory
    /// is imported, or instances may differ: a segment's offset depends on a global, which may be imported.
    pub(crate) fn data(&self) -> Result<Option<[u64; 2]>, Error> {
        let (mut bytes, mut segments) = (0, 0);
        for segment in self.data_section.clone().into_iter().flatten() {
            let segment = segment?;
            if let DataKind::Active { memory_index: 0, offset_expr } = segment.kind {
                for operator in offset_expr.get_operators_reader() {
                    if matches!(operator?, Operator::GlobalGet { .. }) {
                        return Ok(None);
                    }
                }
                bytes += segment.data.len() as u64;
                segments += 1;
            }
        }
        Ok((segments > 0 && self.imported_memories == 0).then_some([bytes, segments]))
    }

    fn read(&mut self, payload: Payload<'a>) -> Result<(), Error> {
        match payload {
            Payload::TypeSection(types) => {
                self.types = types.into_iter_err_on_gc_types().collect::<Result<_, _>>()?;
            }
            Payload::ImportSection(imports) => {
                self.read_imports(imports.clone())?;
                self.imports = Some(imports);
            }
            Payload::FunctionSection(functions) => self.functions = Some(functions),
            Payload::TableSection(tables) => {
                for table in tables.clone() {
                    if let TableInit::Expr(initialiser) = table?.init {
                        self.refers_in(&initialiser)?;
                    }
                }
                self.tables = Some(tables);
            }
            Payload::MemorySection(memories) => {
                for memory in memories.clone() {
                    self.note_memory(memory?);
                }
                self.memories = Some(memories);
            }
            Payload::GlobalSection(globals) => {
                for global in globals.clone() {
                    self.refers_in(&global?.init_expr)?;
                }
                self.globals = Some(globals);
            }
            Payload::ExportSection(exports) => self.read_exports(exports)?,
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(elements) => {
                self.read_elements(elements.clone())?;
                self.elements = Some(elements);
            }
            Payload::DataSection(data) => {
                for (segment, index) in data.clone().into_iter().zip(0..) {
                    if let DataKind::Active { offset_expr, .. } = segment?.kind {
                        check_offset(index, &offset_expr)?;
                    }
                }
                self.data_section = Some(data);
            }
            Payload::CodeSectionStart { count, range, .. } => {
                let contents = self.section(SectionId::Code).unwrap_or_default();
                let reader = wasmparser::BinaryReader::new(contents, range.start);
                let code = CodeSectionReader::new(reader)?;
                debug_assert_eq!(code.count(), count);
                self.code = Some(code);
            }
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Name(names) => self.names = Some(names),
                _ if section.name() == "producers" => self.producers = Some(section.data()),
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn read_imports(&mut self, imports: ImportSectionReader<'a>) -> Result<(), Error> {
        for import in imports.into_imports() {
            let import = import?;
            if (import.module, import.name) == FUEL_IMPORT {
                return Err(Error::ReservedImport(Excerpt::of(import.module), Excerpt::of(import.name)));
            }
            match import.ty {
                TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                    self.imported_functions.push(ImportedFunction { module: import.module, name: import.name, ty });
                }
                TypeRef::Memory(ty) => {
                    self.imported_memories += 1;
                    self.note_memory(ty);
                    self.imports_io_memory |= (import.module, import.name) == (HOST_MODULE, MEMORY);
                }
                TypeRef::Global(_) => self.imported_globals += 1,
                TypeRef::Table(_) | TypeRef::Tag(_) => {}
            }
        }
        Ok(())
    }

    fn read_exports(&mut self, exports: ExportSectionReader<'a>) -> Result<(), Error> {
        for export in exports {
            let export = export?;
            if is_reserved(export.name) {
                return Err(Error::ReservedExport(Excerpt::of(export.name)));
            }
            if matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact) {
                self.refers_to(export.index);
            }
            self.exports.push(export);
        }
        Ok(())
    }

    fn read_elements(&mut self, elements: ElementSectionReader<'a>) -> Result<(), Error> {
        for element in elements {
            match element?.items {
                ElementItems::Functions(functions) => {
                    for function in functions {
                        self.refers_to(function?);
                    }
                }
                ElementItems::Expressions(_, expressions) => {
                    for expression in expressions {
                        self.refers_in(&expression?)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn note_memory(&mut self, ty: wasmparser::MemoryType) {
        let io = IO_MEMORY_TYPE;
        self.has_memory_like_io |= (ty.initial, ty.maximum) == (io.minimum, io.maximum);
    }

    fn refers_to(&mut self, function: u32) {
        if (function as usize) < self.imported_functions.len() {
            self.referable_imports.insert(function);
        }
    }

    fn refers_in(&mut self, expression: &ConstExpr<'_>) -> Result<(), Error> {
        for operator in expression.get_operators_reader() {
            if let Operator::RefFunc { function_index } = operator? {
                self.refers_to(function_index);
            }
        }
        Ok(())
    }
}

/// Fails if an active data segment has a constant offset that Wasmer takes for a negative number.
fn check_offset(index: u32, offset: &ConstExpr<'_>) -> Result<(), Error> {
    const MAX: u32 = 1 << 31;
    match offset.get_operators_reader().read()? {
        Operator::I32Const { value } if value < 0 => {
            Err(Error::HighData { index, offset: value.cast_unsigned(), max: MAX })
        }
        _ => Ok(()),
    }
}
