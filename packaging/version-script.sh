#!/bin/sh
# Writes the linker's version script for libextism.so: only the symbols in symbols.txt are exported.
set -eu

usage="usage: version-script.sh [SYMBOLS] >libextism.map"

case ${1-} in
    -h | --help) echo "$usage"; exit 0 ;;
esac
[ $# -le 1 ] || { echo "$usage" >&2; exit 2; }
symbols=${1:-$(dirname "$0")/symbols.txt}
[ -r "$symbols" ] || { echo "version-script.sh: cannot read $symbols" >&2; exit 2; }

names=$(sed -n 's/^\([a-z][a-z0-9_]*\) [0-9][0-9.]*$/    \1;/p' "$symbols")
odd=$(grep -v -e '^#' -e '^$' -e '^[a-z][a-z0-9_]* [0-9][0-9.]*$' "$symbols" || true)
[ -z "$odd" ] || { echo "version-script.sh: not \`NAME VERSION\`: $odd" >&2; exit 1; }
[ -n "$names" ] || { echo "version-script.sh: no symbols in $symbols" >&2; exit 1; }

printf '{\nglobal:\n%s\nlocal:\n    *;\n};\n' "$names"
