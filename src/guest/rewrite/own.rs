//! What is appended to a module is not for its own code: an index that is beyond what a module has is an error, as it
//! would be without the additions. Everything else that may be invalid is left to the compiler's validation.

use wasmparser::{DataKind, ExternalKind, Operator};

use super::Error;
use super::survey::Survey;

/// How many there are of what the additions are appended to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    functions: u32,
    memories: u32,
    globals: u32,
}

/// The index in a field of an operator, if it is one of those.
macro_rules! check {
    ($own:ident, function_index, $index:expr) => {
        $own.function(*$index)?
    };
    ($own:ident, global_index, $index:expr) => {
        $own.global(*$index)?
    };
    ($own:ident, memarg, $memarg:expr) => {
        $own.memory($memarg.memory)?
    };
    ($own:ident, mem, $index:expr) => {
        $own.memory(*$index)?
    };
    ($own:ident, dst_mem, $index:expr) => {
        $own.memory(*$index)?
    };
    ($own:ident, src_mem, $index:expr) => {
        $own.memory(*$index)?
    };
    ($own:ident, $other:ident, $value:expr) => {
        let _ = $value;
    };
}

macro_rules! operators {
    ($( @$proposal:ident $operator:ident $({ $($field:ident: $ty:ty),* })? => $visit:ident ($($arity:tt)*) )*) => {
        impl Own {
            /// Checks what an instruction refers to.
            pub(super) fn operator(self, operator: &Operator<'_>) -> Result<(), Error> {
                match operator {
                    $( Operator::$operator $({ $($field),* })? => { $($( check!(self, $field, $field); )*)? } )*
                    // Operators of proposals that no compiler here supports.
                    _ => {}
                }
                Ok(())
            }
        }
    };
}

wasmparser::for_each_operator!(operators);

impl Own {
    pub(super) fn of(survey: &Survey<'_>) -> Self {
        Self { functions: survey.function_count(), memories: survey.memory_count(), globals: survey.global_count() }
    }

    /// Checks what stands outside functions: exports, the start function, where data goes.
    pub(super) fn module(self, survey: &Survey<'_>) -> Result<(), Error> {
        for export in &survey.exports {
            match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => self.function(export.index)?,
                ExternalKind::Memory => self.memory(export.index)?,
                ExternalKind::Global => self.global(export.index)?,
                ExternalKind::Table | ExternalKind::Tag => {}
            }
        }
        for data in survey.data_section.clone().into_iter().flatten() {
            if let DataKind::Active { memory_index, .. } = data?.kind {
                self.memory(memory_index)?;
            }
        }
        survey.start.into_iter().chain(survey.referred.iter().copied()).try_for_each(|function| self.function(function))
    }

    fn function(self, index: u32) -> Result<(), Error> {
        below(index, self.functions, "function")
    }

    fn memory(self, index: u32) -> Result<(), Error> {
        below(index, self.memories, "memory")
    }

    fn global(self, index: u32) -> Result<(), Error> {
        below(index, self.globals, "global")
    }
}

fn below(index: u32, count: u32, what: &'static str) -> Result<(), Error> {
    if index < count { Ok(()) } else { Err(Error::Beyond { what, index, count }) }
}
