//! Calls of both guest ABIs in any order behave as a plain model predicts: bytes read are those written, live blocks do
//! not overlap, and each import keeps its ABI's rule for places that are out of bounds or no block.
//!
//! A generated module calls the host step by step and notes the results. `model.rs` performs the same steps.
#![no_main]

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter, Write as _};

use arbitrary::{Arbitrary, Result, Unstructured};
use extism_fuzz::environment;
use extism_fuzz::model::{Abi, CONFIG, Model, Seen};
use extism_testkit::host::{Context, base64};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

/// A function: name, parameters, result. Parameters: `s` is the size of a block, `h` the handle of one, `p` a place,
/// `i` a place in the input, `n` a number of bytes, `v` a value of 64 bits, `b` one of 32. Results: `l` has 64 bits,
/// `i` 32.
type Function = (&'static str, &'static str, &'static str);

/// Functions of both ABIs. Functions that make programs interesting are listed more than once.
const BOTH: [Function; 24] = [
    ("alloc", "s", "l"),
    ("alloc", "s", "l"),
    ("alloc", "s", "l"),
    ("free", "h", ""),
    ("free", "h", ""),
    ("length", "h", "l"),
    ("load_u8", "p", "i"),
    ("load_u64", "p", "l"),
    ("store_u8", "pb", ""),
    ("store_u64", "pv", ""),
    ("store_u64", "pv", ""),
    ("input_length", "", "l"),
    ("input_offset", "", "l"),
    ("input_load_u8", "i", "i"),
    ("input_load_u64", "i", "l"),
    ("output_set", "pn", ""),
    ("error_set", "h", ""),
    ("config_get", "h", "l"),
    ("var_get", "h", "l"),
    ("var_get", "h", "l"),
    ("var_set", "hh", ""),
    ("var_set", "hh", ""),
    ("log_info", "h", ""),
    ("http_status_code", "", "i"),
];
const V1: [Function; 8] = [
    ("length_unsafe", "h", "l"),
    ("input_set", "pn", ""),
    ("output_offset", "", "l"),
    ("output_length", "", "l"),
    ("error_get", "", "l"),
    ("reset", "", ""),
    ("memory_bytes", "", "l"),
    ("http_headers", "", "l"),
];

/// One call of the host.
struct Step {
    abi: Abi,
    function: Function,
    operands: Vec<Operand>,
}

/// A constant, or a number that the plugin finds at run time, plus a constant.
struct Operand {
    base: Base,
    plus: u64,
}

#[derive(Clone, Copy)]
enum Base {
    Zero,
    /// The place of the input at the beginning.
    Input,
    /// The end of the memory.
    End,
    /// The result of an earlier step.
    Result(usize),
    /// The size of the memory behind that result, up to [`MOST_BEHIND`]: a block of this size may fill the memory.
    Behind(usize),
}

/// A function of the plugin, and the input that it is called with.
struct Call {
    input: Vec<u8>,
    steps: Vec<Step>,
}

/// A plugin.
struct Program {
    calls: Vec<Call>,
    /// Linked with another module, so that fewer calls are inlined.
    is_linked: bool,
    /// Its instructions are counted.
    is_counted: bool,
    /// Has a second memory like the one that the rewrite adds for inlining, so that nothing is inlined.
    is_called: bool,
}

fuzz_target!(init: environment::isolate(&[]), |program: Program| {
    let context = Context::new();
    let plugin = context.plugin(program.manifest());
    let answers: Vec<_> =
        program.calls.iter().enumerate().map(|(index, call)| plugin.call(&format!("call{index}"), &call.input)).collect();
    let notes = plugin.call("notes", b"");
    assert_eq!((notes.code, &notes.error, notes.output.len()), (0, &None, NOTES * program.calls.len()));

    let mut vars = BTreeMap::new();
    for ((call, answer), notes) in program.calls.iter().zip(answers).zip(notes.output.chunks(NOTES)) {
        let notes: Vec<_> = notes.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let mut model = Model::new(&call.input, notes[1], notes[2], &mut vars);
        // The last step may have ended the call.
        let finished = notes[0] as usize;
        let mut trap = None;
        for (index, step) in call.steps.iter().enumerate().take(finished + 1) {
            let operands = step.operands.iter().map(|operand| operand.value(&notes, model.size())).collect::<Vec<_>>();
            let seen = (index < finished).then(|| Seen { result: notes[3 + 2 * index], size: notes[4 + 2 * index] });
            trap = model.go(step.abi, step.function.0, &operands, seen);
        }
        model.finish(trap, &answer);
    }
});

/// The length of a call's notes, in bytes: the number of finished steps, the place of the input, and the memory's size;
/// and for each step, its result and the memory's size after it.
const NOTES: usize = 8 * (3 + 2 * MOST_STEPS);
const MOST_STEPS: usize = 24;

const MOST_BEHIND: u64 = 0x3_ffff;

impl Program {
    fn manifest(&self) -> String {
        let entry = |name: &str, module: &[u8]| {
            let mut data = String::new();
            base64(module, &mut data);
            json!({"name": name, "data": data})
        };
        let wasm = wat::parse_str(self.wat()).expect("WAT");
        let mut modules = vec![entry("main", &wasm)];
        if self.is_linked {
            modules.push(entry("beside", b"(module)"));
        }
        let fuel = self.is_counted.then_some(1_u64 << 50);
        // `keep` leaves the notes of a call that trapped in place.
        json!({"wasm": modules, "config": BTreeMap::from(CONFIG), "fuel": fuel, "after_trap": "keep"}).to_string()
    }

    fn wat(&self) -> String {
        let steps = self.calls.iter().flat_map(|call| &call.steps);
        let mut imports: BTreeMap<String, Function> = steps.map(|step| (step.import(), step.function)).collect();
        for (name, function) in
            [("extism:host/env\" \"input_offset", ("", "", "l")), ("extism:host/env\" \"memory_bytes", ("", "", "l"))]
        {
            imports.insert(name.to_owned(), function);
        }
        let mut wat = String::from("(module\n");
        for (import, (_, parameters, result)) in imports {
            let _ = write!(wat, "  (import \"{import}\" (func ${}", name(&import));
            for parameter in parameters.chars() {
                let _ = write!(wat, " (param {})", if parameter == 'b' { "i32" } else { "i64" });
            }
            let result = match result {
                "l" => " (result i64)",
                "i" => " (result i32)",
                _ => "",
            };
            let _ = writeln!(wat, "{result}))");
        }
        let length = self.calls.len() * NOTES;
        let like_io = if self.is_called { "(memory 1 65521)" } else { "" };
        let _ = write!(
            wat,
            r#"  (import "env" "extism_alloc" (func $new (param i64) (result i64)))
  (import "env" "extism_store_u64" (func $put (param i64 i64)))
  (import "env" "extism_output_set" (func $answer (param i64 i64)))
  (memory 1) {like_io}
  (func (export "notes") (local $block i64) (local $at i32)
    (local.set $block (call $new (i64.const {length})))
    (loop $next
      (call $put (i64.add (local.get $block) (i64.extend_i32_u (local.get $at))) (i64.load (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const {length}))))
    (call $answer (local.get $block) (i64.const {length})))
"#
        );
        for (index, call) in self.calls.iter().enumerate() {
            let _ = writeln!(wat, "  (func (export \"call{index}\")");
            call.write(NOTES * index, &mut wat);
            wat.push_str("  )\n");
        }
        wat + ")"
    }
}

impl Call {
    /// Writes the steps as WAT; they note their results from `base` on.
    fn write(&self, base: usize, wat: &mut String) {
        let note = |place: usize| format!("i64.store offset={} (i32.const 0)", base + 8 * place);
        let _ = writeln!(wat, "    ({} (call $v1.input_offset))\n    ({} (call $v1.memory_bytes))", note(1), note(2));
        for (index, step) in self.steps.iter().enumerate() {
            let call = step.wat(base);
            match step.function.2 {
                "l" => writeln!(wat, "    ({} {call})", note(3 + 2 * index)),
                "i" => writeln!(wat, "    ({} (i64.extend_i32_u {call}))", note(3 + 2 * index)),
                _ => writeln!(wat, "    {call}"),
            }
            .expect("it is a string");
            let _ = writeln!(wat, "    ({} (call $v1.memory_bytes))", note(4 + 2 * index));
            let _ = writeln!(wat, "    ({} (i64.const {}))", note(0), index + 1);
        }
    }
}

impl Step {
    /// Module and name as WAT quotes them, without the outer quotes.
    fn import(&self) -> String {
        match self.abi {
            Abi::V0 => format!("env\" \"extism_{}", self.function.0),
            Abi::V1 => format!("extism:host/env\" \"{}", self.function.0),
        }
    }

    fn wat(&self, base: usize) -> String {
        let mut wat = format!("(call ${}", name(&self.import()));
        for (operand, kind) in self.operands.iter().zip(self.function.1.chars()) {
            let operand = operand.wat(base);
            let _ = if kind == 'b' { write!(wat, " (i32.wrap_i64 {operand})") } else { write!(wat, " {operand}") };
        }
        wat + ")"
    }
}

/// The name of an import in the module.
fn name(import: &str) -> String {
    import.replace("env\" \"extism_", "v0.").replace("extism:host/env\" \"", "v1.")
}

impl Operand {
    fn wat(&self, base: usize) -> String {
        let load = |place: usize| format!("(i64.load offset={} (i32.const 0))", base + 8 * place);
        let found = match self.base {
            Base::Zero => return format!("(i64.const {})", self.plus),
            Base::Input => load(1),
            Base::End => "(call $v1.memory_bytes)".to_owned(),
            Base::Result(step) => load(3 + 2 * step),
            Base::Behind(step) => {
                let place = load(3 + 2 * step);
                format!("(i64.and (i64.sub (call $v1.memory_bytes) {place}) (i64.const {MOST_BEHIND}))")
            }
        };
        format!("(i64.add {found} (i64.const {}))", self.plus)
    }

    fn value(&self, notes: &[u64], end: u64) -> u64 {
        let base = match self.base {
            Base::Zero => 0,
            Base::Input => notes[1],
            Base::End => end,
            Base::Result(step) => notes[3 + 2 * step],
            Base::Behind(step) => end.wrapping_sub(notes[3 + 2 * step]) & MOST_BEHIND,
        };
        base.wrapping_add(self.plus)
    }
}

impl Debug for Program {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let inputs: Vec<_> = self.calls.iter().map(|call| &call.input).collect();
        let Self { is_linked, is_counted, .. } = self;
        write!(f, "linked: {is_linked}, counted: {is_counted}, {inputs:?}\n{}", self.wat())
    }
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        let (is_linked, is_counted, is_called) = (noise.ratio(1, 4)?, noise.ratio(1, 4)?, noise.ratio(1, 4)?);
        let mut calls = vec![Call::arbitrary(noise)?];
        while calls.len() < 3 && noise.arbitrary()? {
            calls.push(Call::arbitrary(noise)?);
        }
        Ok(Self { calls, is_linked, is_counted, is_called })
    }
}

impl<'a> Arbitrary<'a> for Call {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        let length = *noise.choose(&[0, 1, 7, 8, 16, 70_000])?;
        let front = noise.int_in_range(0..=16)?.min(noise.len());
        let mut input = noise.bytes(front)?.to_vec();
        input.resize(length, b'a');
        let mut steps = if noise.ratio(1, 3)? { full(noise)? } else { Vec::new() };
        while steps.len() < MOST_STEPS && !noise.is_empty() && !noise.ratio(1, 20)? {
            steps.push(step(noise, &steps)?);
        }
        Ok(Self { input, steps })
    }
}

/// Steps that make small blocks, and one that fills the memory: afterwards there is only room where a block is freed.
fn full(noise: &mut Unstructured<'_>) -> Result<Vec<Step>> {
    let mut operands = Vec::new();
    let mut size = 0;
    for _ in 0..noise.int_in_range(3..=6)? {
        size = 8 * noise.int_in_range(1..=4)?;
        operands.push(number(Base::Zero, size)?);
    }
    // The last word is never part of a block.
    operands.push(number(Base::Behind(operands.len() - 1), -8 - size)?);
    let alloc = |operand| Step { abi: Abi::V1, function: ("alloc", "s", "l"), operands: vec![operand] };
    Ok(operands.into_iter().map(alloc).collect())
}

/// A random step after `earlier`.
fn step(noise: &mut Unstructured<'_>, earlier: &[Step]) -> Result<Step> {
    let abi = *noise.choose(&[Abi::V0, Abi::V1])?;
    let of_v1 = if abi == Abi::V1 && noise.ratio(1, 4)? { Some(noise.choose(&V1)?) } else { None };
    let function = *of_v1.map_or_else(|| noise.choose(&BOTH), Ok)?;
    let operands = function.1.chars().map(|kind| {
        // In 0.x, most of these end the call.
        if noise.ratio(1, if abi == Abi::V0 { 24 } else { 4 })? {
            odd(kind, noise, earlier.len())
        } else {
            sound(kind, noise, earlier)
        }
    });
    let operands = operands.collect::<Result<_>>()?;
    Ok(Step { abi, function, operands })
}

/// A plausible operand, after the steps `earlier`.
fn sound(kind: char, noise: &mut Unstructured<'_>, earlier: &[Step]) -> Result<Operand> {
    const SIZES: [i64; 12] = [0, 1, 7, 8, 9, 16, 17, 24, 100, 5000, 65_536, 1 << 20];
    const LENGTHS: [i64; 6] = [0, 1, 4, 8, 9, 24];
    const VALUES: [i64; 4] = [0, 0x61, 0x62, 0xa9c3];
    let makes_block = |step: &Step| ["alloc", "var_get", "config_get"].contains(&step.function.0);
    // Newest first.
    let blocks: Vec<_> = (0..earlier.len()).rev().filter(|step| makes_block(&earlier[*step])).collect();
    let block = |noise: &mut Unstructured<'_>| {
        let recent = if noise.arbitrary()? { 4 } else { blocks.len() };
        noise.choose(&blocks[..recent.min(blocks.len())]).copied()
    };
    match kind {
        's' if !blocks.is_empty() && noise.ratio(1, 4)? => {
            number(Base::Behind(block(noise)?), -8 * noise.int_in_range(0..=6)?)
        }
        's' => number(Base::Zero, *noise.choose(&SIZES)?),
        'h' if blocks.is_empty() => number(Base::Input, 0),
        'h' => number(Base::Result(block(noise)?), 0),
        'p' if blocks.is_empty() => number(Base::Input, *noise.choose(&LENGTHS)?),
        'p' => number(Base::Result(block(noise)?), *noise.choose(&LENGTHS)?),
        'i' | 'n' => number(Base::Zero, *noise.choose(&LENGTHS)?),
        // Values that are written to blocks can be keys.
        _ if noise.arbitrary()? => number(Base::Zero, *noise.choose(&VALUES)?),
        _ => number(Base::Zero, noise.arbitrary::<i64>()? & 0x7f7f_7f7f_7f7f_7f7f),
    }
}

/// Any operand, after a number of `earlier` steps.
fn odd(kind: char, noise: &mut Unstructured<'_>, earlier: usize) -> Result<Operand> {
    const NEAR: [i64; 9] = [0, 1, 7, 8, 16, -1, -7, -8, -9];
    // Blocks of 4 GiB are refused.
    const EDGES: [i64; 7] = [0, 64, 1 << 32, i64::MAX, i64::MIN, -1, -8];
    match noise.int_in_range(0..=3)? {
        _ if kind == 's' => number(Base::Zero, *noise.choose(&EDGES)?),
        0 => number(Base::Input, *noise.choose(&NEAR)?),
        1 => number(Base::End, *noise.choose(&NEAR)?),
        2 if earlier > 0 => number(Base::Result(noise.int_in_range(0..=earlier - 1)?), *noise.choose(&NEAR)?),
        _ => number(Base::Zero, *noise.choose(&EDGES)?),
    }
}

fn number(base: Base, plus: i64) -> Result<Operand> {
    Ok(Operand { base, plus: plus.cast_unsigned() })
}
