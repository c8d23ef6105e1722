#!/bin/sh
# Cargo's RUSTC_WORKSPACE_WRAPPER: compiles this workspace's crates so that libFuzzer sees which code runs, and
# AddressSanitizer each access. Dependencies are not instrumented and shared with all other builds here: Wasmer is not
# the target. Stack variables are not checked: plugins run on stacks that AddressSanitizer does not know.
set -eu

rustc=$1
shift
coverage='-sanitizer-coverage-level=4 -sanitizer-coverage-inline-8bit-counters -sanitizer-coverage-pc-table'
coverage="$coverage -sanitizer-coverage-trace-compares"
case " $* " in
*' --crate-type lib '* | *' --crate-name build_script_'* | *' --crate-type cdylib '* | *' --crate-type bin '*) ;;
*) exec "$rustc" "$@" ;;
esac
RUSTC_BOOTSTRAP=1 exec "$rustc" "$@" --cfg fuzzing -C passes=sancov-module -C llvm-args="$coverage -asan-stack=0" \
    -C codegen-units=16 -C debuginfo=line-tables-only -C debug-assertions -Z sanitizer=address -C unsafe-allow-abi-mismatch=sanitizer
