//! Writes the sections of the rewritten module. A section in which nothing changes is copied byte by byte.

use wasm_encoder::reencode::Reencode as _;
use wasm_encoder::reencode::utils::export_kind;
use wasm_encoder::{
    ConstExpr, DataSection, ElementSection, Elements, ExportKind, ExportSection, FunctionSection, GlobalSection,
    GlobalType, ImportSection, MemorySection, MemoryType, Module, RawSection, SectionId, TableSection, ValType,
};
use wasmparser::{Export, ExternalKind};

use super::code::CodeChanges;
use super::error::Error;
use super::indices::Indices;
use super::inline::Inliner;
use super::meter::Meter;
use super::options::{Libcalls, RewriteOptions};
use super::stack_pointer;
use super::survey::{IO_MEMORY_TYPE, Survey};
use super::wrappers::Wrappers;
use super::yield_points::{NO_MEMORY, YieldPoints};
use crate::module::reserved::{
    FUEL_IMPORT, FUNCTION_EXPORT, IO_MEMORY_EXPORT, MEMORY_EXPORT, REGISTER_EXPORTS, STACK_POINTER_EXPORT, START_EXPORT,
};

/// A module and the changes to make.
pub(super) struct Sections<'a> {
    survey: &'a Survey<'a>,
    indices: Indices<'a>,
    inliner: Option<Inliner>,
    yield_points: Option<YieldPoints>,
}

impl<'a> Sections<'a> {
    /// Decides what to change. New globals follow the module's own: first the registers of inlined code, then those of
    /// yield points.
    pub(super) fn new(survey: &'a Survey<'a>, wrappers: &'a Wrappers, options: RewriteOptions<'_>) -> Self {
        let meter = options.fuel.then_some(Meter { global: survey.imported_globals });
        let globals = survey.global_count().saturating_add(u32::from(options.fuel));
        let inliner = Inliner::of(survey, options.inlining, globals);
        let registers = if inliner.is_some() { REGISTER_EXPORTS.len() as u32 } else { 0 };
        let yield_points = (options.libcalls == Libcalls::Unseen && survey.code.is_some())
            .then(|| YieldPoints { memory: 0, globals: globals.saturating_add(registers) });
        Self { survey, indices: Indices { wrappers, meter }, inliner, yield_points }
    }

    pub(super) fn has_io_memory(&self) -> bool {
        self.inliner.is_some()
    }

    /// Writes the section `id`, if the module has one or needs one.
    pub(super) fn write(&self, id: SectionId, module: &mut Module) -> Result<(), Error> {
        let has_wrappers = !self.indices.wrappers.is_empty();
        // True if functions or globals are referred to by other indices than before.
        let changes_indices = has_wrappers || self.indices.meter.is_some();
        let changes_code = changes_indices || self.inliner.is_some() || self.yield_points.is_some();
        let (memories, globals) = (self.new_memories(), self.new_globals());
        match id {
            SectionId::Import if self.indices.meter.is_some() => self.imports(module)?,
            SectionId::Export => self.exports(module),
            SectionId::Memory if !memories.is_empty() => self.memories(memories, module)?,
            SectionId::Global if changes_indices || !globals.is_empty() => self.globals(&globals, module)?,
            SectionId::Code if changes_code => {
                let (inliner, yield_points) = (self.inliner.as_ref(), self.yield_points);
                let code = CodeChanges { indices: self.indices, inliner, yield_points };
                module.section(&code.section(self.survey)?);
            }
            SectionId::Function if has_wrappers => self.functions(module)?,
            SectionId::Table => self.tables(module)?,
            SectionId::Element if changes_indices => self.elements(module)?,
            SectionId::Data if self.indices.meter.is_some() => self.data(module)?,
            _ => {
                if let Some(data) = self.survey.section(id) {
                    module.section(&RawSection { id: id as u8, data });
                }
            }
        }
        Ok(())
    }

    fn new_memories(&self) -> &'static [MemoryType] {
        match (&self.inliner, self.yield_points) {
            (Some(_), _) => &[IO_MEMORY_TYPE],
            (None, Some(_)) if self.survey.memory_count() == 0 => &[NO_MEMORY],
            (None, _) => &[],
        }
    }

    fn new_globals(&self) -> Vec<ValType> {
        let registers: &[ValType] = if self.inliner.is_some() { &[ValType::I64; REGISTER_EXPORTS.len()] } else { &[] };
        [registers, if self.yield_points.is_some() { &YieldPoints::GLOBALS } else { &[] }].concat()
    }

    /// Writes the module's imports and the global that counts instructions.
    fn imports(&self, module: &mut Module) -> Result<(), Error> {
        let (mut imports, mut indices) = (ImportSection::new(), self.indices);
        if let Some(section) = self.survey.imports.clone() {
            indices.parse_import_section(&mut imports, section)?;
        }
        imports.import(FUEL_IMPORT.0, FUEL_IMPORT.1, Meter::TYPE);
        module.section(&imports);
        Ok(())
    }

    /// Writes the types of the module's functions, and of the wrappers.
    fn functions(&self, module: &mut Module) -> Result<(), Error> {
        let (mut functions, mut indices) = (FunctionSection::new(), self.indices);
        if let Some(section) = self.survey.functions.clone() {
            indices.parse_function_section(&mut functions, section)?;
        }
        for (_, wrapper) in self.indices.wrappers.iter() {
            functions.function(wrapper.ty);
        }
        module.section(&functions);
        Ok(())
    }

    /// Writes the module's tables, with a maximum that is one higher. If a table cannot grow, Wasmer's code reads a
    /// copy of its elements in the instance, which takes 32 bytes more for each and misses changes by other instances.
    /// The highest maximum limits nothing, so it is left out.
    fn tables(&self, module: &mut Module) -> Result<(), Error> {
        let Some(section) = self.survey.tables.clone() else { return Ok(()) };
        let (mut tables, mut indices) = (TableSection::new(), self.indices);
        for table in section {
            let mut table = table?;
            table.ty.maximum =
                table.ty.maximum.filter(|maximum| *maximum < u64::from(u32::MAX)).map(|maximum| maximum + 1);
            indices.parse_table(&mut tables, table)?;
        }
        module.section(&tables);
        Ok(())
    }

    /// Writes the module's memories, and `more`.
    fn memories(&self, more: &[MemoryType], module: &mut Module) -> Result<(), Error> {
        let (mut memories, mut indices) = (MemorySection::new(), self.indices);
        if let Some(section) = self.survey.memories.clone() {
            indices.parse_memory_section(&mut memories, section)?;
        }
        for ty in more {
            memories.memory(*ty);
        }
        module.section(&memories);
        Ok(())
    }

    /// Writes the module's globals, and `more`, which begin as 0.
    fn globals(&self, more: &[ValType], module: &mut Module) -> Result<(), Error> {
        let (mut globals, mut indices) = (GlobalSection::new(), self.indices);
        if let Some(section) = self.survey.globals.clone() {
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

    fn exports(&self, module: &mut Module) {
        let (survey, mut indices) = (self.survey, self.indices);
        let mut exports = ExportSection::new();
        for export in &survey.exports {
            let index = if export.kind == ExternalKind::Global { indices.global(export.index) } else { export.index };
            exports.export(export.name, export_kind(&mut indices, export.kind), index);
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
        if let Some(inliner) = &self.inliner {
            exports.export(IO_MEMORY_EXPORT, ExportKind::Memory, inliner.memory);
            for (name, index) in REGISTER_EXPORTS.iter().zip(inliner.globals..) {
                exports.export(name, ExportKind::Global, index);
            }
        }
        if !exports.is_empty() {
            module.section(&exports);
        }
    }

    /// Writes the module's elements, and declares the wrappers, which code may refer to only then.
    fn elements(&self, module: &mut Module) -> Result<(), Error> {
        let (mut elements, mut indices) = (ElementSection::new(), self.indices);
        if let Some(section) = self.survey.elements.clone() {
            indices.parse_element_section(&mut elements, section)?;
        }
        if !indices.wrappers.is_empty() {
            let all: Vec<u32> = indices.wrappers.iter().map(|(index, _)| index).collect();
            elements.declared(Elements::Functions(all.into()));
        }
        if !elements.is_empty() {
            module.section(&elements);
        }
        Ok(())
    }

    fn data(&self, module: &mut Module) -> Result<(), Error> {
        let Some(section) = self.survey.data_section.clone() else { return Ok(()) };
        let (mut data, mut indices) = (DataSection::new(), self.indices);
        indices.parse_data_section(&mut data, section)?;
        module.section(&data);
        Ok(())
    }
}
