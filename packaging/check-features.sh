#!/bin/sh
# Checks the library with each compiler alone, with all and with none, each with and without WASI.
set -eu
cd "$(dirname "$0")/.."

llvm=${LLVM_SYS_221_PREFIX:-/usr/lib/llvm-22}
if ! [ -x "$llvm/bin/llvm-config" ]; then
    echo "check-features: no LLVM 22 in $llvm: run \`make deps-llvm\`, or set LLVM_SYS_221_PREFIX" >&2
    exit 1
fi

for compilers in "" cranelift llvm singlepass cranelift,llvm,singlepass; do
    for wasi in "" wasi; do
        echo "== ${compilers:-headless}${wasi:+, wasi}"
        "${CARGO:-cargo}" clippy --quiet --release --locked --lib --no-default-features --features "$compilers,$wasi" -- -D warnings
    done
done
