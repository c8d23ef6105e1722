//! Ends a compilation at a deadline, and when the system refuses memory.
//!
//! The clock is read while functions are translated from WebAssembly, and after each function and trampoline. Later
//! phases of one function are not interrupted: the limits of the rewrite bound how long they take.

use std::time::Instant;

use wasmer::sys::wasmparser::Operator;
use wasmer::sys::{FunctionMiddleware, MiddlewareError, MiddlewareReaderState, ModuleMiddleware};
use wasmer_types::{CompilationProgressCallback, LocalFunctionIndex, UserAbort};

use crate::reserve::RefusalWatch;

/// The number of WebAssembly instructions between two readings of the clock: some hundred microseconds.
const PERIOD: u32 = 256;

const TOO_LATE: &str = "the deadline has passed";

/// Wasmer middleware that makes the translation of functions fail after this instant. The progress callback alone is
/// not enough: compilers begin many functions before they call it.
#[derive(Debug)]
pub(crate) struct Deadline(pub(crate) Instant);

impl Deadline {
    pub(crate) fn has_passed(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// The callback that compilers call after each function. It fails after `deadline`, if there is one, and if the system
/// has refused memory.
pub(crate) fn progress(deadline: Option<Instant>, memory: RefusalWatch) -> CompilationProgressCallback {
    let deadline = deadline.map(Deadline);
    CompilationProgressCallback::new(move |_| {
        memory.check().map_err(|refused| UserAbort::new(refused.to_string()))?;
        let is_late = deadline.as_ref().is_some_and(Deadline::has_passed);
        if is_late { Err(UserAbort::new(TOO_LATE)) } else { Ok(()) }
    })
}

impl ModuleMiddleware for Deadline {
    fn generate_function_middleware<'a>(&self, _: LocalFunctionIndex) -> Box<dyn FunctionMiddleware<'a> + 'a> {
        Box::new(ClockReader { deadline: Self(self.0), left: 0 })
    }
}

/// Reads the clock while one function is translated.
#[derive(Debug)]
struct ClockReader {
    deadline: Deadline,
    /// The number of instructions that are left until the clock is read again.
    left: u32,
}

impl<'a> FunctionMiddleware<'a> for ClockReader {
    fn feed(&mut self, operator: Operator<'a>, state: &mut MiddlewareReaderState<'a>) -> Result<(), MiddlewareError> {
        if self.left == 0 {
            if self.deadline.has_passed() {
                return Err(MiddlewareError::new("deadline", TOO_LATE));
            }
            self.left = PERIOD;
        }
        self.left -= 1;
        state.push_operator(operator);
        Ok(())
    }
}
