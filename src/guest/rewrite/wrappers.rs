//! Imported functions that a module has references to get a function of its own around them, and the references lead
//! there.
//!
//! Wasmer's LLVM backend hands every function of a module the address of the module's memory as a hidden argument, and
//! guesses by a function's place in a table whether it is such a function or one of the host's, which has no such
//! parameter. The guess ignores where in the table a segment goes, `table.set`, and passive segments; guessed wrong, a
//! plugin reads and writes wherever in the host it likes. With wrappers every reference of a module is to a function
//! of its own, and there is nothing to guess.

use std::collections::BTreeMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, ElementSection, Elements, Function, FunctionSection, GlobalSection, Instruction, Module, TableSection,
};
use wasmparser::Operator;

use super::Error;
use super::survey::Survey;

/// The wrappers of one module. As a [`Reencode`], it lets references lead to them, and leaves calls alone.
pub(super) struct Wrappers {
    /// Imported function to wrapper.
    by_import: BTreeMap<u32, u32>,
    /// In the order of their indices.
    wrappers: Vec<Wrapper>,
}

pub(super) struct Wrapper {
    pub(super) import: u32,
    /// The index of the type that both have.
    ty: u32,
    parameters: u32,
}

type Result<T> = std::result::Result<T, reencode::Error<Infallible>>;

impl Wrappers {
    /// Wrappers for what `survey` found; `None` if nothing needs one.
    pub(super) fn of(survey: &Survey<'_>) -> std::result::Result<Option<Self>, Error> {
        if survey.referable_imports.is_empty() {
            return Ok(None);
        }
        let mut parameters = Vec::new();
        for ty in survey.types.iter().cloned().flat_map(wasmparser::TypeSectionReader::into_iter_err_on_gc_types) {
            parameters.push(u32::try_from(ty?.params().len()).unwrap_or(u32::MAX));
        }
        let mut wrappers = Vec::with_capacity(survey.referable_imports.len());
        for &import in &survey.referable_imports {
            // What is missing makes the module invalid, which is the compiler's to say.
            let Some(function) = survey.imported_functions.get(import as usize) else { continue };
            let Some(&parameters) = parameters.get(function.ty as usize) else { continue };
            wrappers.push(Wrapper { import, ty: function.ty, parameters });
        }
        let indices = survey.function_count()..;
        let by_import = wrappers.iter().map(|wrapper| wrapper.import).zip(indices).collect();
        Ok(Some(Self { by_import, wrappers }))
    }

    /// All wrappers with their indices.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Wrapper)> {
        self.wrappers.iter().map(|wrapper| (self.function(wrapper.import), wrapper))
    }

    /// The function that stands for `function` where it is referred to.
    fn function(&self, function: u32) -> u32 {
        self.by_import.get(&function).copied().unwrap_or(function)
    }

    pub(super) fn add_functions(&mut self, module: &mut Module, survey: &Survey<'_>) -> Result<()> {
        let mut functions = FunctionSection::new();
        if let Some(section) = survey.functions.clone() {
            self.parse_function_section(&mut functions, section)?;
        }
        for wrapper in &self.wrappers {
            functions.function(wrapper.ty);
        }
        module.section(&functions);
        Ok(())
    }

    pub(super) fn add_tables(&mut self, module: &mut Module, survey: &Survey<'_>) -> Result<()> {
        if let Some(section) = survey.tables.clone() {
            let mut tables = TableSection::new();
            self.parse_table_section(&mut tables, section)?;
            module.section(&tables);
        }
        Ok(())
    }

    pub(super) fn add_globals(&mut self, module: &mut Module, survey: &Survey<'_>) -> Result<()> {
        if let Some(section) = survey.globals.clone() {
            let mut globals = GlobalSection::new();
            self.parse_global_section(&mut globals, section)?;
            module.section(&globals);
        }
        Ok(())
    }

    pub(super) fn add_elements(&mut self, module: &mut Module, survey: &Survey<'_>) -> Result<()> {
        let mut elements = ElementSection::new();
        if let Some(section) = survey.elements.clone() {
            self.parse_element_section(&mut elements, section)?;
        }
        // Code may refer to a function that is exported; to the wrapper around it only if that is declared.
        let all: Vec<u32> = self.iter().map(|(index, _)| index).collect();
        elements.declared(Elements::Functions(all.into()));
        module.section(&elements);
        Ok(())
    }

    pub(super) fn add_code(&mut self, module: &mut Module, survey: &Survey<'_>) -> Result<()> {
        let mut code = CodeSection::new();
        if let Some(section) = survey.code.clone() {
            self.parse_code_section(&mut code, section)?;
        }
        for wrapper in &self.wrappers {
            let mut function = Function::new([]);
            for parameter in 0..wrapper.parameters {
                function.instruction(&Instruction::LocalGet(parameter));
            }
            function.instruction(&Instruction::Call(wrapper.import)).instruction(&Instruction::End);
            code.function(&function);
        }
        module.section(&code);
        Ok(())
    }
}

impl Reencode for Wrappers {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32> {
        Ok(self.function(function))
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>> {
        match operator {
            Operator::Call { function_index } => Ok(Instruction::Call(function_index)),
            Operator::ReturnCall { function_index } => Ok(Instruction::ReturnCall(function_index)),
            other => utils::instruction(self, other),
        }
    }
}
