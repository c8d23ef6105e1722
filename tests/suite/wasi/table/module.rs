//! The plugin that makes calls: one export a row, which answers with the memory afterwards and the results of the
//! calls.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Version;
use super::calls::{Argument, Buffer, Call};
use super::functions::FUNCTIONS;
use super::names::{MEMORY, SEEN};

/// The byte that fills the checked part of the memory before any call.
pub(super) const UNTOUCHED: u8 = 0xaa;

/// Address of the results of a row's calls, four bytes each; then that of texts, buffers and subscriptions.
const RESULTS: u32 = 0x2000;
const DATA: u32 = 0x2800;

/// The last bytes of the memory.
const LAST: &str = "a.txt";

/// A plugin whose export `row0` makes the first of these rows' calls, `row1` the second's and so on, and whose `_start`
/// does nothing.
pub(super) fn module<'a>(version: Version, rows: impl Iterator<Item = &'a [Call]>) -> String {
    let mut wat = String::from("(module");
    for function in &FUNCTIONS {
        let parameters: String =
            function.parameters.chars().map(|ty| if ty == 'I' { " i64" } else { " i32" }).collect();
        let name = function.name;
        let _ = writeln!(
            wat,
            r#"(import "{}" "{name}" (func ${name} (param{parameters}) (result i32)))"#,
            version.module()
        );
    }
    wat += PARTS;
    let mut data = Data { version, bytes: Vec::new(), known: BTreeMap::new() };
    for (index, calls) in rows.enumerate() {
        let _ = writeln!(wat, "(func (export \"row{index}\") (call $set_up)");
        for (call, place) in calls.iter().zip((RESULTS..DATA).step_by(4)) {
            let _ = writeln!(wat, "(i32.store (i32.const {place}) {})", data.call(call));
        }
        let _ = writeln!(wat, "(call $answer (i32.const {})))", RESULTS + 4 * calls.len() as u32);
    }
    let text: String = data.bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let last = MEMORY - LAST.len() as u32;
    assert!(DATA + (data.bytes.len() as u32) < last, "the data are too long");
    let _ = write!(
        wat,
        r#"(memory (export "memory") {} {0}) (data (i32.const {DATA}) "{text}") (data (i32.const {last}) "{LAST}")
        (func $set_up (memory.fill (i32.const 0) (i32.const {UNTOUCHED}) (i32.const {SEEN})))
        (func $answer (param $end i32) (local $block i64) (local $at i32)
            (local.set $block (call $alloc (i64.const {})))
            (call $copy (local.get $block) (i32.const 0) (i32.const {SEEN}))
            (call $copy (i64.add (local.get $block) (i64.const {SEEN})) (i32.const {RESULTS}) (local.get $end))
            (call $output_set (local.get $block) (i64.extend_i32_u
                (i32.sub (i32.add (i32.const {SEEN}) (local.get $end)) (i32.const {RESULTS}))))))"#,
        MEMORY >> 16,
        SEEN + DATA - RESULTS,
    );
    wat
}

const PARTS: &str = r#"
    (import "env" "extism_alloc" (func $alloc (param i64) (result i64)))
    (import "env" "extism_store_u64" (func $store (param i64 i64)))
    (import "env" "extism_output_set" (func $output_set (param i64 i64)))
    (func (export "_start"))
    (func $copy (param $to i64) (param $from i32) (param $end i32)
        (loop $next
            (call $store (local.get $to) (i64.load (local.get $from)))
            (local.set $to (i64.add (local.get $to) (i64.const 8)))
            (local.set $from (i32.add (local.get $from) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $from) (local.get $end)))))
"#;

/// The data that calls point to.
struct Data {
    version: Version,
    bytes: Vec<u8>,
    /// Addresses of bytes that are there already.
    known: BTreeMap<Vec<u8>, u32>,
}

impl Data {
    /// The address of `bytes`, which are added if they are new.
    fn address(&mut self, bytes: Vec<u8>) -> u32 {
        if let Some(address) = self.known.get(&bytes) {
            return *address;
        }
        let address = DATA + self.bytes.len() as u32;
        self.bytes.extend(&bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.known.insert(bytes, address);
        address
    }

    fn call(&mut self, call: &Call) -> String {
        let function = FUNCTIONS.iter().find(|function| function.name == call.name);
        let function = function.unwrap_or_else(|| panic!("no function is called `{}`", call.name));
        let values: Vec<i64> = call.arguments.iter().flat_map(|argument| self.values(argument)).collect();
        assert_eq!(values.len(), function.parameters.len(), "{call:?}");
        let arguments = function.parameters.chars().zip(values).map(|(ty, value)| match ty {
            'I' => format!(" (i64.const {value})"),
            _ => format!(" (i32.const {})", value as i32),
        });
        format!("(call ${}{})", call.name, arguments.collect::<String>())
    }

    /// The values of an argument: one number, or an address and a length.
    fn values(&mut self, argument: &Argument) -> Vec<i64> {
        match argument {
            Argument::Number(number) => vec![*number],
            Argument::Text(text) => vec![self.address(text.clone()).into(), text.len() as i64],
            Argument::Buffers(buffers) => {
                let vectors: Vec<u8> = buffers.iter().flat_map(|buffer| self.vector(buffer)).collect();
                vec![self.address(vectors).into(), buffers.len() as i64]
            }
            Argument::Subscriptions(subscriptions) => {
                let bytes = subscriptions.iter().flat_map(|(kind, numbers)| subscription(self.version, kind, numbers));
                let bytes = bytes.collect();
                vec![self.address(bytes).into()]
            }
            Argument::Room(_) => panic!("`<8>` is nowhere"),
        }
    }

    /// An `iovec`.
    fn vector(&mut self, buffer: &Buffer) -> [u8; 8] {
        let (address, length) = match buffer {
            Buffer::Text(text) => (self.address(text.clone()).into(), text.len() as i64),
            Buffer::At { address, length } => (*address, *length),
        };
        let mut vector = [0; 8];
        vector[..4].copy_from_slice(&(address as u32).to_le_bytes());
        vector[4..].copy_from_slice(&(length as u32).to_le_bytes());
        vector
    }
}

/// A `subscription`. In preview 0, a clock has an identifier before the rest.
fn subscription(version: Version, kind: &str, numbers: &[i64]) -> Vec<u8> {
    let (size, clock) = if version == Version::Preview0 { (56, 24) } else { (48, 16) };
    let mut bytes = vec![0; size];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    match (kind, numbers) {
        ("clock", &[user_data, id, timeout, flags]) => {
            if version == Version::Preview0 {
                put(16, &[0xff; 8]);
            }
            put(0, &user_data.to_le_bytes());
            put(clock, &(id as u32).to_le_bytes());
            put(clock + 8, &timeout.to_le_bytes());
            put(clock + 24, &(flags as u16).to_le_bytes());
        }
        ("read" | "write" | "unknown", &[user_data, fd]) => {
            put(0, &user_data.to_le_bytes());
            put(
                8,
                &[if kind == "read" {
                    1
                } else if kind == "write" {
                    2
                } else {
                    3
                }],
            );
            put(16, &(fd as u32).to_le_bytes());
        }
        _ => panic!("no subscription: {kind} {numbers:?}"),
    }
    bytes
}
