//! Tests of both guest ABIs: every host function up to and over its edges, and that no call of a plugin sees the bytes
//! of another.
//!
//! Start with `table.rs`. This file has the parts that all others build their plugins from: both ABIs imported under
//! the same names, so that one WAT text serves both.

mod blocks;
mod calls;
mod coverage;
mod deadlines;
mod functions;
mod input;
mod kitchen;
mod limits;
mod memory_import;
mod output;
mod table;
mod traces;
mod uses;
mod variables;

use std::fmt::Write as _;

use crate::host::Plugin;

/// One of the two guest ABIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Abi {
    /// `env::extism_*`
    V0,
    /// `extism:host/env::*`
    V1,
}

const BOTH: [Abi; 2] = [Abi::V0, Abi::V1];

impl Abi {
    /// The module that its functions are imported from.
    fn module(self) -> &'static str {
        match self {
            Self::V0 => "env",
            Self::V1 => "extism:host/env",
        }
    }

    /// The name under which plugins import the function that has `name` in [`FUNCTIONS`].
    fn import_name(self, name: &str) -> String {
        match self {
            Self::V0 => format!("extism_{name}"),
            Self::V1 => name.to_owned(),
        }
    }

    fn functions(self) -> impl Iterator<Item = &'static Function> {
        FUNCTIONS.iter().filter(move |function| self == Self::V1 || function.in_v0)
    }

    /// The suffix of the fixtures for this ABI.
    fn suffix(self) -> &'static str {
        match self {
            Self::V0 => "v0",
            Self::V1 => "v1",
        }
    }
}

/// A host function and its WebAssembly type.
struct Function {
    name: &'static str,
    parameters: &'static [&'static str],
    result: &'static str,
    in_v0: bool,
}

impl Function {
    /// Its type as WAT: `(param i64) (result i64)`.
    fn ty(&self) -> String {
        let mut ty = String::new();
        if !self.parameters.is_empty() {
            let _ = write!(ty, " (param {})", self.parameters.join(" "));
        }
        if !self.result.is_empty() {
            let _ = write!(ty, " (result {})", self.result);
        }
        ty
    }
}

const fn both(name: &'static str, parameters: &'static [&'static str], result: &'static str) -> Function {
    Function { name, parameters, result, in_v0: true }
}

const fn v1(name: &'static str, parameters: &'static [&'static str], result: &'static str) -> Function {
    Function { name, parameters, result, in_v0: false }
}

/// All functions, as the two PDKs of Extism declare them.
const FUNCTIONS: &[Function] = &[
    both("input_length", &[], "i64"),
    both("input_offset", &[], "i64"),
    both("input_load_u8", &["i64"], "i32"),
    both("input_load_u64", &["i64"], "i64"),
    v1("input_set", &["i64", "i64"], ""),
    both("alloc", &["i64"], "i64"),
    both("free", &["i64"], ""),
    both("length", &["i64"], "i64"),
    v1("length_unsafe", &["i64"], "i64"),
    both("load_u8", &["i64"], "i32"),
    both("load_u64", &["i64"], "i64"),
    both("store_u8", &["i64", "i32"], ""),
    both("store_u64", &["i64", "i64"], ""),
    both("output_set", &["i64", "i64"], ""),
    v1("output_offset", &[], "i64"),
    v1("output_length", &[], "i64"),
    both("error_set", &["i64"], ""),
    v1("error_get", &[], "i64"),
    v1("reset", &[], ""),
    v1("memory_bytes", &[], "i64"),
    both("config_get", &["i64"], "i64"),
    both("var_get", &["i64"], "i64"),
    both("var_set", &["i64", "i64"], ""),
    both("http_request", &["i64", "i64"], "i64"),
    both("http_status_code", &[], "i32"),
    v1("http_headers", &[], "i64"),
    both("log_warn", &["i64"], ""),
    both("log_info", &["i64"], ""),
    both("log_debug", &["i64"], ""),
    both("log_error", &["i64"], ""),
    v1("log_trace", &["i64"], ""),
    v1("get_log_level", &[], "i32"),
];

/// Functions of all plugins here. Numbers come in as the input, 8 bytes each, and go out in the same way.
const COMMON: &str = r#"
    (func $argument (param $index i64) (result i64)
      (call $input_load_u64 (i64.shl (local.get $index) (i64.const 3))))
    (func $answer (param $value i64) (local $block i64)
      (local.set $block (call $alloc (i64.const 8)))
      (call $store_u64 (local.get $block) (local.get $value))
      (call $output_set (local.get $block) (i64.const 8)))
    (func (export "load_u8") (call $answer (i64.extend_i32_u (call $load_u8 (call $argument (i64.const 0))))))
"#;

/// An export for 1.x, where a plugin can ask how large the memory is.
const MEMORY_BYTES: &str = r#"(func (export "memory_bytes") (call $answer (call $memory_bytes)))"#;

/// A module of `body`, with every function of `abi` imported under its name in [`FUNCTIONS`].
fn module(abi: Abi, body: &str) -> Vec<u8> {
    let imports = imports(abi, abi.module(), |name| abi.import_name(name));
    parse(&format!("(module {imports} {body} {})", common(abi)))
}

/// The functions that all plugins of these tests have.
fn common(abi: Abi) -> String {
    match abi {
        Abi::V0 => COMMON.to_owned(),
        Abi::V1 => format!("{COMMON} {MEMORY_BYTES}"),
    }
}

/// WAT that imports all functions of `abi` from `module`, under the names that `rename` makes.
fn imports(abi: Abi, module: &str, rename: impl Fn(&str) -> String) -> String {
    abi.functions().fold(String::new(), |mut wat, function| {
        let (name, ty) = (function.name, function.ty());
        let _ = write!(wat, "(import \"{module}\" \"{}\" (func ${name}{ty}))", rename(name));
        wat
    })
}

fn parse(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}"))
}

/// Numbers as the plugins read and write them.
fn bytes(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The little-endian number in `bytes`.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rfold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The numbers that a call answers, which must succeed.
fn numbers(plugin: &Plugin<'_>, function: &str, input: &[u64]) -> Vec<u64> {
    let answer = plugin.call(function, bytes(input));
    assert_eq!((answer.code, answer.error.as_deref()), (0, None), "{function}{input:?}");
    assert_eq!(answer.output.len() % 8, 0, "{function}{input:?}");
    answer.output.chunks(8).map(number).collect()
}

/// The size of the memory that a plugin's loads and stores reach. 1.x can say it; in 0.x it is found by loads, which
/// trap outside.
fn memory_size(plugin: &Plugin<'_>, abi: Abi) -> u64 {
    const PAGE: u64 = 1 << 16;
    if abi == Abi::V1 {
        return numbers(plugin, "memory_bytes", &[0])[0];
    }
    let is_inside = |page: u64| plugin.call_only("load_u8", &bytes(&[page * PAGE])) == 0;
    let (mut inside, mut outside) = (0, 1);
    while is_inside(outside) {
        (inside, outside) = (outside, outside * 2);
    }
    while outside - inside > 1 {
        let middle = u64::midpoint(inside, outside);
        if is_inside(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    outside * PAGE
}
