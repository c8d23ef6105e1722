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

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{ElementSection, Elements, FunctionSection, Module, TableSection};

use super::survey::Survey;

/// The wrappers of one module.
#[derive(Default)]
pub(super) struct Wrappers {
    /// Imported function to wrapper.
    by_import: BTreeMap<u32, u32>,
    /// In the order of their indices.
    wrappers: Vec<Wrapper>,
}

pub(super) struct Wrapper {
    pub(super) import: u32,
    /// The index of the type that both have.
    pub(super) ty: u32,
    pub(super) parameters: u32,
}

type Result<T> = std::result::Result<T, reencode::Error<Infallible>>;

impl Wrappers {
    /// Wrappers for what `survey` found.
    pub(super) fn of(survey: &Survey<'_>) -> Self {
        let mut wrappers = Vec::with_capacity(survey.referable_imports.len());
        for &import in &survey.referable_imports {
            // What is missing makes the module invalid, which is the compiler's to say.
            let Some(function) = survey.imported_functions.get(import as usize) else { continue };
            let Some(ty) = survey.types.get(function.ty as usize) else { continue };
            let parameters = u32::try_from(ty.params().len()).unwrap_or(u32::MAX);
            wrappers.push(Wrapper { import, ty: function.ty, parameters });
        }
        let indices = survey.function_count()..;
        let by_import = wrappers.iter().map(|wrapper| wrapper.import).zip(indices).collect();
        Self { by_import, wrappers }
    }

    /// Copies sections with references that lead to the wrappers.
    pub(super) fn redirected(&self) -> Redirected<'_> {
        Redirected(self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wrappers.is_empty()
    }

    /// All wrappers with their indices.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Wrapper)> {
        self.wrappers.iter().map(|wrapper| (self.function(wrapper.import), wrapper))
    }

    /// The function that stands for `function` where it is referred to.
    pub(super) fn function(&self, function: u32) -> u32 {
        self.by_import.get(&function).copied().unwrap_or(function)
    }

    pub(super) fn add_functions(&self, module: &mut Module, survey: &Survey<'_>) -> Result<()> {
        let mut functions = FunctionSection::new();
        if let Some(section) = survey.functions.clone() {
            self.redirected().parse_function_section(&mut functions, section)?;
        }
        for wrapper in &self.wrappers {
            functions.function(wrapper.ty);
        }
        module.section(&functions);
        Ok(())
    }

    pub(super) fn add_tables(&self, module: &mut Module, survey: &Survey<'_>) -> Result<()> {
        if let Some(section) = survey.tables.clone() {
            let mut tables = TableSection::new();
            self.redirected().parse_table_section(&mut tables, section)?;
            module.section(&tables);
        }
        Ok(())
    }

    pub(super) fn add_elements(&self, module: &mut Module, survey: &Survey<'_>) -> Result<()> {
        let mut elements = ElementSection::new();
        if let Some(section) = survey.elements.clone() {
            self.redirected().parse_element_section(&mut elements, section)?;
        }
        // Code may refer to a function that is exported; to the wrapper around it only if that is declared.
        let all: Vec<u32> = self.iter().map(|(index, _)| index).collect();
        elements.declared(Elements::Functions(all.into()));
        module.section(&elements);
        Ok(())
    }
}

/// Copies what refers to functions, with references to imported ones leading to the wrappers.
pub(super) struct Redirected<'a>(&'a Wrappers);

impl Reencode for Redirected<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32> {
        Ok(self.0.function(function))
    }
}
