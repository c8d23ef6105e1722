#!/bin/sh
# Installs into temporary folders, and there builds the examples with pkg-config and runs them, as a user does.
set -eu

usage() {
    cat <<'END'
usage: test-install.sh BUILD_DIR PLUGIN

  BUILD_DIR  as install.sh takes it
  PLUGIN     a count_vowels plugin whose answer to "this is a test" is {"count": 4}

Takes CC and CXX from the environment, and EXTISM_ABI as install.sh does. Exits with 0 if everything works.
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
root=$(dirname "$here")
build_dir=$1
plugin=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
work=$(mktemp -d "${TMPDIR:-/tmp}/extism-install.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
abi=${EXTISM_ABI:-0}
case $abi in
    0) symbols=$here/symbols.txt header_dir=$root examples=$root/examples/c packages="extism libextism" ;;
    1) symbols=$root/v1/symbols.txt header_dir=$root/v1 examples=$root/examples/v1 packages=extism ;;
esac
printf '{"wasm": [{"path": "%s"}]}\n' "$plugin" >"$work/manifest.json"

warnings="-Wall -Wextra -Wpedantic -Werror"

# CFLAGS and LIBS are lists of words, so they are not quoted.
# shellcheck disable=SC2086
build_1() { # CFLAGS LIBS
    ${CC:-cc} -std=c11 $warnings "$examples/count_vowels.c" -o "$work/count_vowels" $1 $2
    ${CXX:-c++} -std=c++11 $warnings -x c++ "$examples/count_vowels.c" -x none -o "$work/count_vowels_cpp" $1 $2
    ${CC:-cc} -std=c11 $warnings "$examples/host_function.c" -o "$work/host_function" $1 $2
    ${CXX:-c++} -std=c++17 $warnings "$examples/kv_store.cpp" -o "$work/kv_store" $1 $2
}

run_host_function() { # LIBRARY_PATH TEXT
    said=$(LD_LIBRARY_PATH=$1 "$work/host_function") || fail "host_function said $said"
    case $said in
        *"$2"*) ;;
        *) fail "host_function said $said" ;;
    esac
}

run_1() { # LIBRARY_PATH
    for program in count_vowels count_vowels_cpp; do
        said=$(LD_LIBRARY_PATH=$1 "$work/$program" "$plugin" "this is a test")
        [ "$said" = '{"count": 4}' ] || fail "$program said $said"
    done
    run_host_function "$1" "Grace: 555-1906"
    said=$(LD_LIBRARY_PATH=$1 "$work/kv_store") || fail "kv_store said $said"
    case $said in
        *'5 10 3'*) ;;
        *) fail "kv_store said $said" ;;
    esac
}

# shellcheck disable=SC2086
build_0() { # CFLAGS LIBS
    ${CC:-cc} -std=c11 $warnings "$examples/count_vowels.c" -o "$work/count_vowels" $1 $2
    ${CC:-cc} -std=c11 $warnings "$examples/config.c" -o "$work/config" $1 $2
    ${CC:-cc} -std=c11 $warnings "$examples/host_function.c" -o "$work/host_function" $1 $2
    ${CC:-cc} -std=c11 $warnings "$examples/manifest.c" -o "$work/manifest" $1 $2
    ${CC:-cc} -std=c11 $warnings "$examples/compilers.c" -o "$work/compilers" $1 $2
    ${CC:-cc} -std=c11 $warnings "$examples/update.c" -o "$work/update" $1 $2
    ${CXX:-c++} -std=c++17 $warnings "$examples/example.cpp" -o "$work/example" $1 $2
}

run_0() { # LIBRARY_PATH
    for program in "count_vowels $plugin" "example $plugin" "config $work/manifest.json count_vowels"; do
        name=${program%% *}
        # shellcheck disable=SC2086
        said=$(LD_LIBRARY_PATH=$1 "$work/$name" ${program#* } "this is a test" | tr -d ' ')
        [ "$said" = '{"count":4}' ] || fail "$name said $said"
    done
    run_host_function "$1" HELLO
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

# Checks that both libraries export exactly the symbols in symbols.txt; a shared one also has its versions as symbols.
check_symbols() {
    sed -n 's/^\([a-z][a-z0-9_]*\) .*/\1/p' "$symbols" | sort >"$work/listed"
    nm -D --defined-only "$build_dir/libextism.so" | sed -n 's/^[0-9a-f]* [^A] \([^@]*\).*/\1/p' | sort >"$work/exported"
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
    cat >"$work/both_1.c" <<'END'
#include <extism.h>
int second(int number);
int main(void)
{
    ExtismPlugin *plugin = extism_plugin_new((const uint8_t *)"(module)", 8, 0, 0, 0, 0);
    int made = plugin != 0;
    extism_plugin_free(plugin);
    return !made || second(1) != 0 || second(0) != 1;
}
END
    cat >"$work/both_0.c" <<'END'
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
        ${CC:-cc} "$work/both_$abi.c" -I"$header_dir" $libraries $(cat "$build_dir/native-libs.txt") -o "$work/both" ||
            fail "the static library cannot be linked beside another library in Rust: $libraries"
        "$work/both" 2>/dev/null || fail "with another library in Rust, libextism.a fails: $libraries"
    done
}

needs_shared() {
    readelf -d "$work/$1" | grep -q 'NEEDED.*libextism\.so\.'
}

# A program that was linked with Extism's own library, which has neither a soname nor versions of symbols, runs with this
# one. A program that needs a version which the library lacks is refused when it starts.
check_peer() { # LIBRARY_PATH
    mkdir -p "$work/peer"
    echo 'const char *extism_version(void) { return "none"; }' >"$work/peer/peer.c"
    cat >"$work/peer/program.c" <<'END'
#include <stdio.h>
const char *extism_version(void);
int main(void)
{
    return puts(extism_version()) < 0;
}
END
    ${CC:-cc} -shared -fPIC "$work/peer/peer.c" -o "$work/peer/libextism.so"
    ${CC:-cc} "$work/peer/program.c" -L"$work/peer" -lextism -o "$work/peer/program"
    said=$(LD_LIBRARY_PATH=$1 "$work/peer/program" 2>&1) || fail "a program for Extism's own library said $said"
    [ "$said" = "$("$here/version.sh" 1)" ] || fail "a program for Extism's own library said $said"
    printf 'EXTISM_1.9999 { global: extism_version; };\n' >"$work/peer/later.map"
    ${CC:-cc} -shared -fPIC "$work/peer/peer.c" -o "$work/peer/libextism.so" -Wl,-soname,libextism.so.1 \
        -Wl,--version-script="$work/peer/later.map"
    ${CC:-cc} "$work/peer/program.c" -L"$work/peer" -lextism -o "$work/peer/program"
    if said=$(LD_LIBRARY_PATH=$1 "$work/peer/program" 2>&1); then
        fail "a program for a later library runs, and said $said"
    fi
    case $said in
        *EXTISM_1.9999*) ;;
        *) fail "a program for a later library said $said" ;;
    esac
}

# WHERE is the folder below $work that everything goes to. The variables of install.sh are those of the caller.
check_install() { # WHERE
    "$here/install.sh" install "$build_dir"
    libdir=${LIBDIR:-$PREFIX/lib}
    export PKG_CONFIG_LIBDIR="$DESTDIR$libdir/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$DESTDIR"
    for package in $packages; do
        build_"$abi" "$(pkg-config --cflags $package)" "$(pkg-config --libs $package)"
        needs_shared count_vowels || fail "count_vowels is not linked with the shared library"
        run_"$abi" "$DESTDIR$libdir"
    done
    [ "$abi" = 0 ] || check_peer "$DESTDIR$libdir"
    build_"$abi" "$(pkg-config --cflags extism-static)" "$(pkg-config --libs extism-static)"
    ! needs_shared count_vowels || fail "count_vowels is not linked with the static library"
    run_"$abi" ""
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
