#!/bin/sh
# Has compilers and other languages' parsers of C read a header: C99 and C11, C++11, 14 and 17, cffi, PHP and Zig. cffi and
# PHP look up its functions in the library, too.
set -eu

usage="usage: run.sh HEADER_DIR LIBRARY_DIR PYTHON

  PYTHON  a Python with the packages of requirements.txt
Takes CC and CXX from the environment. Exits with 0 if all read it."
case ${1-} in
    -h | --help) echo "$usage"; exit 0 ;;
esac
[ $# -eq 3 ] || { echo "$usage" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
headers=$1
header=$1/extism.h
library=$(realpath "$2/libextism.so")
python=$3
work=$(mktemp -d "${TMPDIR:-/tmp}/extism-headers.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
warnings="-Wall -Wextra -Wpedantic -Werror"

# The header for 0.1.0 is plain C, which programs in C++ put into `extern "C"`.
source=$here/layout.c
cp "$source" "$work/layout.c"
sed 's/^#include "extism.h"$/extern "C" {\n&\n}/' "$source" >"$work/layout.cpp"
grep -q '^extern "C"' "$header" && cp "$source" "$work/layout.cpp"
for standard in c99 c11; do
    # shellcheck disable=SC2086 # a list of words
    ${CC:-cc} -std=$standard $warnings -I "$headers" -fsyntax-only "$work/layout.c"
    echo "$standard reads it"
done
for standard in c++11 c++14 c++17; do
    # shellcheck disable=SC2086
    ${CXX:-c++} -std=$standard $warnings -I "$headers" -fsyntax-only "$work/layout.cpp"
    echo "$standard reads it"
done

"$python" "$here/parse.py" "$header" "$library"

printf '#include <extism.h>\n' | ${CC:-cc} -E -P -I "$headers" -x c - >"$work/extism.i"
php -d ffi.enable=1 "$here/parse.php" "$work/extism.i" "$library"

ZIG_GLOBAL_CACHE_DIR=$work/zig ZIG_LOCAL_CACHE_DIR=$work/zig "$python" -m ziglang translate-c -lc "$header" >"$work/extism.zig"
for name in $(grep -o '^[A-Za-z].*\bextism_[a-z_]*(' "$header" | grep -o 'extism_[a-z_]*($' | tr -d '('); do
    grep -q "^pub extern fn $name(" "$work/extism.zig" || { echo "Zig does not find $name" >&2; exit 1; }
done
grep -q '^pub const ExtismValType_ExternRef' "$work/extism.zig" || { echo "Zig finds no enumerators" >&2; exit 1; }
echo "Zig reads $(grep -c '^pub extern fn extism_' "$work/extism.zig") functions"
