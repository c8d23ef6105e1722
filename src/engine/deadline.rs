//! Ends a compilation at a deadline.
//!
//! The clock is looked at while functions are translated, and after each function and trampoline. What a compiler does with a
//! function once it is translated is not interrupted: how long that may be is bounded by the limits of the rewrite.

use std::time::Instant;

use wasmer::sys::wasmparser::Operator;
use wasmer::sys::{FunctionMiddleware, MiddlewareError, MiddlewareReaderState, ModuleMiddleware};
use wasmer_types::{CompilationProgressCallback, LocalFunctionIndex, UserAbort};

/// The clock is looked at once in so many instructions: some hundred microseconds.
const PERIOD: u32 = 256;

const TOO_LATE: &str = "the deadline has passed";

/// Makes functions fail from this instant on. Without it, the compilers would begin with many of them before they look whether
/// they shall go on.
#[derive(Debug)]
pub(super) struct Deadline(pub(super) Instant);

impl Deadline {
    pub(super) fn has_passed(&self) -> bool {
        Instant::now() >= self.0
    }

    /// What is asked after each function.
    pub(super) fn progress(&self) -> CompilationProgressCallback {
        let deadline = Self(self.0);
        CompilationProgressCallback::new(
            move |_| {
                if deadline.has_passed() { Err(UserAbort::new(TOO_LATE)) } else { Ok(()) }
            },
        )
    }
}

impl ModuleMiddleware for Deadline {
    fn generate_function_middleware<'a>(&self, _: LocalFunctionIndex) -> Box<dyn FunctionMiddleware<'a> + 'a> {
        Box::new(Looks { deadline: Self(self.0), left: 0 })
    }
}

/// Looks at the clock while a function is translated.
#[derive(Debug)]
struct Looks {
    deadline: Deadline,
    /// How many instructions there are until the next look.
    left: u32,
}

impl<'a> FunctionMiddleware<'a> for Looks {
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
