//! Fails if a function is not tested.

use std::fs;

use super::functions::FUNCTIONS;
use super::{BOTH, descriptors, directories, files, kinds, paths, pointers, polls, program};
use crate::host::root;

/// The functions that the library's own table has.
fn served() -> Vec<String> {
    let source = fs::read_to_string(root().join("core/src/wasi/preview1/functions.rs")).expect("it is text");
    let (_, table) = source.split_once("\nfunctions! {").expect("there is a table");
    let (table, _) = table.split_once("\n}").expect("the table ends");
    let names = table.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" =>"));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn the_tables_have_rows_for_every_function() {
    let mut served = served();
    served.sort_unstable();
    assert_eq!(served, FUNCTIONS.map(|function| function.name));
    for version in BOTH {
        let tables = [descriptors::table, directories::table, files::table, kinds::table, paths::table];
        let tables = tables.into_iter().chain([pointers::table, polls::table, program::table]);
        let rows: Vec<_> = tables.flat_map(|table| table(version)).collect();
        for function in &FUNCTIONS {
            let tested = rows.iter().any(|row| row.calls.last().is_some_and(|call| call.name == function.name));
            assert!(tested, "{version:?}: {}", function.name);
        }
    }
}
