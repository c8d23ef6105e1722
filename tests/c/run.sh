#!/bin/sh
# Builds the C tests against the shipped library, each as C11 and as C++17, and those of extism.hpp, and runs them.
set -eu

usage() {
    cat <<'END'
usage: run.sh [--valgrind] HEADER_DIR LIBRARY_DIR NATIVE_LIBS

  HEADER_DIR   folder with extism.h and extism.hpp
  LIBRARY_DIR  folder with libextism.so and libextism.a
  NATIVE_LIBS  file with the linker flags that libextism.a needs, such as -lpthread -ldl -lm
  --valgrind   run the programs under valgrind: C11 and the shared library only

Takes CC, CXX, CFLAGS, CXXFLAGS and VALGRIND from the environment.
Exits with 0 if all passed, 1 if one failed, 2 if it could not start.
END
}

fail() {
    echo "run.sh: $*" >&2
    exit 2
}

valgrind=
case ${1-} in
    --valgrind) valgrind=yes; shift ;;
    -h | --help) usage; exit 0 ;;
esac
[ $# -eq 3 ] || { usage >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
header_dir=$1
library_dir=$(cd "$2" && pwd)
[ -f "$header_dir/extism.h" ] || fail "no extism.h in $header_dir"
[ -f "$library_dir/libextism.so" ] || fail "no libextism.so in $library_dir"
[ -f "$library_dir/libextism.a" ] || fail "no libextism.a in $library_dir"
[ -f "$3" ] || fail "no file $3"
native_libs=$(cat "$3")

work=$(mktemp -d "${TMPDIR:-/tmp}/extism-c-tests.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

# The code that the tests compile stays out of the user's cache.
mkdir -m 700 "$work/cache"
export EXTISM_CACHE_DIR="$work/cache"

# The loader looks for the soname, and a build directory need not have a file of that name.
soname=$(readelf -d "$library_dir/libextism.so" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
ln -s "$library_dir/libextism.so" "$work/libextism.so"
[ -z "$soname" ] || [ "$soname" = libextism.so ] || ln -s "$library_dir/libextism.so" "$work/$soname"

warnings="-Wall -Wextra -Wpedantic -Werror"

# The flags are lists of words, so they are not quoted.
# shellcheck disable=SC2086
compile() { # LANGUAGE SOURCE OUTPUT LIBRARY...
    language=$1 source=$2 output=$3
    shift 3
    case $language in
        c11) ${CC:-gcc} -std=c11 $warnings -O1 -g ${CFLAGS-} -I "$header_dir" "$source" -o "$output" -pthread "$@" ;;
        c++17)
            ${CXX:-g++} -std=c++17 $warnings -O1 -g ${CXXFLAGS-} -I "$header_dir" -x c++ "$source" -x none \
                -o "$output" -pthread "$@"
            ;;
    esac
}

# Compiled guests are code that changes, and a trap is recognised by the exact address of its instruction.
# shellcheck disable=SC2086
run() {
    if [ -n "$valgrind" ]; then
        ${VALGRIND:-valgrind} --quiet --smc-check=all-non-file --vex-iropt-register-updates=allregs-at-each-insn \
            --error-exitcode=9 --suppressions="$here/valgrind.supp" "$1"
    else
        "$1"
    fi
}

passed=0
failed=0

try() { # SOURCE LANGUAGE LIBRARY-NAME LIBRARY...
    source=$1 language=$2 library=$3
    shift 3
    name=$(basename "${source%.*}")
    program=$work/$name
    status=0
    compile "$language" "$source" "$program" "$@" && (cd "$work" && run "$program" >"$work/said") || status=$?
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
    said=$(tail -n 1 "$work/said" 2>/dev/null || true)
    [ "$status" -eq 0 ] || said="FAILED with $status${said:+: $said}"
    printf '%-8s %-6s %-3s %s\n' "$name" "$language" "$library" "$said"
    rm -f "$program" "$work/said"
}

for source in "$here"/*.c; do
    try "$source" c11 so "$work/libextism.so" "-Wl,-rpath,$work"
    [ -z "$valgrind" ] || continue
    try "$source" c++17 so "$work/libextism.so" "-Wl,-rpath,$work"
    # shellcheck disable=SC2086
    try "$source" c11 a "$library_dir/libextism.a" $native_libs
    # shellcheck disable=SC2086
    try "$source" c++17 a "$library_dir/libextism.a" $native_libs
done
[ -n "$valgrind" ] || try "$here/wrapper.cpp" c++17 so "$work/libextism.so" "-Wl,-rpath,$work"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
