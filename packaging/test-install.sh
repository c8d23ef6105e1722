#!/bin/sh
# Installs into temporary folders, and there builds the examples with pkg-config and runs them, as a user does.
set -eu

usage() {
    cat <<'END'
usage: test-install.sh BUILD_DIR PLUGIN

  BUILD_DIR  as install.sh takes it
  PLUGIN     a count_vowels plugin whose answer to "this is a test" is {"count": 4}

Takes CC and CXX from the environment. Exits with 0 if everything works.
END
}

fail() {
    echo "test-install.sh: $*" >&2
    exit 1
}

case ${1-} in
    -h | --help) usage; exit 0 ;;
esac
[ $# -eq 2 ] || { usage >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
examples=$(dirname "$here")/examples/c
build_dir=$1
plugin=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
work=$(mktemp -d "${TMPDIR:-/tmp}/extism-install.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
printf '{"wasm": [{"path": "%s"}]}\n' "$plugin" >"$work/manifest.json"

warnings="-Wall -Wextra -Wpedantic -Werror"

# CFLAGS and LIBS are lists of words, so they are not quoted.
# shellcheck disable=SC2086
build() { # CFLAGS LIBS
    ${CC:-cc} -std=c11 $warnings "$examples/count_vowels.c" -o "$work/count_vowels" $1 $2
    ${CC:-cc} -std=c11 $warnings "$examples/config.c" -o "$work/config" $1 $2
    ${CC:-cc} -std=c11 $warnings "$examples/manifest.c" -o "$work/manifest" $1 $2
    ${CC:-cc} -std=c11 $warnings "$examples/compilers.c" -o "$work/compilers" $1 $2
    ${CC:-cc} -std=c11 $warnings "$examples/update.c" -o "$work/update" $1 $2
    ${CXX:-c++} -std=c++17 $warnings "$examples/example.cpp" -o "$work/example" $1 $2
}

run() { # LIBRARY_PATH
    for program in "count_vowels $plugin" "example $plugin" "config $work/manifest.json count_vowels"; do
        name=${program%% *}
        # shellcheck disable=SC2086
        said=$(LD_LIBRARY_PATH=$1 "$work/$name" ${program#* } "this is a test" | tr -d ' ')
        [ "$said" = '{"count":4}' ] || fail "$name said $said"
    done
    said=$(LD_LIBRARY_PATH=$1 "$work/update" 2>&1) || fail "update said $said"
    case $said in
        *'new code: answer returns 0, and there is more') ;;
        *) fail "update said $said" ;;
    esac
    said=$(EXTISM_COMPILER='' LD_LIBRARY_PATH=$1 "$work/compilers" 2>&1) || fail "compilers said $said"
    if said=$(EXTISM_COMPILER=gcc LD_LIBRARY_PATH=$1 "$work/compilers" 2>&1); then
        fail "compilers takes gcc, and said $said"
    fi
    case $said in
        *'EXTISM_COMPILER names no compiler of this library'*) ;;
        *) fail "compilers said $said" ;;
    esac
}

# Checks that both libraries export exactly the symbols in symbols.txt.
check_symbols() {
    sed -n 's/^\([a-z][a-z0-9_]*\) .*/\1/p' "$here/symbols.txt" | sort >"$work/listed"
    nm -D --defined-only "$build_dir/libextism.so" | sed 's/.* //' | sort >"$work/exported"
    diff "$work/listed" "$work/exported" >&2 || fail "libextism.so does not export just what symbols.txt lists"
    nm -g --defined-only "$build_dir/libextism.a" | sed -n 's/^[0-9a-f]* . //p' | sort >"$work/exported"
    diff "$work/listed" "$work/exported" >&2 || fail "libextism.a has other global symbols than symbols.txt lists"
}

# Links a program with the static library and with another library in Rust, in both orders.
check_second_library() {
    cat >"$work/second.rs" <<'END'
#[unsafe(no_mangle)]
pub extern "C" fn second(number: i32) -> i32 {
    std::panic::catch_unwind(|| assert!(number > 0)).map_or(1, |()| 0)
}
END
    cat >"$work/both.c" <<'END'
#include <extism.h>
int second(int number);
int main(void)
{
    ExtismContext *ctx = extism_context_new();
    ExtismPlugin plugin = extism_plugin_new(ctx, (const uint8_t *)"(module)", 8, 0);
    extism_context_free(ctx);
    return plugin < 0 || second(1) != 0 || second(0) != 1;
}
END
    ${RUSTC:-rustc} --edition 2024 -O --crate-type staticlib "$work/second.rs" -o "$work/libsecond.a"
    for libraries in "$work/libsecond.a $build_dir/libextism.a" "$build_dir/libextism.a $work/libsecond.a"; do
        # shellcheck disable=SC2086,SC2046 # lists of words
        ${CC:-cc} "$work/both.c" -I"$(dirname "$here")" $libraries $(cat "$build_dir/native-libs.txt") -o "$work/both" ||
            fail "the static library cannot be linked beside another library in Rust: $libraries"
        "$work/both" 2>/dev/null || fail "with another library in Rust, libextism.a fails: $libraries"
    done
}

needs_shared() {
    readelf -d "$work/$1" | grep -q 'NEEDED.*libextism\.so\.'
}

# WHERE is the folder below $work that everything goes to. The variables of install.sh are those of the caller.
check_install() { # WHERE
    "$here/install.sh" install "$build_dir"
    libdir=${LIBDIR:-$PREFIX/lib}
    export PKG_CONFIG_LIBDIR="$DESTDIR$libdir/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$DESTDIR"
    for package in extism libextism; do
        build "$(pkg-config --cflags $package)" "$(pkg-config --libs $package)"
        needs_shared count_vowels || fail "count_vowels is not linked with the shared library"
        run "$DESTDIR$libdir"
    done
    build "$(pkg-config --cflags extism-static)" "$(pkg-config --libs extism-static)"
    ! needs_shared count_vowels || fail "count_vowels is not linked with the static library"
    run ""
    "$here/install.sh" uninstall
    left=$(find "$work/$1" ! -type d)
    [ -z "$left" ] || fail "left behind: $left"
    echo "$1: works"
}

check_symbols
check_second_library
export DESTDIR PREFIX LIBDIR INCLUDEDIR
# Leaves this machine's loader alone; test-make-install.sh tests the calls of ldconfig.
export LDCONFIG=true
DESTDIR='' PREFIX=$work/prefix LIBDIR='' INCLUDEDIR=''
check_install prefix
DESTDIR=$work/staged PREFIX=/usr LIBDIR=/usr/lib/some-machine INCLUDEDIR=/usr/include/some-machine
check_install staged
