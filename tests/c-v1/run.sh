#!/bin/sh
# Builds the C tests of the 1.x library, as C11 and as C++17, and runs them: on this library, or on upstream's.
set -eu

usage() {
    cat <<'END'
usage: run.sh [--valgrind] HEADER_DIR LIBRARY_DIR NATIVE_LIBS
       run.sh --peer LIBRARY HEADER_DIR

  HEADER_DIR   folder with the 1.x extism.h
  LIBRARY_DIR  folder with libextism.so and libextism.a of the 1.x ABI
  NATIVE_LIBS  file with the linker flags that libextism.a needs, such as -lpthread -ldl -lm
  --valgrind   run the programs under valgrind: C11 and the shared library only
  --peer       run them on upstream's shared library: the tests that name a defect must fail, all others must pass.
               Lists the defects W1 to W30 that were seen, and fails if one was not.
               LIBRARY is extism_sys/libextism_sys.so of PyPI's extism-sys 1.41.0:
                 pip download --no-deps extism-sys==1.41.0 && unzip extism_sys-1.41.0-*.whl

Takes CC, CXX, CFLAGS, CXXFLAGS and VALGRIND from the environment, and
  ONLY         names of programs, such as "calls logs"; all if unset
  TEST_ROUNDS  how often the tests of leaks create, call and free; 300 if unset
Exits with 0 if all passed, 1 if one failed, 2 if it could not start.
END
}

fail() {
    echo "run.sh: $*" >&2
    exit 2
}

mode=ours
case ${1-} in
    --valgrind) mode=valgrind; shift ;;
    --peer) mode=peer; shift ;;
    -h | --help) usage; exit 0 ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
fixtures=$(cd "$here/../../fixtures/wasm" && pwd)
if [ "$mode" = peer ]; then
    [ $# -eq 2 ] || { usage >&2; exit 2; }
    library=$(readlink -f "$1") header_dir=$2
    flags="-DPEER -DTEST_SECONDS=20"
else
    [ $# -eq 3 ] || { usage >&2; exit 2; }
    header_dir=$1
    library_dir=$(cd "$2" && pwd)
    library=$library_dir/libextism.so
    [ -f "$library_dir/libextism.a" ] || fail "no libextism.a in $library_dir"
    [ -f "$3" ] || fail "no file $3"
    native_libs=$(cat "$3")
    flags=
    [ "$mode" = ours ] || flags="-DTEST_SECONDS=600 -DINSTRUMENTED"
fi
[ -f "$library" ] || fail "no library $library"
[ -f "$header_dir/extism.h" ] || fail "no extism.h in $header_dir"

work=$(mktemp -d "${TMPDIR:-/tmp}/extism-c-v1-tests.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

# The code that the tests compile stays out of the user's cache, with both libraries.
mkdir -m 700 "$work/cache"
export EXTISM_CACHE_DIR="$work/cache" EXTISM_CACHE_CONFIG=

# The loader looks for the soname, or for the path that the linker was given if the library has none.
soname=$(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
ln -s "$library" "$work/libextism.so"
[ -z "$soname" ] || [ "$soname" = libextism.so ] || ln -s "$library" "$work/$soname"

warnings="-Wall -Wextra -Wpedantic -Werror"

# The flags are lists of words, so they are not quoted.
# shellcheck disable=SC2086
compile() { # LANGUAGE SOURCE OUTPUT LIBRARY...
    language=$1 source=$2 output=$3
    shift 3
    case $language in
        c11)
            ${CC:-gcc} -std=c11 $warnings -O1 -g ${CFLAGS-} $flags "-DFIXTURES=\"$fixtures\"" -I "$header_dir" \
                "$source" -o "$output" -pthread "$@"
            ;;
        c++17)
            ${CXX:-g++} -std=c++17 $warnings -O1 -g ${CXXFLAGS-} $flags "-DFIXTURES=\"$fixtures\"" \
                -I "$header_dir" -x c++ "$source" -x none -o "$output" -pthread "$@"
            ;;
    esac
}

# Compiled guests are code that changes, and a trap is recognised by the exact address of its instruction. What is lost
# at the end of leaks.c is an error.
# shellcheck disable=SC2086
run() {
    if [ "$mode" = valgrind ]; then
        lost=
        [ "$name" != leaks ] || lost="--leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite"
        ${VALGRIND:-valgrind} --quiet --smc-check=all-non-file --vex-iropt-register-updates=allregs-at-each-insn \
            --error-exitcode=9 --suppressions="$here/../c/valgrind.supp" $lost "$1"
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
    compile "$language" "$source" "$program" "$@" && (cd "$work" && run "$program" >"$work/said" 2>"$work/said-too") ||
        status=$?
    if [ -f "$work/said-too" ]; then
        cat "$work/said-too" >&2
        cat "$work/said-too" >>"$work/all-said-too"
    fi
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
    said=$(tail -n 1 "$work/said" 2>/dev/null || true)
    [ "$status" -eq 0 ] || said="FAILED with $status${said:+: $said}"
    printf '%-10s %-6s %-4s %s\n' "$name" "$language" "$library" "$said"
    rm -f "$program" "$work/said" "$work/said-too"
}

for source in "$here"/*.c; do
    case " ${ONLY-} " in
        "  " | *" $(basename "${source%.c}") "*) ;;
        *) continue ;;
    esac
    if [ "$mode" = peer ]; then
        try "$source" c11 peer "$work/libextism.so" "-Wl,-rpath,$work"
        continue
    fi
    try "$source" c11 so "$work/libextism.so" "-Wl,-rpath,$work"
    # Two of the four pairs: between them, both languages and both libraries.
    # shellcheck disable=SC2086
    [ "$mode" = valgrind ] || try "$source" c++17 a "$library_dir/libextism.a" $native_libs
done

# Each defect of the specification's list has a test that fails on the peer.
if [ "$mode" = peer ] && [ -z "${ONLY-}" ]; then
    number=1
    while [ "$number" -le 30 ]; do
        if ! grep -q "as expected, fails on the peer: W$number[?:]" "$work/all-said-too"; then
            echo "defect W$number was not seen"
            failed=$((failed + 1))
        fi
        number=$((number + 1))
    done
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
