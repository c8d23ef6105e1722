#!/bin/sh
# Runs clippy on both C libraries with each compiler alone, with all and with none, each with and without WASI and HTTP.
# Then on a copy with the code for other processors, where plugins are not stopped in their own code.
set -eu
cd "$(dirname "$0")/.."

llvm=${LLVM_SYS_221_PREFIX:-/usr/lib/llvm-22}
if ! [ -x "$llvm/bin/llvm-config" ]; then
    echo "check-features: no LLVM 22 in $llvm: run \`make deps-llvm\`, or set LLVM_SYS_221_PREFIX" >&2
    exit 1
fi

libraries="-p extism-wasmer -p extism-wasmer-v1"
for compilers in "" cranelift llvm singlepass cranelift,llvm,singlepass; do
    for others in "" wasi http wasi,http; do
        echo "== ${compilers:-headless}${others:+, $others}"
        # shellcheck disable=SC2086 # a list of words
        "${CARGO:-cargo}" clippy --quiet --release --locked $libraries --lib --no-default-features \
            --features "$compilers,$others" -- -D warnings
    done
done

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar -c --exclude=./target --exclude=./.git . | tar -x -C "$copy"
find "$copy/src" "$copy/v1/src" "$copy/capi/src" "$copy/core/src" -name '*.rs' -exec sed -i 's/target_arch = "x86_64"/target_arch = "another"/g' {} +
for features in "" cranelift,wasi,http; do
    echo "== ${features:-headless}, as for another processor"
    # shellcheck disable=SC2086
    CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}" "${CARGO:-cargo}" clippy --quiet --release --locked $libraries --lib \
        --manifest-path "$copy/Cargo.toml" --no-default-features --features "$features" -- -D warnings -A unexpected_cfgs
done
