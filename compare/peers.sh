#!/bin/sh
# Fetches the libraries that the documents compare with into target/peers: Extism 1.41.0 and wasmtime from PyPI, and
# Extism 0.1.0, which is built from crates.io in some five minutes. With `1.x`, only Extism 1.41.0. Skips libraries that
# are there already.
set -eu

usage="usage: peers.sh [1.x]"
[ "$*" = "" ] || [ "$*" = 1.x ] || { echo "$usage" >&2; exit 2; }
cd "$(dirname "$0")/.."
peers=target/peers
mkdir -p $peers

# Installs a package of PyPI whose wheel has this SHA-256, which pip checks, and in it the library FILE.
wheel() { # NAME VERSION SHA256 FILE
    if [ -e "$peers/$1-$2.dist-info" ] && [ -e "$peers/$4" ]; then
        return
    fi
    [ -x $peers/venv/bin/python ] || python3 -m venv $peers/venv
    echo "$1==$2 --hash=sha256:$3" >$peers/wanted.txt
    $peers/venv/bin/python -m pip install --quiet --no-deps --only-binary :all: --require-hashes --upgrade --target $peers \
        -r $peers/wanted.txt
}

# The wheels for x86-64 Linux with glibc.
wheel extism_sys 1.41.0 ec20105dc6f80a545b421717a89e849b80677a9337f3ed7f0367f4c89ad6e998 extism_sys/libextism_sys.so
if [ $# -gt 0 ]; then
    exit
fi
wheel wasmtime 50.0.1 cc14c3a17654e0394e0225b11813532ef0cd7bd1e222a0c5494cdedaabeddac4 \
    wasmtime/linux-x86_64/_libwasmtime.so

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
