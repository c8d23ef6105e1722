//! The rewrite of a module takes at most a tenth of the time that Cranelift takes to compile it. The benchmarks measure
//! the share; this test bounds it.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use extism_core::phases;

use crate::host::root;

/// The shortest of `times` runs of `step`, which is the least disturbed.
fn shortest<T>(times: u32, step: impl Fn() -> T) -> Duration {
    let time = |_| {
        let start = Instant::now();
        black_box(step());
        start.elapsed()
    };
    (0..times).map(time).min().expect("at least once")
}

#[test]
fn the_rewrite_costs_a_tenth_of_compiling_at_most() {
    let mut checked = 0;
    for entry in fs::read_dir(root().join("fixtures/wasm")).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        let module = fs::read(&path).expect("it can be read");
        let rewritten = phases::rewrite(&module).expect("a module");
        let compile = shortest(3, || phases::compile("cranelift", &rewritten).expect("valid"));
        let rewrite = shortest(50, || phases::rewrite(&module).expect("a module"));
        assert!(rewrite * 10 <= compile, "{}: {rewrite:?} of {compile:?}", path.display());
        checked += 1;
    }
    assert!(checked >= 10, "only {checked} fixtures were found");
}
