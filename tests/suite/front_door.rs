//! Compares what a user sees first, the header, the symbols and the README's program, with the code.

use std::fs;

use crate::host::root;

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_committed_header_is_fresh() {
    let generated = fs::read_to_string(env!("EXTISM_HEADER")).expect("build.rs has made it");
    let committed = text("extism.h");
    assert!(generated == committed, "extism.h is stale: run `make header`");
}

/// cffi and PHP's FFI skip lines that start with `#` and understand plain declarations only.
#[test]
fn the_header_is_plain() {
    let header = text("extism.h");
    let mut comment = false;
    for line in header.lines() {
        comment |= line.trim_start().starts_with("/*");
        if !comment {
            for odd in ["extern", "__attribute__", "__declspec", "\\", "EXTISM_API"] {
                assert!(!line.contains(odd), "{line}");
            }
            let define = line.strip_prefix("#define EXTISM_WASMER_VERSION_").and_then(|rest| rest.split_once(' '));
            let is_number = define.is_some_and(|(_, value)| value.parse::<u32>().is_ok());
            let is_plain = line.starts_with("#include <std") || line == "#pragma once" || is_number;
            assert!(!line.starts_with('#') || is_plain, "{line}");
        }
        comment &= !line.trim_end().ends_with("*/");
    }
}

#[test]
fn the_symbols_files_list_the_functions_of_the_headers() {
    for (header, symbols, count) in [("extism.h", "packaging/symbols.txt", 32), ("v1/extism.h", "v1/symbols.txt", 39)] {
        compare_functions(&text(header), &text(symbols), count);
    }
}

fn compare_functions(header: &str, symbols: &str, count: usize) {
    let mut declared: Vec<&str> = header
        .lines()
        .filter(|line| !line.trim_start().starts_with(['*', '#']))
        .filter_map(|line| line.split_once('(').map(|(before, _)| before))
        .filter_map(|before| before.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("extism_"))
        .collect();
    let mut listed: Vec<&str> =
        symbols.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(' ').next()).collect();
    declared.sort_unstable();
    listed.sort_unstable();
    assert_eq!(declared, listed);
    assert_eq!(declared.len(), count);
}

#[test]
fn the_readme_shows_the_examples_that_are_built() {
    for path in ["examples/c/hello.c", "examples/v1/hello.c"] {
        let program = text(path);
        assert!(text("README.md").contains(&format!("```c\n{program}```")), "README.md and {path} differ");
    }
}

/// The tests that docs/compatibility.md names as evidence exist.
#[test]
fn the_tests_that_compatibility_names_exist() {
    let document = text("docs/compatibility.md");
    let named: Vec<(&str, &str)> = document
        .split('`')
        .filter(|part| part.starts_with("tests/") || part.starts_with("v1/tests/"))
        .filter_map(|part| part.split_once("::"))
        .collect();
    assert!(named.len() > 60, "only {} tests are named", named.len());
    for (file, function) in named {
        let source = text(file);
        let declared =
            ["fn ", "static void ", "def "].iter().any(|word| source.contains(&format!("{word}{function}(")));
        assert!(declared, "{file} has no `{function}`");
    }
    for defect in (1..=11).chain([17, 18]).chain(20..=23) {
        assert!(document.contains(&format!("| D{defect} ")), "D{defect} has no row");
    }
    for defect in 1..=30 {
        assert!(document.contains(&format!("| W{defect} ")), "W{defect} has no row");
    }
}
