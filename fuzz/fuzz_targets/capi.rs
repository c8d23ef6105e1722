//! The functions of the C interface in any order, on contexts, plugins and handles that exist, were freed or never
//! existed, leave the process alive. Absent things give the documented error values, every error is UTF-8, and every
//! output is readable.
//!
//! Some plugins loop for ever; a timeout of 5 ms, fuel, or another thread stops them. Of this package's library,
//! `arguments.rs` has what is passed, and `callers.rs` checks the answers.
#![no_main]
#![expect(unsafe_code, reason = "the C functions take pointers")]

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr;

use arbitrary::{Arbitrary, Result, Unstructured};
use extism::ffi;
use extism_fuzz::arguments::{COMPILERS, CONFIGS, DOCUMENTS, LOGS, NAMES, of};
use extism_fuzz::callers::{Caller, Place, pick};
use extism_fuzz::environment;
use extism_testkit::host::{CancelHandle, Context, choose_compiler};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: environment::isolate(&[]), |steps: Steps| {
    let null = Caller { context: Context(ptr::null_mut()), is_there: false, plugins: BTreeMap::new() };
    let never = Caller { context: Context(ptr::without_provenance_mut(0x1230)), is_there: false, plugins: BTreeMap::new() };
    let mut callers = vec![null, never, Caller::with_context()];
    let mut handles = vec![CancelHandle(ptr::null()), CancelHandle(ptr::without_provenance(0x1230))];
    for step in &steps.0 {
        step.go(&mut callers, &mut handles);
    }
    choose_compiler(None);
});

#[derive(Debug)]
struct Steps(Vec<Step>);

/// A function to call. Numbers choose from the existing things, modulo their count.
#[derive(Debug, Clone, Copy)]
enum Step {
    NewContext,
    FreeContext(usize),
    ResetContext(usize),
    New {
        context: usize,
        document: usize,
        with_wasi: bool,
    },
    Update {
        place: Place,
        document: usize,
        with_wasi: bool,
    },
    Free(Place),
    Configure {
        place: Place,
        config: usize,
    },
    Exists {
        place: Place,
        name: usize,
    },
    CallNameless(Place),
    Call {
        place: Place,
        name: usize,
        input: usize,
    },
    /// Passes the output of one plugin as the input of another.
    CallWithOutput {
        place: Place,
        of: Place,
    },
    Look(Place),
    TakeHandle(Place),
    Cancel(usize),
    FreeHandle(usize),
    Log(usize),
    Compiler(usize),
}

impl<'a> Arbitrary<'a> for Steps {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        let mut steps = Vec::new();
        while steps.len() < 40 && !noise.is_empty() {
            steps.push(Step::arbitrary(noise)?);
        }
        Ok(Self(steps))
    }
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        let kind = noise.int_in_range(0..=23)?;
        let (context, some, other) = (context(noise)?, number(noise)?, number(noise)?);
        let place = Place { context, plugin: if noise.ratio(7, 8)? { Ok(other) } else { Err(id(noise)?) } };
        let with_wasi = noise.ratio(1, 4)?;
        Ok(match kind {
            0 => Self::NewContext,
            1 => Self::FreeContext(context),
            2 => Self::ResetContext(context),
            3..7 => Self::New { context, document: some, with_wasi },
            7 => Self::Update { place, document: some, with_wasi },
            8 => Self::Free(place),
            9 => Self::Configure { place, config: some },
            10 => Self::Exists { place, name: some },
            11 => Self::CallNameless(place),
            12..17 => Self::Call { place, name: some, input: number(noise)? },
            17 => {
                let of = Place { context: self::context(noise)?, plugin: Ok(some) };
                Self::CallWithOutput { place, of }
            }
            18 => Self::Look(place),
            19 => Self::TakeHandle(place),
            20 => Self::Cancel(some),
            21 => Self::FreeHandle(some),
            22 => Self::Log(some),
            _ => Self::Compiler(some),
        })
    }
}

fn number(noise: &mut Unstructured<'_>) -> Result<usize> {
    noise.arbitrary::<u8>().map(usize::from)
}

/// Mostly not one of the first two contexts, which are invalid.
fn context(noise: &mut Unstructured<'_>) -> Result<usize> {
    if noise.ratio(1, 16)? { noise.int_in_range(0..=1) } else { Ok(2 + number(noise)?) }
}

fn id(noise: &mut Unstructured<'_>) -> Result<i32> {
    Ok(*noise.choose(&[-1, 0, 1, 25, i32::MAX, i32::MIN])?)
}

impl Step {
    fn go(self, callers: &mut Vec<Caller>, handles: &mut Vec<CancelHandle>) {
        match self {
            Self::NewContext => {
                if callers.len() < 8 {
                    callers.push(Caller::with_context());
                }
            }
            Self::FreeContext(context) => pick(callers, context).free(),
            Self::ResetContext(context) => pick(callers, context).reset(),
            Self::New { context, document, with_wasi } => {
                pick(callers, context).create(of(&DOCUMENTS, document), with_wasi)
            }
            Self::Update { place, document, with_wasi } => place.update(callers, of(&DOCUMENTS, document), with_wasi),
            Self::Free(place) => place.free(callers),
            Self::Configure { place, config } => {
                let (config, is_right) = of(&CONFIGS, config);
                place.configure(callers, config, *is_right);
            }
            Self::Exists { place, name } => {
                let name = of(&NAMES, name);
                place.exists(callers, name);
            }
            Self::CallNameless(place) => place.call_nameless(callers),
            Self::Call { place, name, input } => {
                let inputs: [&[u8]; 6] = [b"", b"1", b"\xffnot UTF-8", b"echo\0", &[b'x'; 70_000], &[0; 9]];
                let (name, input) = (of(&NAMES, name), of(&inputs, input));
                place.call(callers, name, input);
            }
            Self::CallWithOutput { place, of } => place.call_with_output(callers, of),
            Self::Look(place) => drop(place.look(callers)),
            Self::TakeHandle(place) => handles.push(place.cancel_handle(callers)),
            Self::Cancel(handle) => assert!(!of(handles, handle).cancel(), "nothing runs"),
            Self::FreeHandle(handle) => ffi::extism_cancel_handle_free(of(handles, handle).0),
            Self::Log(log) => set_log(of(&LOGS, log)),
            Self::Compiler(compiler) => set_compiler(*of(&COMPILERS, compiler)),
        }
    }
}

fn set_log((file, level, is_right): &(Option<&CStr>, Option<&CStr>, bool)) {
    let [file, level] = [file, level].map(|text| text.map_or(ptr::null(), CStr::as_ptr));
    // SAFETY: both are NULL or C strings.
    assert_eq!(unsafe { ffi::extism_log_file(file, level) }, (*is_right).into());
}

fn set_compiler(name: Option<&CStr>) {
    let pointer = name.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: NULL or a C string.
    let is_there: bool = unsafe { ffi::extism_compiler_available(pointer) }.into();
    // SAFETY: as above.
    let is_set: bool = unsafe { ffi::extism_compiler_set(pointer) }.into();
    assert_eq!(is_set, is_there || name.is_none());
    for text in [ffi::extism_compiler(), ffi::extism_version()] {
        // SAFETY: these are C strings that live as long as the library.
        assert!(!unsafe { CStr::from_ptr(text) }.is_empty());
    }
}
