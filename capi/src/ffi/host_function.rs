//! Host functions that C has made: what they are, where they are found, and what the core gets of them.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use thiserror::Error;

use super::types::{ExtismFunction, ExtismFunctionType, ExtismSize};
use super::value::CValues;
use crate::token::TokenTable;
use crate::{callback, log};
use extism_core::error::Excerpt;
use extism_core::plugin::{CurrentPlugin, HostFunction, Val, ValType};
use extism_core::sync::Mutex;

/// The host functions of all threads. One is in the table from `extism_function_new` to `extism_function_free`.
pub(super) static FUNCTIONS: TokenTable<Arc<Function>> = TokenTable::new();

/// The namespace of functions for which none was set.
const NAMESPACE: &str = "extism:host/user";

/// A host function. The table has it, and so have the plugins and compiled plugins that were made with it.
pub(super) struct Function {
    name: Arc<str>,
    namespace: Mutex<Arc<str>>,
    /// The types of parameters and results, or what is wrong with them.
    types: Result<[Arc<[ValType]>; 2], BadType>,
    callback: ExtismFunctionType,
    user_data: UserData,
}

/// A pointer of the program, and the function that frees what it points to, which runs when this is dropped.
pub(super) struct UserData {
    data: *mut c_void,
    free: Option<unsafe extern "C" fn(*mut c_void)>,
}

// SAFETY: `extism_function_new` has its caller promise that any thread may use the pointer with these functions.
unsafe impl Send for UserData {}
// SAFETY: as above. The pointer is only passed on.
unsafe impl Sync for UserData {}

impl UserData {
    pub(super) fn new(data: *mut c_void, free: Option<unsafe extern "C" fn(*mut c_void)>) -> Self {
        Self { data, free }
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(free) = self.free.filter(|_| !self.data.is_null()) {
            // SAFETY: `extism_function_new` has its caller promise that it is such a function. It runs once, and nothing
            // uses the data any more.
            unsafe { free(self.data) };
        }
    }
}

/// Why no plugin can be made with the functions that C passes.
#[derive(Debug, Error)]
pub enum Error {
    /// The text is that of Extism 1.x.
    #[error("Cannot pass null pointer")]
    Null,
    /// It is not in the table.
    #[error("functions[{0}] has been freed, or is not a function that extism_function_new made")]
    Stale(usize),
    /// There are more than [`MOST`].
    #[error("`n_functions` is {0}, and a plugin may have {MOST} host functions")]
    TooMany(ExtismSize),
    /// The function of this name has a type that cannot be used.
    #[error("host function `{0}`: {1}")]
    Type(Excerpt, BadType),
    /// The function of this name has no work.
    #[error("host function `{0}`: `func` was NULL in extism_function_new")]
    NoCallback(Excerpt),
}

/// A type that a host function cannot have.
#[derive(Debug, Clone, Copy, Error)]
#[error(
    "the type of its {place} {number} is {raw}{}, and must be 0 to 3 (I32, I64, F32, F64)",
    match raw { 4 => " (V128)", 5 => " (FuncRef)", 6 => " (ExternRef)", _ => "" }
)]
pub struct BadType {
    /// `parameter` or `result`.
    place: &'static str,
    /// Counted from 1.
    number: usize,
    raw: u32,
}

/// The most host functions that a plugin is made with.
const MOST: usize = 100_000;

impl Function {
    pub(super) fn new(
        name: &str,
        inputs: &[u32],
        outputs: &[u32],
        callback: ExtismFunctionType,
        user_data: UserData,
    ) -> Arc<Self> {
        let types = types("parameter", inputs).and_then(|inputs| Ok([inputs, types("result", outputs)?]));
        let namespace = Mutex::new(NAMESPACE.into());
        Arc::new(Self { name: name.into(), namespace, types, callback, user_data })
    }

    pub(super) fn set_namespace(&self, namespace: &str) {
        *self.namespace.lock() = namespace.into();
    }

    /// The function for the core, under its present namespace.
    fn to_core(self: Arc<Self>) -> Result<HostFunction, Error> {
        let (name, namespace) = (Arc::clone(&self.name), Arc::clone(&self.namespace.lock()));
        let quoted = || Excerpt::of(format_args!("{namespace}::{name}"));
        let [parameters, results] = self.types.clone().map_err(|bad| Error::Type(quoted(), bad))?;
        let callback = self.callback.ok_or_else(|| Error::NoCallback(quoted()))?;
        let body = move |plugin: &mut CurrentPlugin<'_>, arguments: &[Val], results: &mut [Val]| {
            let mut inputs = CValues::new();
            let mut outputs = CValues::new();
            let (first_input, first_output) = (inputs.fill(arguments), outputs.fill(results));
            callback::run(plugin, |token| {
                let (n_inputs, n_outputs) = (arguments.len() as ExtismSize, results.len() as ExtismSize);
                let plugin = ptr::without_provenance_mut(token);
                let data = self.user_data.data;
                // SAFETY: `extism_function_new` has its caller promise that it is such a function. The places are there
                // until it returns.
                unsafe { callback(plugin, first_input, n_inputs, first_output, n_outputs, data) };
            })?;
            outputs.read_back(results);
            Ok(())
        };
        Ok(HostFunction { namespace, name, parameters, results, body: Arc::new(body) })
    }
}

/// The types of these numbers; `place` says what they are for.
fn types(place: &'static str, raw: &[u32]) -> Result<Arc<[ValType]>, BadType> {
    let types = raw.iter().zip(1..).map(|(&raw, number)| match raw {
        0 => Ok(ValType::I32),
        1 => Ok(ValType::I64),
        2 => Ok(ValType::F32),
        3 => Ok(ValType::F64),
        _ => Err(BadType { place, number, raw }),
    });
    types.collect()
}

/// The host functions that C passes to a function that makes a plugin, for the core. They stay as they are.
///
/// # Errors
/// One of them cannot be used.
///
/// # Safety
/// If `functions` is not NULL, `count` pointers must be readable there. What they point to does not matter.
pub unsafe fn collect(functions: *const *const ExtismFunction, count: ExtismSize) -> Result<Vec<HostFunction>, Error> {
    if functions.is_null() {
        return Ok(Vec::new());
    }
    let number = usize::try_from(count).ok().filter(|count| *count <= MOST).ok_or(Error::TooMany(count))?;
    let function = |number| {
        // SAFETY: the caller promises that it is one of those that are readable.
        let place = unsafe { functions.add(number) };
        // SAFETY: as above.
        let token = unsafe { place.read_unaligned() }.addr();
        if token == 0 {
            // The error has no room for which one it is.
            log::note_failure_v1(None, &format!("functions[{number}] is NULL"));
            return Err(Error::Null);
        }
        FUNCTIONS.get(token).ok_or(Error::Stale(number))?.to_core()
    };
    (0..number).map(function).collect()
}
