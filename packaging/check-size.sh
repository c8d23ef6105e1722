#!/bin/sh
# Checks that a library, when stripped, is smaller than a bound in bytes.
set -eu
[ $# -eq 2 ] || { echo "usage: check-size.sh LIBRARY BYTES" >&2; exit 2; }
stripped=$(mktemp "${TMPDIR:-/tmp}/extism-size.XXXXXX")
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$(readlink -f "$1")"
size=$(wc -c <"$stripped")
echo "$1: $size bytes stripped, at most $2"
[ "$size" -lt "$2" ]
