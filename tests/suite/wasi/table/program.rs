//! Arguments, environment, clocks, random numbers, signals.

use super::{Row, Version, check, rows};

const TABLE: &str = r#"
    # There is one argument, the program's name
    args_sizes_get(a, b) | ok | a: u32 1, b: u32 5
    args_get(a, b) | ok | a: u32 b, b: "main\00"

    # The environment is `A=1` and `KEY=value`
    environ_sizes_get(a, b) | ok | a: u32 2, b: u32 14
    environ_get(a, b) | ok | a: u32 b u32 b+4, b: "A=1\00KEY=value\00"

    # Clocks
    clock_res_get(REALTIME, a) | ok | a: u64 1
    clock_res_get(MONOTONIC, a) | ok | a: u64 1
    clock_res_get(2, a) | INVAL
    clock_res_get(4, a) | INVAL
    clock_res_get(-1, a) | INVAL
    clock_time_get(REALTIME, 0, a) | ok | a: random 8
    clock_time_get(MONOTONIC, 0, a) | ok | a: random 8
    clock_time_get(MONOTONIC, -1, a) | ok | a: random 8
    clock_time_get(2, 0, a) | INVAL
    clock_time_get(4, 0, a) | INVAL
    clock_time_get(-1, 0, a) | INVAL

    # Random numbers: all of them or none
    random_get(a, 16) | ok | a: random 16
    random_get(a, 1) | ok | a: any 1
    random_get(a, 0) | ok
    random_get(a, 0x1000) | ok | a: random 0x800, 0x800: random 0x800
    random_get(end-16, 16) | ok
    random_get(end-16, 17) | FAULT
    random_get(a, end+1) | FAULT
    random_get(a, -1) | FAULT

    # What does nothing
    sched_yield() | ok
    proc_raise(0) | NOTSUP
    proc_raise(9) | NOTSUP
    proc_raise(-1) | NOTSUP
"#;

pub(super) fn table(version: Version) -> Vec<Row> {
    rows(version, TABLE)
}

#[test]
fn programs() {
    check(table);
}
