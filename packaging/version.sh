#!/bin/sh
# Prints the version that the files of a library have: this library's own for the C interface of Extism 0.1.0, and the
# newest version of Extism's interface that it has for 1.x, because programs and package managers compare it with Extism's.
set -eu

usage="usage: version.sh (0 | 1)"
cd "$(dirname "$0")/.."
case ${1-} in
    0) sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1 ;;
    1) sed -n 's/^const VERSION: &CStr = c"\(.*\)";$/\1/p' v1/src/ffi/version.rs ;;
    *) echo "$usage" >&2; exit 2 ;;
esac
