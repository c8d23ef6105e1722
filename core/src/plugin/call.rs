//! One call of one exported function of a plugin.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::time::Instant;

use thiserror::Error as ThisError;
use wasmer::{Extern, ExternType, FunctionType, Instance, RuntimeError, Store, Type, TypedFunction};

use super::instance::type_name;
use super::link::Linked;
use super::report::{Called, FunctionName};
use super::timeout::{Timeout, deadline, out_of_fuel, stopped};
use super::{Error, Plugin, create, over, report, trap};
use crate::error::{self, Excerpt};
use crate::module::reserved;
use crate::wasi;

use crate::host::{self, Fault};
use crate::manifest::AfterTrap;
use crate::stop::{NoTimer, Run, Stopped, Watch};

/// The result of a call: the return value of `extism_plugin_call`, or a [`Complaint`].
pub(crate) type Outcome = Result<i32, Box<Complaint>>;

/// The error of a call, set by the plugin or found by the host.
#[derive(Debug)]
pub struct Complaint {
    /// The return value of `extism_plugin_call` that goes with the error.
    pub code: i32,
    /// The error, which may have several lines.
    pub text: String,
}

/// A function that the host can call: no parameters, and a status (`i32`) or no result.
#[derive(Clone)]
pub(super) struct Function {
    entry: Entry,
    role: Role,
}

#[derive(Clone)]
enum Entry {
    Nothing(TypedFunction<(), ()>),
    Status(TypedFunction<(), i32>),
}

/// The role that a function's name implies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
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

/// A result within a call. Errors are boxed, as they are rare and large.
type CallResult<T> = Result<T, Box<CallError>>;

/// Why a call has no status.
#[derive(Debug, ThisError)]
enum CallError {
    #[error("the function's name is not UTF-8 from byte {0} on")]
    BadName(usize),
    #[error("Function not found: {0}")]
    NotFound(Excerpt),
    #[error("Function {name} has {results} results, expected 0 or 1")]
    TooManyResults { name: Excerpt, results: usize },
    #[error("Function {name} returns {ty}, expected i32 or nothing")]
    BadResult { name: Excerpt, ty: String },
    #[error(
        "Call failed\n\nCaused by:\n    expected {parameters} arguments, got 0: a function of a plugin takes none, `{name}` does"
    )]
    Parameters { name: Excerpt, parameters: usize },
    /// [`trap::describe`] makes the text that the caller gets.
    #[error(transparent)]
    Trap(RuntimeError),
    #[error("Call failed\n\nCaused by:\n    {}", stopped(*.0, *.1))]
    Stopped(Stopped, Option<Timeout>),
    #[error("Call failed: {0}")]
    Timer(NoTimer),
    #[error("Call failed\n\nCaused by:\n    {}", out_of_fuel(*.0))]
    OutOfFuel(u64),
    #[error("Call failed: the input of {length} bytes does not fit into the plugin's memory: {cause}")]
    Input { length: usize, cause: Fault },
    #[error("Call failed: the function's name: {0}")]
    Name(Fault),
    #[error("Call failed: the plugin could not be instantiated anew")]
    Renew(#[source] Error),
}

/// Message of the `expect`s for [`Plugin::live`].
const NOT_SPENT: &str = "a plugin without an instance is spent, and gets one before it is used";

impl CallError {
    /// False for errors that can come from a running function.
    fn is_early(&self) -> bool {
        !matches!(self, Self::Trap(_) | Self::Stopped(..) | Self::OutOfFuel(_))
    }

    /// The function that it is about, if it names one.
    fn function(&self) -> Option<&Excerpt> {
        match self {
            Self::NotFound(name)
            | Self::TooManyResults { name, .. }
            | Self::BadResult { name, .. }
            | Self::Parameters { name, .. } => Some(name),
            _ => None,
        }
    }
}

impl Plugin {
    /// Calls `name` with `input`. The output of the previous call is cleared in any case.
    ///
    /// `name` and `input` may point into that output: both are read before it is cleared.
    // The C library calls it in one place.
    #[inline]
    pub fn call(&mut self, name: &CStr, input: &[u8]) -> Outcome {
        let since = report::clock();
        // Copied first, as the name may lie in the output that the call clears.
        let copy = report::copy(name, since);
        let deadline = deadline(self.recipe.timeout);
        let result = match self.stopper.begin(deadline) {
            Ok(run) => {
                let result = if self.spent {
                    self.call_anew(&run, name, input, deadline)
                } else {
                    self.call_live(&run, name, input, deadline)
                };
                over(run);
                result
            }
            Err(cause) => {
                self.forget_output();
                Err(CallError::Timer(cause).into())
            }
        };
        let guest_error = self.live.as_mut().and_then(|live| live.guest_mut().take_error());
        let plan = &self.recipe.plan;
        match (result, guest_error) {
            (Ok(code), None) => {
                if since.is_some() {
                    report::called(plan, copy.map_or(Called::Unknown, Called::Name), since, &Ok(code));
                }
                Ok(code)
            }
            (result, guest_error) => {
                let has_run = !result.as_ref().is_err_and(|error| error.is_early());
                let last = || self.live.as_ref()?.functions.last().filter(|_| has_run);
                let named = result.as_ref().err().and_then(|error| error.function().cloned());
                let function = match (copy.or_else(|| last().map(FunctionName::of)), &named) {
                    (Some(name), _) => Called::Name(name),
                    (None, Some(name)) => Called::Excerpt(name),
                    (None, None) => Called::Unknown,
                };
                let outcome = outcome(result, guest_error, &plan.modules);
                report::called(plan, function, since, &outcome);
                outcome
            }
        }
    }

    fn call_anew(&mut self, run: &Run, name: &CStr, input: &[u8], deadline: Option<Instant>) -> CallResult<i32> {
        // Both may lie in the old instance's output.
        let name = copy_of(name, self.stopper.watch()).inspect_err(|_| self.forget_output())?;
        let input = host::copy(input, self.stopper.watch()).map_err(|cause| {
            self.forget_output();
            self.input_error(run, input, cause)
        })?;
        self.renew(run, deadline)?;
        self.call_live(run, &name, &input, deadline)
    }

    /// Replaces the instance. The old one is dropped first, as there may be no memory for both. Configuration and
    /// variables are kept. If the new one cannot be made, the plugin has none until the next call.
    fn renew(&mut self, run: &Run, deadline: Option<Instant>) -> CallResult<()> {
        self.live = None;
        let live = create(&self.recipe, run, self.stopper.watch(), deadline, &self.state).map_err(CallError::Renew)?;
        self.live = Some(Box::new(live));
        (self.spent, self.initialised) = (false, false);
        Ok(())
    }

    fn call_live(&mut self, run: &Run, name: &CStr, input: &[u8], deadline: Option<Instant>) -> CallResult<i32> {
        let function = self.find(name);
        let live = self.live.as_mut().expect(NOT_SPENT);
        live.with_guest(|guest, store| guest.begin(store, input, deadline))
            .map_err(|cause| self.input_error(run, input, cause))?;
        self.run(run, function?)
    }

    /// The error when the input could not be copied into the plugin.
    fn input_error(&mut self, run: &Run, input: &[u8], cause: Fault) -> Box<CallError> {
        match run.stopped() {
            Some(reason) => {
                // The memory may still contain bytes of the previous call.
                self.spent = true;
                CallError::Stopped(reason, self.recipe.timeout).into()
            }
            None => CallError::Input { length: input.len(), cause }.into(),
        }
    }

    /// Calls the function at this index of [`Functions`].
    fn run(&mut self, run: &Run, place: Place) -> CallResult<i32> {
        let live = self.live.as_deref_mut().expect(NOT_SPENT);
        let function = live.functions.all[place].1.clone();
        // If the host panics below, the instance is in an unknown state and stays spent.
        self.spent = true;
        if !self.initialised && function.role == Role::Other {
            // If an initialiser fails, the instance stays spent.
            if let Err(trap) = initialise(&mut live.store, &live.main) {
                return Err(self.failure(run, trap));
            }
        }
        self.initialised = true;
        let store = &mut live.store;
        live.stack_pointers.note(store);
        let result = match &function.entry {
            Entry::Nothing(function) => function.call(store).map(|()| 0),
            Entry::Status(function) => function.call(store),
        };
        self.spent = function.role == Role::Start;
        result.map_err(|trap| self.failure(run, trap))
    }

    /// The error for a call that ended early. Decides whether the instance is spent.
    fn failure(&mut self, run: &Run, trap: RuntimeError) -> Box<CallError> {
        let live = self.live.as_deref_mut().expect(NOT_SPENT);
        let exhausted = live.with_guest(|guest, store| guest.fuel.as_ref()?.exhausted(store));
        let stopped = run.stopped();
        // The code stopped anywhere, perhaps in its allocator, so the next call gets a new instance. After a trap or an
        // exit (not a deadline, a cancellation or the end of the fuel) the manifest can keep the old one.
        let is_kept = self.recipe.after_trap == AfterTrap::Keep && !run.is_over() && exhausted.is_none();
        self.spent |= !is_kept;
        if is_kept {
            live.stack_pointers.put_back(&mut live.store);
        }
        match (stopped, exhausted) {
            (Some(reason), _) => CallError::Stopped(reason, self.recipe.timeout).into(),
            (None, Some(fuel)) => CallError::OutOfFuel(fuel).into(),
            (None, None) => CallError::Trap(trap).into(),
        }
    }

    /// The index of the function `name`, which is looked up once per instance.
    fn find(&mut self, name: &CStr) -> CallResult<Place> {
        let live = self.live.as_deref_mut().expect(NOT_SPENT);
        if let Some(place) = live.functions.place(name) {
            return Ok(place);
        }
        let text = name.to_str().map_err(|error| CallError::BadName(error.valid_up_to()))?;
        let function = Function { entry: find(&live.store, &live.main, text)?, role: Role::of(text) };
        Ok(live.functions.add(name, function))
    }
}

/// A copy of a function's name. It can be long, so copying ends when the plugin must stop.
fn copy_of(name: &CStr, watch: Watch) -> CallResult<CString> {
    let copied = host::copy(name.to_bytes_with_nul(), watch).map_err(CallError::Name)?;
    // Cannot fail: the only NUL is the last byte.
    CString::from_vec_with_nul(copied).map_err(|_| CallError::BadName(0).into())
}

/// The functions of an instance that have been called. Optimised for calls of the same function.
#[derive(Default)]
pub(super) struct Functions {
    all: Vec<(CString, Function)>,
    by_name: HashMap<CString, Place>,
    last: Place,
}

/// An index into [`Functions::all`].
type Place = usize;

impl Functions {
    fn place(&mut self, name: &CStr) -> Option<Place> {
        let is_last = self.all.get(self.last).is_some_and(|(last, _)| last.as_c_str() == name);
        if !is_last {
            self.last = *self.by_name.get(name)?;
        }
        Some(self.last)
    }

    /// The name of the function that was called last.
    fn last(&self) -> Option<&CStr> {
        self.all.get(self.last).map(|(name, _)| name.as_c_str())
    }

    fn add(&mut self, name: &CStr, function: Function) -> Place {
        self.last = self.all.len();
        self.by_name.insert(name.to_owned(), self.last);
        self.all.push((name.to_owned(), function));
        self.last
    }
}

fn find(store: &Store, main: &Instance, name: &str) -> Result<Entry, CallError> {
    let not_found = || CallError::NotFound(Excerpt::of(name));
    if reserved::is_reserved(name) {
        return Err(not_found());
    }
    // Not `get_function`: Wasmer's error would contain a copy of the name, however long.
    let Some(Extern::Function(function)) = main.exports.get_extern(name) else { return Err(not_found()) };
    let ty = function.ty(store);
    let cannot_be = |_| not_found();
    match (ty.params(), ty.results()) {
        (_, results) if results.len() > 1 => {
            Err(CallError::TooManyResults { name: Excerpt::of(name), results: results.len() })
        }
        (parameters, _) if !parameters.is_empty() => {
            Err(CallError::Parameters { name: Excerpt::of(name), parameters: parameters.len() })
        }
        (_, []) => function.typed(store).map(Entry::Nothing).map_err(cannot_be),
        (_, [Type::I32]) => function.typed(store).map(Entry::Status).map_err(cannot_be),
        (_, results) => Err(CallError::BadResult { name: Excerpt::of(name), ty: type_name(results[0]) }),
    }
}

/// Runs the main module's initialisers by the rule of Extism 0.5 and later: Haskell's if there is one, else the
/// constructors, else the WASI reactor's. A function of another type does not count as an initialiser.
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

/// The outcome for the caller: the error that the plugin set comes first, the host's error follows.
fn outcome(result: CallResult<i32>, guest_error: Option<String>, modules: &[Linked]) -> Outcome {
    let (code, host_error) = match result.map_err(|error| *error) {
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
            None => {
                let cause = trap::describe(&trap, modules).replace('\n', "\n    ");
                (-1, Some(error::bounded(format!("Call failed\n\nCaused by:\n    {cause}"))))
            }
        },
        Err(other) => (-1, Some(error::describe(&other))),
    };
    match (guest_error, host_error) {
        (None, None) => Ok(code),
        (Some(text), None) | (None, Some(text)) => Err(Box::new(Complaint { code, text })),
        (Some(guest), Some(host)) => Err(Box::new(Complaint { code, text: format!("{guest}\n\n{host}") })),
    }
}
