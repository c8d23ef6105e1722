#!/bin/sh
# Runs the comparison, for a moment, on the library in a directory.
set -eu
cd "$(dirname "$0")/.."
[ $# -eq 1 ] || { echo "usage: test-compare.sh DIST" >&2; exit 2; }
work=$(mktemp -d "${TMPDIR:-/tmp}/extism-compare.XXXXXX")
trap 'rm -rf "$work"' EXIT
"${MAKE:-make}" --no-print-directory target/compare/driver
cp target/compare/driver "$work/"
"${CARGO:-cargo}" run --quiet --release --locked -p extism-compare -- --libraries "$work" --peer "$1/libextism.so" \
    --rounds 1 --seconds 0.01 --workload call --workload process --workload 100
grep -q '"call, empty"' "$work/compare.json"
grep -q '<svg' "$work/compare.html"
