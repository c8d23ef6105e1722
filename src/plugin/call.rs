//! One call of one function.

use std::ffi::CStr;

use thiserror::Error as ThisError;
use wasmer::{ExternType, FunctionType, Instance, RuntimeError, Store, Type, TypedFunction};

use super::{Error, Plugin, instance::type_name, trap};
use crate::error;
use crate::guest::wasi;
use crate::guest::{self, Fault};

/// What a call came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What `extism_plugin_call` returns.
    pub(crate) code: i32,
    /// What the plugin or the host says went wrong.
    pub(crate) error: Option<String>,
}

/// A function that can be called from outside: no parameters, a status or nothing as its result.
#[derive(Clone)]
pub(super) enum Callable {
    Nothing(TypedFunction<(), ()>),
    Status(TypedFunction<(), i32>),
}

/// Why there is no status to return.
#[derive(Debug, ThisError)]
enum CallError {
    #[error("the function's name is not UTF-8 from byte {0} on")]
    BadName(usize),
    #[error("Function not found: {0}")]
    NotFound(String),
    #[error("Function {name} has {results} results, expected 0 or 1")]
    TooManyResults { name: String, results: usize },
    #[error("Function {name} returns {ty}, expected i32 or nothing")]
    BadResult { name: String, ty: String },
    #[error(
        "Call failed\n\nCaused by:\n    expected {parameters} arguments, got 0: a function of a plugin takes none, `{name}` does"
    )]
    Parameters { name: String, parameters: usize },
    #[error("Call failed\n\nCaused by:\n    {cause}", cause = trap::describe(.0).replace('\n', "\n    "))]
    Trap(RuntimeError),
    #[error("Call failed: the input of {length} bytes does not fit into the plugin's memory: {cause}")]
    Input { length: usize, cause: Fault },
    #[error("Call failed: the plugin could not be instantiated anew")]
    Renew(#[source] Error),
}

impl Plugin {
    /// Calls `name` with `input`. The output of the call before is gone whatever happens.
    pub(crate) fn call(&mut self, name: &CStr, input: &[u8]) -> Outcome {
        // The output of a call of `_start` stands in an instance that is about to be replaced.
        let output = self.spent.then(|| input.to_vec());
        let input = output.as_deref().unwrap_or(input);
        let result = self.prepare(input).and_then(|()| self.run(name));
        let guest_error = self.live.with_guest(|guest, _| guest.take_error());
        outcome(result, guest_error)
    }

    /// Makes an instance and its memory ready.
    fn prepare(&mut self, input: &[u8]) -> Result<(), CallError> {
        if self.spent {
            self.renew().map_err(CallError::Renew)?;
        }
        self.live
            .with_guest(|guest, store| guest.begin(store, input))
            .map_err(|cause| CallError::Input { length: input.len(), cause })
    }

    fn run(&mut self, name: &CStr) -> Result<i32, CallError> {
        let name = name.to_str().map_err(|error| CallError::BadName(error.valid_up_to()))?;
        let function = self.callable(name)?;
        // Should the host panic below, the instance is in an unknown state and must not be used again.
        self.spent = true;
        if !self.initialised && !is_initialiser(name) {
            // A failed initialiser leaves the instance spent.
            initialise(&mut self.live.store, &self.live.main).map_err(CallError::Trap)?;
        }
        self.initialised = true;
        let store = &mut self.live.store;
        let result = match function {
            Callable::Nothing(function) => function.call(store).map(|()| 0),
            Callable::Status(function) => function.call(store),
        };
        self.spent = name == "_start";
        result.map_err(CallError::Trap)
    }

    /// Looks `name` up once per instance.
    fn callable(&mut self, name: &str) -> Result<Callable, CallError> {
        if let Some(callable) = self.live.functions.get(name) {
            return Ok(callable.clone());
        }
        let callable = find(&self.live.store, &self.live.main, name)?;
        self.live.functions.insert(name.to_owned(), callable.clone());
        Ok(callable)
    }
}

fn find(store: &Store, main: &Instance, name: &str) -> Result<Callable, CallError> {
    let not_found = || CallError::NotFound(name.to_owned());
    if guest::is_reserved(name) {
        return Err(not_found());
    }
    let function = main.exports.get_function(name).map_err(|_| not_found())?;
    let ty = function.ty(store);
    let cannot_be = |_| not_found();
    match (ty.params(), ty.results()) {
        (_, results) if results.len() > 1 => {
            Err(CallError::TooManyResults { name: name.to_owned(), results: results.len() })
        }
        (parameters, _) if !parameters.is_empty() => {
            Err(CallError::Parameters { name: name.to_owned(), parameters: parameters.len() })
        }
        (_, []) => function.typed(store).map(Callable::Nothing).map_err(cannot_be),
        (_, [Type::I32]) => function.typed(store).map(Callable::Status).map_err(cannot_be),
        (_, results) => Err(CallError::BadResult { name: name.to_owned(), ty: type_name(results[0]) }),
    }
}

/// True for the functions that are initialisers themselves, or run them.
fn is_initialiser(name: &str) -> bool {
    matches!(name, "_start" | "_initialize" | "__wasm_call_ctors" | "hs_init")
}

/// Runs the main module's initialisers by the rule of Extism 0.5 and later: Haskell's, else the constructors, else
/// those of a WASI reactor. A function of another type is not an initialiser.
fn initialise(store: &mut Store, main: &Instance) -> Result<(), RuntimeError> {
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

/// What the caller gets: a plugin's own words come first, what the host has to say follows.
fn outcome(result: Result<i32, CallError>, guest_error: Option<String>) -> Outcome {
    let (code, host_error) = match result {
        Ok(code) => (code, None),
        Err(CallError::Trap(trap)) => match wasi::exit_code(&trap) {
            Some(0) => (0, None),
            Some(code @ 1..126) => (code, guest_error.is_none().then(|| format!("Exited with i32 exit status {code}"))),
            Some(code) => (
                -1,
                Some(format!(
                    "Call failed\n\nCaused by:\n    exit with invalid exit status outside of [0..126): {code}"
                )),
            ),
            None => (-1, Some(error::describe(&CallError::Trap(trap)))),
        },
        Err(other) => (-1, Some(error::describe(&other))),
    };
    let error = match (guest_error, host_error) {
        (Some(guest), Some(host)) => Some(format!("{guest}\n\n{host}")),
        (guest, host) => guest.or(host),
    };
    Outcome { code, error }
}
