//! Calls written as text, such as `store_u8(block, 7); load_u8(block)`, and the plugin that makes them.
//!
//! All values are i64 here; i32 parameters and results are converted. An expression consists of calls of host
//! functions, and of:
//!
//! - numbers: `7`, `-1`, `0x100000000`, `min` and `max` of an i64; `+1` or `-1` after a value; `eq`, `ne`, `lt`, `and`
//!   and `sub` of two values
//! - `"text"`: a new block that holds it; `\ff` is a byte
//! - `block`: a block that holds `ABCDEFGHIJKLMNOP`; `freed`: where one of 24 bytes was; `input`: the block of the
//!   input; `end`: the first number of the input, which is the size of the memory

use std::fmt::Write as _;

use super::{Abi, FUNCTIONS, common, imports, parse};
use crate::host::base64;

/// The way by which calls reach the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// The module calls its imports. It is the only module, so calls that move bytes are inlined.
    Direct,
    /// Like `Direct`, beside another module: calls about the output are not inlined.
    Beside,
    /// Like `Direct`, with a memory like the one that the rewrite adds to inline calls: nothing is inlined.
    Called,
    /// The module calls its imports through a table.
    Table,
    /// The module calls functions that a library imports and exports again.
    Library,
}

/// A manifest with the other keys `rest`, for a plugin that makes each of `calls` in an export of its own: `call0`,
/// `call1` and so on. An export answers with the last value of its calls, if they have any.
pub(super) fn manifest<'a>(abi: Abi, how: How, calls: impl Iterator<Item = &'a str>, rest: &str) -> String {
    let mut body = String::from(SETUP);
    let mut texts = String::new();
    for (index, call) in calls.enumerate() {
        let steps = Writer { abi, how, rest: call, texts: &mut texts }.steps();
        let _ = writeln!(body, "(func (export \"call{index}\") (local $value i64) (call $set_up) {steps})");
    }
    let more = if how == How::Called { "(memory 1 65521)" } else { "" };
    let _ = write!(body, "(memory 1) {more} (data (i32.const 0) \"{texts}\") {}", table(abi));
    let from_host = imports(abi, abi.module(), |name| abi.import_name(name));
    if how == How::Library {
        let exports = each_function(abi, |name| format!("(export \"{name}\" (func ${name}))"));
        let library = parse(&format!("(module {from_host} {exports})"));
        let from_library = imports(abi, "library", str::to_owned);
        let main = parse(&format!("(module {from_library} {body} {})", common(abi)));
        entries(&[("library", library), ("main", main)], rest)
    } else {
        let main = parse(&format!("(module {from_host} {body} {})", common(abi)));
        let beside = (how == How::Beside).then(|| ("beside", parse("(module)")));
        entries(&beside.into_iter().chain([("main", main)]).collect::<Vec<_>>(), rest)
    }
}

/// A manifest of named modules with the other keys `rest`.
pub(super) fn entries(modules: &[(&str, Vec<u8>)], rest: &str) -> String {
    let entries = modules.iter().map(|(name, module)| {
        let mut entry = format!("{{\"name\": \"{name}\", \"data\": \"");
        base64(module, &mut entry);
        entry + "\"}"
    });
    let comma = if rest.is_empty() { "" } else { ", " };
    format!("{{\"wasm\": [{}]{comma}{rest}}}", entries.collect::<Vec<_>>().join(", "))
}

/// All functions of `abi` in a table, and their types under their names.
fn table(abi: Abi) -> String {
    let names = each_function(abi, |name| format!(" ${name}"));
    abi.functions().fold(format!("(table funcref (elem{names}))"), |mut wat, function| {
        let _ = write!(wat, " (type ${} (func{}))", function.name, function.ty());
        wat
    })
}

fn each_function(abi: Abi, write: impl Fn(&str) -> String) -> String {
    abi.functions().map(|function| write(function.name)).collect()
}

/// The values that expressions name, made anew at the start of each call.
const SETUP: &str = r#"
    (global $answer (mut i64) (i64.const 0))
    (global $block (mut i64) (i64.const 0))
    (global $freed (mut i64) (i64.const 0))
    (global $end (mut i64) (i64.const 0))
    (func $set_up
      (global.set $answer (call $alloc (i64.const 8)))
      (global.set $freed (call $alloc (i64.const 24)))
      (global.set $block (call $alloc (i64.const 16)))
      (call $store_u64 (global.get $block) (i64.const 0x4847464544434241))
      (call $store_u64 (i64.add (global.get $block) (i64.const 8)) (i64.const 0x504f4e4d4c4b4a49))
      (call $free (global.get $freed))
      (global.set $end (call $argument (i64.const 0))))
    (func $answer_value (param $value i64)
      (call $store_u64 (global.get $answer) (local.get $value))
      (call $output_set (global.get $answer) (i64.const 8)))
    (func $text (param $at i32) (param $length i32) (result i64) (local $block i64) (local $i i32)
      (local.set $block (call $alloc (i64.extend_i32_u (local.get $length))))
      (loop $next
        (if (i32.lt_u (local.get $i) (local.get $length)) (then
          (call $store_u8
            (i64.add (local.get $block) (i64.extend_i32_u (local.get $i)))
            (i32.load8_u (i32.add (local.get $at) (local.get $i))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next))))
      (local.get $block))
"#;

/// Reads calls from their text and writes them as WAT.
struct Writer<'a> {
    abi: Abi,
    how: How,
    rest: &'a str,
    /// The bytes of all texts so far, each as `\hh`.
    texts: &'a mut String,
}

/// An expression as WAT; a call without a result has no value.
struct Expression {
    wat: String,
    has_value: bool,
}

fn value(wat: String) -> Expression {
    Expression { wat, has_value: true }
}

impl<'a> Writer<'a> {
    /// All calls, and the answer with the last value.
    fn steps(&mut self) -> String {
        let mut steps = String::new();
        let mut has_value = false;
        loop {
            let step = self.expression();
            has_value |= step.has_value;
            steps += &if step.has_value { format!("(local.set $value {})", step.wat) } else { step.wat };
            if !self.take(";") {
                break;
            }
        }
        assert_eq!(self.rest.trim(), "", "not understood");
        if has_value { steps + "(call $answer_value (local.get $value))" } else { steps }
    }

    fn expression(&mut self) -> Expression {
        let mut expression = self.operand();
        while self.rest.starts_with(['+', '-']) {
            self.take("+");
            expression = value(format!("(i64.add {} (i64.const {}))", expression.wat, self.number()));
        }
        expression
    }

    fn operand(&mut self) -> Expression {
        if self.take("\"") {
            return value(self.text());
        }
        if self.rest.trim_start().starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return value(format!("(i64.const {})", self.number()));
        }
        let name = self.word();
        if self.take("(") {
            return self.call(name);
        }
        value(match name {
            "min" => format!("(i64.const {})", i64::MIN),
            "max" => format!("(i64.const {})", i64::MAX),
            "input" => self.call_by_name("input_offset", ""),
            _ => format!("(global.get ${name})"),
        })
    }

    /// A call whose name and parenthesis have been read.
    fn call(&mut self, name: &str) -> Expression {
        let mut arguments = Vec::new();
        while !self.take(")") {
            arguments.push(self.expression().wat);
            self.take(",");
        }
        match name {
            "eq" | "ne" => value(format!("(i64.extend_i32_u (i64.{name} {}))", arguments.join(" "))),
            "lt" => value(format!("(i64.extend_i32_u (i64.lt_u {}))", arguments.join(" "))),
            "and" | "sub" => value(format!("(i64.{name} {})", arguments.join(" "))),
            _ => self.host_call(name, &arguments),
        }
    }

    fn host_call(&self, name: &str, arguments: &[String]) -> Expression {
        let function = FUNCTIONS.iter().find(|function| function.name == name);
        let function = function.unwrap_or_else(|| panic!("no function is called `{name}`"));
        assert_eq!(function.parameters.len(), arguments.len(), "{name}");
        let converted = function.parameters.iter().zip(arguments).map(|(ty, argument)| match *ty {
            "i32" => format!("(i32.wrap_i64 {argument})"),
            _ => argument.clone(),
        });
        let wat = self.call_by_name(name, &converted.collect::<String>());
        let wat = if function.result == "i32" { format!("(i64.extend_i32_u {wat})") } else { wat };
        Expression { wat, has_value: !function.result.is_empty() }
    }

    fn call_by_name(&self, name: &str, arguments: &str) -> String {
        match self.how {
            How::Direct | How::Beside | How::Called | How::Library => format!("(call ${name} {arguments})"),
            How::Table => {
                let place = self.abi.functions().position(|function| function.name == name);
                let place = place.unwrap_or_else(|| panic!("{:?} has no `{name}`", self.abi));
                format!("(call_indirect (type ${name}) {arguments} (i32.const {place}))")
            }
        }
    }

    /// A text whose opening quote has been read.
    fn text(&mut self) -> String {
        let (text, rest) = self.rest.split_once('"').expect("a text ends");
        self.rest = rest;
        let start = self.texts.len() / 3;
        let mut rest = text;
        while let Some(byte) = rest.bytes().next() {
            let escaped = byte == b'\\';
            let hex = if escaped { rest[1..3].to_owned() } else { format!("{byte:02x}") };
            let _ = write!(self.texts, "\\{hex}");
            rest = &rest[if escaped { 3 } else { 1 }..];
        }
        format!("(call $text (i32.const {start}) (i32.const {}))", self.texts.len() / 3 - start)
    }

    fn number(&mut self) -> i64 {
        let negative = self.take("-");
        let word = self.word();
        let number = match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        let number = number.unwrap_or_else(|error| panic!("`{word}`: {error}")).cast_signed();
        if negative { number.wrapping_neg() } else { number }
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}
