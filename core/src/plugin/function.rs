//! The functions of an instance that the host calls: those that the caller names, and the initialisers.

use std::collections::HashMap;
use std::ffi::{CStr, CString};

use wasmer::{Extern, ExternType, FunctionType, Instance, RuntimeError, Store, Type, TypedFunction};

use super::call_error::CallError;
use super::error::type_name;
use crate::error::Excerpt;
use crate::module::reserved;

/// The functions of an instance that have been called. Optimised for calls of the same function.
#[derive(Default)]
pub(super) struct Functions {
    all: Vec<(CString, Function)>,
    by_name: HashMap<CString, FunctionIndex>,
    last: FunctionIndex,
}

/// An index into [`Functions::all`].
pub(super) type FunctionIndex = usize;

impl Functions {
    /// The index of the function `name`, if it has been called.
    #[inline]
    pub(super) fn index_of(&mut self, name: &CStr) -> Option<FunctionIndex> {
        let is_last = self.all.get(self.last).is_some_and(|(last, _)| last.as_c_str() == name);
        if !is_last {
            self.last = *self.by_name.get(name)?;
        }
        Some(self.last)
    }

    /// The name of the function that was called last.
    pub(super) fn last(&self) -> Option<&CStr> {
        self.all.get(self.last).map(|(name, _)| name.as_c_str())
    }

    /// The function at an index that these functions gave.
    #[inline]
    pub(super) fn get(&self, index: FunctionIndex) -> &Function {
        &self.all[index].1
    }

    pub(super) fn add(&mut self, name: &CStr, function: Function) -> FunctionIndex {
        self.last = self.all.len();
        self.by_name.insert(name.to_owned(), self.last);
        self.all.push((name.to_owned(), function));
        self.last
    }
}

/// A function that the host can call: no parameters, and a status (`i32`) or no result.
#[derive(Clone)]
pub(super) struct Function {
    typed: Typed,
    pub(super) role: Role,
}

/// A function by its result.
#[derive(Clone)]
enum Typed {
    Nothing(TypedFunction<(), ()>),
    Status(TypedFunction<(), i32>),
}

/// The role that a function's name implies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The entry of a WASI command, which may run only once in an instance.
    Start,
    /// An initialiser, or a function that runs the initialisers itself.
    Initialiser,
    Other,
}

impl Role {
    fn of(name: &str) -> Self {
        match name {
            "_start" => Self::Start,
            "_initialize" | "__wasm_call_ctors" | "hs_init" => Self::Initialiser,
            _ => Self::Other,
        }
    }
}

impl Function {
    /// Looks up the function that `main` exports as `name`.
    pub(super) fn find(store: &Store, main: &Instance, name: &str) -> Result<Self, CallError> {
        let not_found = || CallError::NotFound(Excerpt::of(name));
        if reserved::is_reserved(name) {
            return Err(not_found());
        }
        // Not `get_function`: Wasmer's error would contain a copy of the name, however long.
        let Some(Extern::Function(function)) = main.exports.get_extern(name) else { return Err(not_found()) };
        let ty = function.ty(store);
        let cannot_be = |_| not_found();
        let typed = match (ty.params(), ty.results()) {
            (_, results) if results.len() > 1 => {
                return Err(CallError::TooManyResults { name: Excerpt::of(name), results: results.len() });
            }
            (parameters, _) if !parameters.is_empty() => {
                return Err(CallError::Parameters { name: Excerpt::of(name), parameters: parameters.len() });
            }
            (_, []) => function.typed(store).map(Typed::Nothing).map_err(cannot_be)?,
            (_, [Type::I32]) => function.typed(store).map(Typed::Status).map_err(cannot_be)?,
            (_, results) => return Err(CallError::BadResult { name: Excerpt::of(name), ty: type_name(results[0]) }),
        };
        Ok(Self { typed, role: Role::of(name) })
    }

    /// Calls the function. Returns its status, 0 if it has none.
    #[inline]
    pub(super) fn call(&self, store: &mut Store) -> Result<i32, RuntimeError> {
        match &self.typed {
            Typed::Nothing(function) => function.call(store).map(|()| 0),
            Typed::Status(function) => function.call(store),
        }
    }
}

/// Runs the main module's initialisers by the rule of Extism 0.5 and later: Haskell's if there is one, else the
/// constructors, else the WASI reactor's. A function of another type does not count as an initialiser.
pub(super) fn initialise(store: &mut Store, main: &Instance) -> Result<(), RuntimeError> {
    let initialize = initialiser(store, main, "_initialize", &[]);
    if let Some(hs_init) = initialiser(store, main, "hs_init", &[Type::I32, Type::I32]) {
        if let Some(initialize) = initialize {
            initialize.call(store, &[])?;
        }
        return hs_init.call(store, &[0.into(), 0.into()]).map(drop);
    }
    match initialiser(store, main, "__wasm_call_ctors", &[]).or(initialize) {
        Some(function) => function.call(store, &[]).map(drop),
        None => Ok(()),
    }
}

fn initialiser(store: &Store, main: &Instance, name: &str, parameters: &[Type]) -> Option<wasmer::Function> {
    let function = main.exports.get_function(name).ok()?;
    let wanted = ExternType::Function(FunctionType::new(parameters, []));
    (ExternType::Function(function.ty(store)) == wanted).then(|| function.clone())
}
