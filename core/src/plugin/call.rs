//! One call of one exported function of a plugin.

use std::ffi::{CStr, CString};

use wasmer::RuntimeError;

use super::call_error::{CallError, CallResult, outcome};
use super::call_failure::CallOutcome;
use super::error::Error;
use super::function::{Function, FunctionIndex, Role, initialise};
use super::instance::create;
use super::plugin::{Plugin, over};
use super::report::{self, Called, FunctionName};
use super::timeout::deadline;
use super::trap;
use crate::error::Excerpt;
use crate::host::{self, Fault};
use crate::manifest::AfterTrap;
use crate::sandbox::{self, NoStack};
use crate::stop::{Run, Stopped, Watch};
use crate::wasi;

/// Message of the `expect`s for [`Plugin::live`].
const NOT_SPENT: &str = "a plugin without an instance is spent, and gets one before it is used";

impl Plugin {
    /// Calls `name` with `input`. The output of the previous call is cleared in any case.
    ///
    /// `name` and `input` may point into that output: both are read before it is cleared.
    // The C library calls it in one place.
    #[inline]
    pub fn call(&mut self, name: &CStr, input: &[u8]) -> CallOutcome {
        let since = report::clock();
        // Copied first, as the name may lie in the output that the call clears.
        let copy = report::copy(name, since);
        let result = match self.stopper.begin(deadline(self.recipe.timeout)) {
            Ok(run) => {
                let result = match room(&run) {
                    Ok(()) if self.spent => self.call_anew(&run, name, input),
                    Ok(()) => self.call_live(&run, name, input),
                    Err(cause) => {
                        self.forget_output();
                        Err(CallError::Stack(cause).into())
                    }
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
        let (plan, label) = (&self.recipe.plan, self.recipe.label.as_deref());
        match (result, guest_error) {
            (Ok(code), None) => {
                if since.is_some() {
                    report::called(plan, label, copy.map_or(Called::Unknown, Called::Name), since, &Ok(code));
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
                report::called(plan, label, function, since, &outcome);
                outcome
            }
        }
    }

    fn call_anew(&mut self, run: &Run, name: &CStr, input: &[u8]) -> CallResult<i32> {
        // Both may lie in the old instance's output.
        let name = copy_of(name, self.stopper.watch()).inspect_err(|_| self.forget_output())?;
        let input = host::copy(input, self.stopper.watch()).map_err(|cause| {
            self.forget_output();
            self.input_error(run, input, cause)
        })?;
        self.renew(run)?;
        self.call_live(run, &name, &input)
    }

    /// Replaces the instance. The old one is dropped first, as there may be no memory for both. Configuration and
    /// variables are kept. If the new one cannot be made, the plugin has none until the next call.
    fn renew(&mut self, run: &Run) -> CallResult<()> {
        self.live = None;
        let live = create(&self.recipe, run, self.stopper.watch(), &self.state).map_err(|error| match error {
            Error::Stopped(reason, timeout) => CallError::Stopped(reason, timeout),
            other => CallError::Renew(other),
        })?;
        self.live = Some(Box::new(live));
        (self.spent, self.initialised) = (false, false);
        Ok(())
    }

    fn call_live(&mut self, run: &Run, name: &CStr, input: &[u8]) -> CallResult<i32> {
        let function = self.find(name);
        let live = self.live.as_mut().expect(NOT_SPENT);
        live.with_guest(|guest, store| guest.begin(store, input))
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
            None => {
                let is_limited = self.recipe.limits.max_pages.is_some();
                CallError::Input {
                    length: input.len(),
                    cause,
                    limit: if is_limited { " (memory.max_pages)" } else { "" },
                }
                .into()
            }
        }
    }

    /// Calls the function at this index of the instance's functions.
    fn run(&mut self, run: &Run, index: FunctionIndex) -> CallResult<i32> {
        let live = self.live.as_deref_mut().expect(NOT_SPENT);
        let function = live.functions.get(index).clone();
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
        let result = function.call(store);
        self.spent = function.role == Role::Start;
        result.map_err(|trap| self.failure(run, trap))
    }

    /// The error for a call that ended early. Decides whether the instance is spent.
    fn failure(&mut self, run: &Run, trap: RuntimeError) -> Box<CallError> {
        let stopped = run.stopped().or_else(|| self.overdue(run, &trap));
        let live = self.live.as_deref_mut().expect(NOT_SPENT);
        let exhausted = live.with_guest(|guest, store| guest.fuel.as_ref()?.exhausted(store));
        // The code stopped anywhere, perhaps in its allocator, so the next call gets a new instance. After a trap or an
        // exit (not a deadline, a cancellation or the end of the fuel) the manifest can keep the old one.
        let is_kept = self.recipe.after_trap == AfterTrap::Keep && !run.is_over() && exhausted.is_none();
        self.spent |= !is_kept;
        if is_kept {
            live.stack_pointers.put_back(&mut live.store);
        }
        match (stopped, exhausted) {
            (Some(reason), _) => CallError::Stopped(reason, self.recipe.timeout).into(),
            (None, Some(limit)) => {
                // Only a function whose name is UTF-8 was found.
                let name = live.functions.last().and_then(|name| name.to_str().ok());
                CallError::OutOfFuel { function: Excerpt::of(name.unwrap_or_default()), limit }.into()
            }
            (None, None) => CallError::Trap(trap).into(),
        }
    }

    /// Why the run is over, if a function that the plugin imports has failed after that: a request, for example, ends at
    /// the deadline by itself, perhaps before the timer has looked.
    fn overdue(&self, run: &Run, trap: &RuntimeError) -> Option<Stopped> {
        let is_fault = !trap::is_in_code(trap) && wasi::exit_code(trap).is_none();
        (is_fault && run.is_over()).then(|| self.stopper.watch().reason().unwrap_or(Stopped::Timeout))
    }

    /// The index of the function `name`, which is looked up once per instance.
    fn find(&mut self, name: &CStr) -> CallResult<FunctionIndex> {
        let live = self.live.as_deref_mut().expect(NOT_SPENT);
        if let Some(index) = live.functions.index_of(name) {
            return Ok(index);
        }
        let text = name.to_str().map_err(|error| CallError::BadName(error.valid_up_to()))?;
        let function = Function::find(&live.store, &live.main, text)?;
        Ok(live.functions.add(name, function))
    }
}

/// Checks that there is room for a call inside a call.
#[inline]
fn room(run: &Run) -> Result<(), NoStack> {
    if run.is_nested() { sandbox::check_host_stack() } else { Ok(()) }
}

/// A copy of a function's name. It can be long, so copying ends when the plugin must stop.
fn copy_of(name: &CStr, watch: Watch) -> CallResult<CString> {
    let copied = host::copy(name.to_bytes_with_nul(), watch).map_err(CallError::Name)?;
    // Cannot fail: the only NUL is the last byte.
    CString::from_vec_with_nul(copied).map_err(|_| CallError::BadName(0).into())
}
