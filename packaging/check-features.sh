#!/bin/sh
# Checks the library with each compiler alone, with all and with none, each with and without WASI and HTTP.
set -eu
cd "$(dirname "$0")/.."

llvm=${LLVM_SYS_221_PREFIX:-/usr/lib/llvm-22}
if ! [ -x "$llvm/bin/llvm-config" ]; then
    echo "check-features: no LLVM 22 in $llvm: run \`make deps-llvm\`, or set LLVM_SYS_221_PREFIX" >&2
    exit 1
fi

for compilers in "" cranelift llvm singlepass cranelift,llvm,singlepass; do
    for others in "" wasi http wasi,http; do
        echo "== ${compilers:-headless}${others:+, $others}"
        "${CARGO:-cargo}" clippy --quiet --release --locked --lib --no-default-features --features "$compilers,$others" -- -D warnings
    done
done
