//! Measures the steps in a plugin's life one by one: parse, rewrite, compile, and, through the C interface, making a
//! plugin whose code is cached, and calls. Prints a line for each plugin that is not committed and is missing.

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use extism_core::phases;
use extism_testkit::host::{Context, choose_compiler, fixture, manifest, root};
use extism_testkit::pdk;

const COMPILER: &str = "cranelift";

fn main() {
    assert!(choose_compiler(Some(COMPILER)), "{COMPILER} is not built in");
    let times = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    let mut criterion = times.sample_size(50).without_plots().configure_from_args();
    let cases = cases();
    parse(&mut criterion);
    rewrite(&mut criterion, &cases);
    compile(&mut criterion, &cases);
    new(&mut criterion, &cases);
    call(&mut criterion);
    criterion.final_summary();
}

/// Plugins that take a second or two to compile.
const BIG: [&str; 2] = ["quickjs", "sqlite"];

/// A plugin's name and its module.
type Case = (&'static str, Vec<u8>);

fn cases() -> Vec<Case> {
    let small = ["echo", "count_vowels", "kitchen"].map(|name| Some((name, fixture(&format!("{name}.v1")))));
    let big = BIG.map(|name| Some((name, big(name)?)));
    let official = official().map(|module| ("official", module));
    small.into_iter().chain([official]).chain(big).flatten().collect()
}

fn big(name: &str) -> Option<Vec<u8>> {
    let module = fs::read(root().join(format!("fixtures/big/{name}.v1.wasm"))).ok();
    or_skipped(name, "make fixtures-big", module)
}

/// The compiled `count_vowels` of the PDK 1.0.0.
fn official() -> Option<Vec<u8>> {
    let pdk = pdk::locate("pdk-a").into_iter().flatten().find(|(version, _)| version == "1.0.0");
    let module = pdk.and_then(|(_, directory)| fs::read(directory.join("test/code.wasm")).ok());
    or_skipped("official", "make fixtures-pdk", module)
}

fn or_skipped<T>(name: &str, remedy: &str, found: Option<T>) -> Option<T> {
    if found.is_none() {
        println!("skipped: {name} is missing ({remedy})");
    }
    found
}

fn parse(criterion: &mut Criterion) {
    let json = r#"{"wasm": [{"path": "plugins/one.wasm", "name": "one"}, {"path": "plugins/main.wasm", "hash":
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}], "memory": {"max_pages": 100},
        "config": {"key": "value", "other": "text"}, "allowed_hosts": ["example.com"], "timeout_ms": 1000}"#;
    let toml = "memory = { max_pages = 100 }\nallowed_hosts = [\"example.com\"]\n[config]\nkey = \"value\"\n\
        [[wasm]]\npath = \"plugins/main.wasm\"\n";
    let data = manifest(vec![7; 1 << 20], "");
    let mut group = criterion.benchmark_group("parse");
    for (name, text) in [("manifest", json), ("toml", toml), ("data_1MiB", &data)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| phases::parse(text.as_bytes()).expect("a manifest")));
    }
}

fn rewrite(criterion: &mut Criterion, cases: &[Case]) {
    let mut group = criterion.benchmark_group("rewrite");
    for (name, module) in cases {
        group.throughput(Throughput::Bytes(module.len() as u64));
        group.bench_function(*name, |bencher| bencher.iter(|| phases::rewrite(module).expect("a module")));
    }
}

fn compile(criterion: &mut Criterion, cases: &[Case]) {
    let mut group = criterion.benchmark_group("compile");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    for (name, module) in cases {
        let rewritten = phases::rewrite(module).expect("a module");
        if BIG.contains(name) {
            group.measurement_time(Duration::from_secs(20));
        }
        group.throughput(Throughput::Bytes(module.len() as u64));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| phases::compile(COMPILER, &rewritten).expect("valid"));
        });
    }
}

/// Makes and frees plugins while another plugin keeps their code in memory.
fn new(criterion: &mut Criterion, cases: &[Case]) {
    let mut group = criterion.benchmark_group("new");
    let context = Context::new();
    for (name, module) in cases {
        let make = || context.create(module, true).expect("the plugin can be made");
        group.bench_function(*name, |bencher| {
            let first = make();
            bencher.iter(|| make().free());
            first.free();
        });
    }
}

fn call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("call");
    let context = Context::new();
    let (echo, vowels) = (context.plugin(fixture("echo.v1")), context.plugin(fixture("count_vowels.v1")));
    for (name, plugin, function, length) in [
        ("empty", echo, c"empty", 0),
        ("echo_64", echo, c"echo", 64),
        ("echo_1MiB", echo, c"echo", 1 << 20),
        ("count_vowels_1MiB", vowels, c"count_vowels", 1 << 20),
    ] {
        let input = vec![b'e'; length];
        if length > 0 {
            group.throughput(Throughput::Bytes(length as u64));
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(plugin.call_named(function, black_box(&input)), 0));
        });
    }
}
