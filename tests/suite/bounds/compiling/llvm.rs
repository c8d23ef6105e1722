//! Bounds on the time that LLVM takes. They are tested in the run that is on LLVM, once for all runs.

use std::time::Duration;

use super::{ADD, CALL_INDIRECT, I32, NOTHING, body, calls, cpu_time, kept, module, number, types};
use crate::child;
use crate::host::{Compiler, Context, manifest};

const LLVM: &str = r#""compiler": "llvm""#;

/// `$x = code($x, $y)`, `count` times, for parameters and a result of type `value`.
fn chain(value: u8, code: &[u8], count: usize) -> Vec<u8> {
    let code = [&[0x20, 0], [&[0x20, 1], code].concat().repeat(count).as_slice()].concat();
    module(&[&[0x60, 2, value, value, 1, value]], 1, &body(0, &code))
}

/// Stores to `count` addresses that follow each other.
fn stores(count: u32) -> Vec<u8> {
    let store = |index: u32| [&[0x20, 0, 0x20, 0, 0x36, 0], number(index * 4).as_slice()].concat();
    module(&[&[0x60, 1, I32, 0]], 1, &body(0, &(0..count).flat_map(store).collect::<Vec<_>>()))
}

/// Nested loops that go on while memory is not 0, around `locals` that grow.
fn loops(depth: usize, locals: u32) -> Vec<u8> {
    let load = [0x41, 0, 0x28, 0, 0];
    let local = |index: u32| {
        let index = number(index);
        [&[0x20], index.as_slice(), &load, ADD, &[0x21], &index].concat()
    };
    let ends = [load.as_slice(), &[0x0d, 0, 0x0b]].concat().repeat(depth);
    let code = [[0x03, 0x40].repeat(depth), (0..locals).flat_map(local).collect(), ends].concat();
    module(&[NOTHING], 1, &body(locals, &code))
}

const F64: u8 = 0x7c;
const V128: u8 = 0x7b;
const ADD_AND_MULTIPLY: &[u8] = &[0x6a, 0x20, 0, 0x6c];
const REMAINDER: &[u8] = &[0x6f];
/// Adds, and converts to an integer and back.
const TRUNCATE: &[u8] = &[0xa0, 0xaa, 0xb7];
const TRUNCATE_SATURATING: &[u8] = &[0xa0, 0xfc, 2, 0xb7];
const MIN: &[u8] = &[0xa4];
const SWIZZLE: &[u8] = &[0xfd, 0x0e];
const FILL: &[u8] = &[0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0b, 0];

/// Modules that other compilers accept, and that take LLVM far longer than those.
#[test]
fn what_would_take_llvm_too_long_is_refused() {
    if Compiler::in_use() != Compiler::Llvm.name() {
        return;
    }
    let too_long = "it would take too long to compile: an estimate of ";
    let cases = [
        ("types", types(0, 0, 8_000), too_long),
        ("functions", module(&[NOTHING], 6_000, &body(0, &[])), too_long),
        ("results of types", types(0, 900, 10), too_long),
        ("computations", chain(I32, ADD_AND_MULTIPLY, 16_000), too_long),
        ("remainders", chain(I32, REMAINDER, 4_000), too_long),
        ("conversions", chain(F64, TRUNCATE, 4_000), too_long),
        ("saturating conversions", chain(F64, TRUNCATE_SATURATING, 4_000), too_long),
        ("minima", chain(F64, MIN, 4_000), too_long),
        ("stores", stores(5_000), too_long),
        ("indirect calls", module(&[NOTHING], 1, &body(0, &CALL_INDIRECT.repeat(3_500))), too_long),
        ("fills", module(&[NOTHING], 1, &body(0, &FILL.repeat(5_000))), too_long),
        ("swizzles", chain(V128, SWIZZLE, 500), too_long),
        ("nested loops", loops(101, 1), "function 0 has loops nested more than 100 deep"),
    ];
    let context = Context::new();
    for (what, module, reason) in cases {
        let error = context.refusal(manifest(&module, LLVM));
        assert!(error.starts_with("module `main`: ") && error.contains(reason), "{what}: {error}");
        assert!(error.contains("; this is the limit for llvm, another compiler may accept it"), "{what}: {error}");
        let accepted = context.create(manifest(&module, r#""compiler": "cranelift""#), false);
        accepted.unwrap_or_else(|error| panic!("{what} on Cranelift: {error}")).free();
    }
}

/// LLVM may take 4 s and 80 s a megabyte of CPU time; the test allows twice as much, for a busy machine.
#[test]
fn what_llvm_accepts_is_compiled_in_time() {
    if Compiler::in_use() != Compiler::Llvm.name() {
        return;
    }
    child::alone("bounds::compiling::llvm::what_llvm_accepts_is_compiled_in_time", || {
        let cases = [
            ("types", types(0, 0, 2_000)),
            ("functions", module(&[NOTHING], 2_000, &body(0, &[]))),
            ("results of types", types(0, 900, 2)),
            ("arguments", calls(80, 100)),
            ("computations", chain(I32, ADD_AND_MULTIPLY, 4_000)),
            ("remainders", chain(I32, REMAINDER, 1_900)),
            ("conversions", chain(F64, TRUNCATE, 1_600)),
            ("saturating conversions", chain(F64, TRUNCATE_SATURATING, 1_600)),
            ("minima", chain(F64, MIN, 1_900)),
            ("stores", stores(2_000)),
            ("indirect calls", module(&[NOTHING], 1, &body(0, &CALL_INDIRECT.repeat(1_600)))),
            ("fills", module(&[NOTHING], 1, &body(0, &FILL.repeat(1_600)))),
            ("swizzles", chain(V128, SWIZZLE, 150)),
            ("loops", loops(100, 200)),
            ("values kept over indirect calls", kept(I32, CALL_INDIRECT, ADD, 1_000)),
        ];
        let context = Context::new();
        for (what, module) in cases {
            let start = cpu_time();
            let accepted = context.create(manifest(&module, LLVM), false);
            accepted.unwrap_or_else(|error| panic!("{what}: {error}")).free();
            let (taken, most) = (cpu_time() - start, Duration::from_millis(4_000 + module.len() as u64 * 80 / 1000));
            println!("{what}: {taken:?} of {most:?} for {} bytes", module.len());
            assert!(taken <= most * 2, "{what}: {taken:?}, and the most is {most:?}");
        }
    });
}
