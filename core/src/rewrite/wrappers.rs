//! Gives each imported function that a module may refer to a wrapper, a function of the module that calls it.
//! References then lead to the wrapper.
//!
//! Wasmer's LLVM backend passes every function of a module the address of the module's memory as a hidden argument. By
//! a function's place in a table it guesses if the function expects that, as the module's functions do and the host's
//! do not. The guess ignores the offset of segments in the table, `table.set` and passive segments. After a wrong
//! guess, a plugin can read and write any memory of the host. Wrappers make the guess irrelevant: a module refers to
//! its own functions only.

use std::collections::BTreeMap;

use super::survey::Survey;

#[derive(Default)]
pub(crate) struct Wrappers {
    /// The wrapper's index for each imported function.
    by_import: BTreeMap<u32, u32>,
    /// In the order of their indices.
    wrappers: Vec<Wrapper>,
}

pub(crate) struct Wrapper {
    pub(crate) import: u32,
    /// The index of the type of both functions.
    pub(crate) ty: u32,
    pub(crate) parameters: u32,
}

impl Wrappers {
    /// One wrapper for each imported function that `survey` found to be referred to.
    pub(crate) fn of(survey: &Survey<'_>) -> Self {
        let mut wrappers = Vec::with_capacity(survey.referable_imports.len());
        for &import in &survey.referable_imports {
            let Some(function) = survey.imported_functions.get(import as usize) else { continue };
            let Some(ty) = survey.types.get(function.ty as usize) else { continue };
            let parameters = u32::try_from(ty.params().len()).unwrap_or(u32::MAX);
            wrappers.push(Wrapper { import, ty: function.ty, parameters });
        }
        let indices = survey.function_count()..;
        let by_import = wrappers.iter().map(|wrapper| wrapper.import).zip(indices).collect();
        Self { by_import, wrappers }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wrappers.is_empty()
    }

    /// All wrappers with their indices.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Wrapper)> {
        self.wrappers.iter().map(|wrapper| (self.function(wrapper.import), wrapper))
    }

    /// The index by which references to `function` refer to it: its wrapper's, if it has one.
    pub(crate) fn function(&self, function: u32) -> u32 {
        self.by_import.get(&function).copied().unwrap_or(function)
    }
}
