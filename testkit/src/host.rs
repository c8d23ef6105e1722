//! The C interface in a safe and short form for tests.
#![expect(unsafe_code, reason = "the C functions take pointers")]

use std::ffi::{CStr, CString};
use std::fmt::Write as _;
use std::slice;

use extism::ffi;

/// A context that is freed at the end of the test.
pub struct Context(pub *mut ffi::ExtismContext);

// SAFETY: the library promises that contexts may be used from any thread.
unsafe impl Send for Context {}
// SAFETY: as above, and from several at once.
unsafe impl Sync for Context {}

/// The result of a call, as a C caller sees it.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: i32,
    pub error: Option<String>,
    pub output: Vec<u8>,
}

impl Answer {
    /// The output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// The error's text; empty if there is none.
    pub fn error(&self) -> &str {
        self.error.as_deref().unwrap_or_default()
    }
}

impl Context {
    #[expect(clippy::new_without_default, reason = "each use makes a context in the library")]
    pub fn new() -> Self {
        Self(ffi::extism_context_new())
    }

    /// Makes a plugin, or returns the context's error.
    pub fn create(&self, input: impl AsRef<[u8]>, with_wasi: bool) -> Result<Plugin<'_>, String> {
        let input = input.as_ref();
        // SAFETY: pointer and length are those of a slice.
        let id = unsafe { ffi::extism_plugin_new(self.0, input.as_ptr(), input.len() as u64, with_wasi.into()) };
        if id < 0 { Err(self.error(id).unwrap_or_default()) } else { Ok(Plugin { context: self, id }) }
    }

    /// Makes a plugin that must work.
    pub fn plugin(&self, input: impl AsRef<[u8]>) -> Plugin<'_> {
        self.create(input, false).expect("the plugin can be made")
    }

    /// The error of a plugin that cannot be made.
    pub fn refusal(&self, input: impl AsRef<[u8]>) -> String {
        match self.create(input, false) {
            Ok(plugin) => panic!("plugin {} was made", plugin.id),
            Err(error) => error,
        }
    }

    pub fn error(&self, id: i32) -> Option<String> {
        let text = ffi::extism_error(self.0, id);
        if text.is_null() {
            return None;
        }
        // SAFETY: a text from `extism_error` is NUL-terminated and valid until this thread asks again.
        let text = unsafe { CStr::from_ptr(text) };
        Some(text.to_str().expect("errors are UTF-8").to_owned())
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        ffi::extism_context_free(self.0);
    }
}

/// A plugin of a context. It is freed with its context, unless a test frees it.
#[derive(Clone, Copy)]
pub struct Plugin<'a> {
    pub context: &'a Context,
    pub id: i32,
}

impl Plugin<'_> {
    /// Calls `function` and collects the results in the only order that loses nothing: error, then output.
    pub fn call(&self, function: &str, input: impl AsRef<[u8]>) -> Answer {
        let code = self.call_only(function, input.as_ref());
        let error = self.context.error(self.id);
        Answer { code, error, output: self.output() }
    }

    /// Calls `function` and asks for nothing else.
    pub fn call_only(&self, function: &str, input: &[u8]) -> i32 {
        self.call_named(&CString::new(function).expect("no NUL in the name"), input)
    }

    /// The same with a name that is a C string.
    pub fn call_named(&self, name: &CStr, input: &[u8]) -> i32 {
        let (data, length) = (input.as_ptr(), input.len() as u64);
        // SAFETY: the name is a C string, pointer and length are those of a slice.
        unsafe { ffi::extism_plugin_call(self.context.0, self.id, name.as_ptr(), data, length) }
    }

    pub fn output(&self) -> Vec<u8> {
        let length = ffi::extism_plugin_output_length(self.context.0, self.id);
        let data = ffi::extism_plugin_output_data(self.context.0, self.id);
        if data.is_null() {
            return Vec::new();
        }
        // SAFETY: the library promises `length` readable bytes there until the next call on the plugin.
        unsafe { slice::from_raw_parts(data, usize::try_from(length).expect("fits")) }.to_vec()
    }

    /// The output and the byte after it, which is readable too.
    pub fn output_and_next_byte(&self) -> Vec<u8> {
        let length = ffi::extism_plugin_output_length(self.context.0, self.id);
        let data = ffi::extism_plugin_output_data(self.context.0, self.id);
        let length = usize::try_from(length).expect("fits");
        // SAFETY: the library promises one readable byte more than the output has, until the next call on the plugin.
        unsafe { slice::from_raw_parts(data, length + 1) }.to_vec()
    }

    /// Calls `function` with the output of `other` in place, as a caller may that does not copy it.
    pub fn call_with_output_of(&self, function: &str, other: &Plugin<'_>) -> i32 {
        let length = ffi::extism_plugin_output_length(other.context.0, other.id);
        let data = ffi::extism_plugin_output_data(other.context.0, other.id);
        let name = CString::new(function).expect("no NUL in the name");
        // SAFETY: the name is a C string; pointer and length are those of an output, valid until its plugin is called.
        unsafe { ffi::extism_plugin_call(self.context.0, self.id, name.as_ptr(), data, length) }
    }

    /// Calls the function whose NUL-terminated name is the output of the last call.
    pub fn call_named_by_output(&self, input: &[u8]) -> i32 {
        let name = ffi::extism_plugin_output_data(self.context.0, self.id).cast();
        // SAFETY: the name is a C string in the output, which is valid until this call; the input is a slice.
        unsafe { ffi::extism_plugin_call(self.context.0, self.id, name, input.as_ptr(), input.len() as u64) }
    }

    /// Calls a function without a name.
    pub fn call_nameless(&self) -> i32 {
        // SAFETY: NULL is allowed for name and input.
        unsafe { ffi::extism_plugin_call(self.context.0, self.id, std::ptr::null(), std::ptr::null(), 0) }
    }

    /// The output of a call that must succeed.
    pub fn answer(&self, function: &str, input: impl AsRef<[u8]>) -> String {
        let answer = self.call(function, input);
        assert_eq!((answer.code, answer.error.as_deref()), (0, None), "{function}");
        answer.text()
    }

    pub fn configure(&self, json: &str) -> bool {
        // SAFETY: pointer and length are those of a slice.
        unsafe { ffi::extism_plugin_config(self.context.0, self.id, json.as_ptr(), json.len() as u64) }.into()
    }

    pub fn update(&self, input: impl AsRef<[u8]>, with_wasi: bool) -> bool {
        let input = input.as_ref();
        let (data, size) = (input.as_ptr(), input.len() as u64);
        // SAFETY: pointer and length are those of a slice.
        unsafe { ffi::extism_plugin_update(self.context.0, self.id, data, size, with_wasi.into()) }.into()
    }

    pub fn free(self) {
        ffi::extism_plugin_free(self.context.0, self.id);
    }

    pub fn fuel_used(&self) -> u64 {
        ffi::extism_plugin_fuel_used(self.context.0, self.id)
    }

    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle(ffi::extism_plugin_cancel_handle(self.context.0, self.id))
    }
}

/// A handle that cancels a plugin's calls.
pub struct CancelHandle(pub *const ffi::ExtismCancelHandle);

// SAFETY: the handle is a token, which any thread may use.
unsafe impl Send for CancelHandle {}
// SAFETY: as above.
unsafe impl Sync for CancelHandle {}

impl CancelHandle {
    pub fn cancel(&self) -> bool {
        ffi::extism_plugin_cancel(self.0).into()
    }
}

impl Drop for CancelHandle {
    fn drop(&mut self) {
        ffi::extism_cancel_handle_free(self.0);
    }
}

/// The project's directory, which this package is below.
pub fn root() -> std::path::PathBuf {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().find(|directory| directory.join("extism.h").is_file());
    root.expect("the header is beside the first package").to_owned()
}

/// A committed fixture, such as `echo.v0`.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = root().join(format!("fixtures/wasm/{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A manifest of one module given as bytes, with the other keys `rest`, such as `"config": {}`.
pub fn manifest(module: impl AsRef<[u8]>, rest: &str) -> String {
    let mut text = String::from("{\"wasm\": [{\"data\": \"");
    base64(module.as_ref(), &mut text);
    text.push_str("\"}]");
    if !rest.is_empty() {
        let _ = write!(text, ", {rest}");
    }
    text.push('}');
    text
}

/// SHA-256 in hex.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Appends standard base64 with padding.
pub fn base64(bytes: &[u8], text: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[word >> (18 - 6 * place) & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
}

/// All compilers, built in or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compiler {
    Cranelift,
    Llvm,
    Singlepass,
}

impl Compiler {
    pub const ALL: [Self; 3] = [Self::Cranelift, Self::Llvm, Self::Singlepass];

    pub fn name(self) -> &'static str {
        self.c_name().to_str().expect("UTF-8")
    }

    fn c_name(self) -> &'static CStr {
        match self {
            Self::Cranelift => c"cranelift",
            Self::Llvm => c"llvm",
            Self::Singlepass => c"singlepass",
        }
    }

    pub fn is_built_in(&self) -> bool {
        // SAFETY: the name is a C string.
        unsafe { ffi::extism_compiler_available(self.c_name().as_ptr()) }.into()
    }

    /// The name of the compiler that the next plugin gets.
    pub fn in_use() -> &'static str {
        let name = ffi::extism_compiler();
        assert!(!name.is_null(), "EXTISM_COMPILER is wrong");
        // SAFETY: the name is a C string that lives as long as the library.
        unsafe { CStr::from_ptr(name) }.to_str().expect("UTF-8")
    }
}

/// Chooses a compiler by name, or with `None` takes the choice back.
pub fn choose_compiler(name: Option<&str>) -> bool {
    let name = name.map(|name| CString::new(name).expect("no NUL in the name"));
    // SAFETY: the pointer is NULL or a C string.
    unsafe { ffi::extism_compiler_set(name.as_ref().map_or(std::ptr::null(), |name| name.as_ptr())) }.into()
}
