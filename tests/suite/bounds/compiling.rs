//! Bounds on the time that compiling a module takes.

mod llvm;

use std::fs;
use std::time::Duration;

use crate::child;
use crate::host::{Compiler, Context, manifest};

fn number(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn section(id: u8, count: u32, items: &[u8]) -> Vec<u8> {
    let contents = [&number(count), items].concat();
    [&[id], number(contents.len() as u32).as_slice(), &contents].concat()
}

/// A function's body with `locals` locals of type `i32`.
fn body(locals: u32, code: &[u8]) -> Vec<u8> {
    let locals = if locals == 0 { vec![0] } else { [&[1], number(locals).as_slice(), &[0x7f]].concat() };
    let contents = [&locals, code, &[0x0b]].concat();
    [number(contents.len() as u32), contents].concat()
}

/// A module of `functions` functions, each of type 0 of `types` and with the same body.
fn module(types: &[&[u8]], functions: u32, body: &[u8]) -> Vec<u8> {
    let count = types.len() as u32;
    [
        b"\0asm\x01\0\0\0",
        section(1, count, &types.concat()).as_slice(),
        &section(3, functions, &vec![0; functions as usize]),
        // A table for indirect calls, a memory and a global.
        &section(4, 1, &[0x70, 0, 1]),
        &section(5, 1, &[0, 1]),
        &section(6, 1, &[0x7f, 1, 0x41, 0, 0x0b]),
        &section(10, functions, &body.repeat(functions as usize)),
    ]
    .concat()
}

const NOTHING: &[u8] = &[0x60, 0, 0];

/// Nested loops, each with a branch back, around one use of each of the locals.
fn loops(depth: usize, locals: u32) -> Vec<u8> {
    let gets = (0..locals).flat_map(|local| [&[0x20], number(local).as_slice(), &[0x1a]].concat());
    let inside: Vec<u8> = gets.collect();
    let ends = [0x41, 0, 0x0d, 0, 0x0b].repeat(depth);
    module(&[NOTHING], 1, &body(locals, &[[0x03, 0x40].repeat(depth), inside, ends].concat()))
}

/// Blocks with a jump table of `targets` targets each, `tables` of them in a function.
fn jump_tables(functions: u32, tables: usize, targets: u32) -> Vec<u8> {
    let labels = vec![0; targets as usize + 1];
    let table = [&[0x02, 0x40, 0x41, 0, 0x0e], number(targets).as_slice(), &labels, &[0x0b]].concat();
    module(&[NOTHING], functions, &body(0, &table.repeat(tables)))
}

/// Branches that do nothing, then a use of each local, whose value may come through any of the branches.
fn branches(count: usize, locals: u32) -> Vec<u8> {
    let gets = (0..locals).flat_map(|local| [&[0x20], number(local).as_slice(), &[0x1a]].concat());
    let code: Vec<u8> = [0x41, 0, 0x04, 0x40, 0x01, 0x0b].repeat(count).into_iter().chain(gets).collect();
    module(&[NOTHING], 1, &body(locals, &code))
}

/// A function that calls itself `count` times, with `values` arguments and as many results.
fn calls(values: u32, count: usize) -> Vec<u8> {
    let list = [number(values), vec![0x7f; values as usize]].concat();
    let ty = [&[0x60], list.as_slice(), &list].concat();
    let start = (0..values).flat_map(|local| [&[0x20], number(local).as_slice()].concat());
    module(&[&ty], 1, &body(0, &start.chain([0x10, 0].repeat(count)).collect::<Vec<_>>()))
}

/// `count` values, each made by `code` and kept on the operand stack until all are there. Then they are added up.
fn kept(result: u8, code: &[u8], add: &[u8], count: usize) -> Vec<u8> {
    module(&[&[0x60, 0, 1, result]], 1, &body(0, &[code.repeat(count), add.repeat(count - 1)].concat()))
}

/// Locals that calls set, all of them before the first is read.
fn called_locals(count: u32) -> Vec<u8> {
    let sets = (0..count).flat_map(|local| [&[0x10, 0, 0x21], number(local).as_slice()].concat());
    let gets = (0..count).flat_map(|local| [&[0x20], number(local).as_slice()].concat());
    let code = sets.chain(gets).chain([0x6a].repeat(count as usize - 1)).collect::<Vec<_>>();
    module(&[&[0x60, 0, 1, 0x7f]], 1, &body(count, &code))
}

/// `count` types with so many parameters and results, after one that has none.
fn types(parameters: u32, results: u32, count: usize) -> Vec<u8> {
    let list = |values: u32| [number(values), vec![0x7e; values as usize]].concat();
    let ty = [&[0x60], list(parameters).as_slice(), &list(results)].concat();
    module(&[&[NOTHING][..], &vec![ty.as_slice(); count]].concat(), 1, &body(0, &[]))
}

const I32: u8 = 0x7f;
const ADD: &[u8] = &[0x6a];
const CALL: &[u8] = &[0x10, 0];
const CALL_INDIRECT: &[u8] = &[0x41, 0, 0x11, 0, 0];
const GROW: &[u8] = &[0x41, 0, 0x40, 0];
const SIZE: &[u8] = &[0x3f, 0];
const TABLE_GET: &[u8] = &[0x41, 0, 0x25, 0, 0xd1];
/// `if (result i32)` on a value that is loaded.
const IF: &[u8] = &[0x41, 0, 0x28, 0, 0, 0x04, 0x7f, 0x41, 0, 0x28, 0, 0, 0x05, 0x41, 1, 0x28, 0, 0, 0x0b];
/// Two vectors that are loaded, shuffled.
const SHUFFLE: &[u8] = &[
    0x41, 0, 0xfd, 0, 0, 0, 0x41, 0, 0xfd, 0, 0, 0, 0xfd, 0x0d, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
];

/// Modules that take a compiler far longer than their size suggests are refused before a compiler sees them.
#[test]
fn what_would_take_too_long_to_compile_is_refused() {
    let too_long = "it would take too long to compile: an estimate of ";
    let cases = [
        ("locals", module(&[NOTHING], 2000, &body(50_000, &[])), too_long),
        ("nested loops", loops(40_000, 1), "function 0 has loops nested more than "),
        ("locals in loops", loops(100, 20_000), too_long),
        (
            "nested blocks",
            module(&[NOTHING], 1, &body(0, &[[0x02, 0x40].repeat(20_001), vec![0x0b; 20_001]].concat())),
            "function 0 has blocks nested more than 20000 deep",
        ),
        (
            "a jump table",
            jump_tables(1, 1, 1_600_000),
            "function 0 has a jump table of 1600001 targets, and the most is 200000",
        ),
        ("jump tables of 1.6 MB", jump_tables(16, 20, 5_000), too_long),
        ("jump tables of 6.5 MB", jump_tables(13, 5, 100_000), too_long),
        ("small jump tables", jump_tables(100, 700, 15), too_long),
        ("branches", branches(8_000, 10_000), too_long),
        ("types", module(&vec![NOTHING; 200_000], 1, &body(0, &[])), too_long),
        ("functions", module(&[NOTHING], 200_000, &body(0, &[])), too_long),
        ("arguments", calls(500, 20_000), too_long),
        ("indirect calls", module(&[NOTHING], 20, &body(0, &[0x41, 0, 0x11, 0, 0].repeat(10_000))), too_long),
        ("values kept over calls", kept(I32, CALL, ADD, 10_000), too_long),
        ("doubles kept over calls", kept(0x7c, CALL, &[0xa0], 10_000), too_long),
        ("vectors kept over calls", kept(0x7b, CALL, &[0xfd, 0xae, 1], 10_000), too_long),
        ("values kept over indirect calls", kept(I32, CALL_INDIRECT, ADD, 3_000), too_long),
        ("values kept over memory.grow", kept(I32, GROW, ADD, 3_000), too_long),
        ("values kept over memory.size", kept(I32, SIZE, ADD, 3_000), too_long),
        ("values kept over table.get", kept(I32, TABLE_GET, ADD, 3_000), too_long),
        ("values kept over f64.ceil", kept(0x7c, &[CALL, &[0x9b]].concat(), &[0xa0], 3_000), too_long),
        ("values kept over blocks", kept(I32, IF, ADD, 4_000), too_long),
        ("values kept over shuffles", kept(0x7b, SHUFFLE, &[0xfd, 0xae, 1], 16_000), too_long),
        ("locals set by calls", called_locals(16_000), too_long),
        ("parameters of types", types(900, 0, 400), too_long),
        ("results of types", types(0, 900, 400), too_long),
    ];
    let context = Context::new();
    // Singlepass has no vectors.
    let compilers = [Compiler::Cranelift, Compiler::Llvm];
    for compiler in compilers.into_iter().filter(Compiler::is_built_in).map(Compiler::name) {
        for (what, module, reason) in &cases {
            let error = context.refusal(manifest(module, &format!(r#""compiler": "{compiler}""#)));
            assert!(error.starts_with("module `main`: ") && error.contains(reason), "{what}, {compiler}: {error}");
        }
    }
    let error = context.refusal(manifest(module(&[NOTHING], 2000, &body(50_000, &[])), r#""compiler": "cranelift""#));
    assert!(
        error.contains(" ms, and the most is 3") && error.contains(" bytes; of what was looked at, function "),
        "{error}"
    );
}

/// The CPU time of this process so far.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<u64>().expect("a number");
    // User and system time, in hundredths of a second.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// Cranelift may take 250 ms and 5 s a megabyte of CPU time; the test allows twice as much, for a busy machine.
#[test]
fn what_is_accepted_is_compiled_in_time() {
    child::alone("bounds::compiling::what_is_accepted_is_compiled_in_time", || {
        let cases = [
            ("loops", loops(200, 250)),
            ("branches", branches(1_200, 800)),
            ("jump tables", jump_tables(20, 30, 80)),
            ("arguments", calls(100, 200)),
            ("indirect calls", module(&[NOTHING], 10, &body(0, &[0x41, 0, 0x11, 0, 0].repeat(1_200)))),
            ("values kept over calls", kept(I32, CALL, ADD, 2_500)),
            ("values kept over indirect calls", kept(I32, CALL_INDIRECT, ADD, 1_000)),
            ("values kept over memory.grow", kept(I32, GROW, ADD, 1_000)),
            ("values kept over memory.size", kept(I32, SIZE, ADD, 1_000)),
            ("values kept over table.get", kept(I32, TABLE_GET, ADD, 1_000)),
            ("values kept over blocks", kept(I32, IF, ADD, 900)),
            ("values kept over shuffles", kept(0x7b, SHUFFLE, &[0xfd, 0xae, 1], 2_000)),
            ("locals set by calls", called_locals(2_000)),
            ("parameters of types", types(900, 0, 20)),
            ("results of types", types(0, 900, 20)),
            ("growth", module(&[NOTHING], 10, &body(0, &[0x41, 0, 0x40, 0, 0x1a].repeat(2_000)))),
        ];
        let context = Context::new();
        for (what, module) in cases {
            let start = cpu_time();
            let manifest = manifest(&module, r#""compiler": "cranelift""#);
            context.create(manifest, false).unwrap_or_else(|error| panic!("{what}: {error}")).free();
            let (taken, most) = (cpu_time() - start, Duration::from_millis(250 + module.len() as u64 * 5 / 1000));
            println!("{what}: {taken:?} of {most:?} for {} bytes", module.len());
            assert!(taken <= most * 2, "{what}: {taken:?}, and the most is {most:?}");
        }
    });
}
