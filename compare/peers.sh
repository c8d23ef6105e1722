#!/bin/sh
# Fetches the libraries that the documents compare with into target/peers: Extism 1.41.0 and wasmtime from PyPI, and
# Extism 0.1.0, which is built from crates.io in some five minutes. Skips libraries that are there already.
set -eu
cd "$(dirname "$0")/.."
peers=target/peers
mkdir -p $peers

if ! [ -e $peers/extism_sys/libextism_sys.so ] || ! [ -e $peers/wasmtime/linux-x86_64/_libwasmtime.so ]; then
    python3 -m venv $peers/venv
    $peers/venv/bin/pip install --quiet --no-deps --upgrade --target $peers extism-sys==1.41.0 wasmtime==50.0.1
fi

if ! [ -e $peers/old/target/release/libextism_old.so ]; then
    mkdir -p $peers/old/src
    echo 'pub use extism_runtime::sdk::*;' >$peers/old/src/lib.rs
    cat >$peers/old/Cargo.toml <<'END'
[package]
name = "extism-old"
version = "0.1.0"
edition = "2021"

[lib]
crate-type = ["cdylib"]

[dependencies]
extism-runtime = "=0.1.0"

[profile.release]
lto = "thin"

[workspace]
END
    "${CARGO:-cargo}" build --release --manifest-path $peers/old/Cargo.toml --target-dir $peers/old/target
fi
