//! Fails if a function of either ABI is not tested.

use std::fs;

use super::table::rows;
use super::{Abi, BOTH, Function};
use crate::host::root;

/// The functions that the library's own table has for `abi`.
fn served(abi: Abi) -> Vec<String> {
    let source = fs::read_to_string(root().join("core/src/host/abi.rs")).expect("it is text");
    let module = if abi == Abi::V0 { "ENV::\"" } else { "HOST_MODULE::\"" };
    let names = source.lines().filter_map(|line| line.trim().strip_prefix(module)?.split_once('"'));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// True if `calls` name the function `name`.
fn mentions(calls: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    calls.match_indices(name).any(|(at, _)| calls[at + name.len()..].starts_with('(') && !calls[..at].ends_with(word))
}

#[test]
fn the_table_has_rows_for_every_function() {
    for abi in BOTH {
        let mut expected: Vec<String> = abi.functions().map(|function| abi.import_name(function.name)).collect();
        let mut served = served(abi);
        expected.sort_unstable();
        served.sort_unstable();
        assert_eq!(served, expected, "{abi:?}");
        let rows = rows(abi);
        for function in abi.functions() {
            assert!(rows.iter().any(|(calls, _)| mentions(calls, function.name)), "{abi:?}: {}", function.name);
        }
    }
}

/// The bytes of an import section that import one function.
fn import_bytes(abi: Abi, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [abi.module(), &abi.import_name(name)] {
        bytes.push(u8::try_from(part.len()).expect("names are short"));
        bytes.extend(part.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// Output of real compilers calls every function, not only the modules that these tests write.
#[test]
fn every_function_is_imported_by_a_fixture() {
    let directory = fs::read_dir(root().join("fixtures/wasm")).expect("it is committed");
    let modules: Vec<Vec<u8>> =
        directory.map(|entry| fs::read(entry.expect("can be listed").path()).expect("can be read")).collect();
    for abi in BOTH {
        for Function { name, .. } in abi.functions() {
            // The SDKs of 0.1.0, which the fixtures' header follows, lack this function.
            if abi == Abi::V0 && *name == "input_offset" {
                continue;
            }
            let import = import_bytes(abi, name);
            let found = modules.iter().any(|module| module.windows(import.len()).any(|bytes| bytes == import));
            assert!(found, "no fixture imports {} of {abi:?}", abi.import_name(name));
        }
    }
}
