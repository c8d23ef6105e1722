#!/bin/sh
# Checks that `make install` installs what was built, builds nothing, and calls ldconfig when it should. A tiny library
# stands in for the real one, which test-install.sh installs and uses.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "test-make-install.sh: $*" >&2
    exit 1
}

work=$(mktemp -d "${TMPDIR:-/tmp}/extism-make-install.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

echo 'int built = 1;' >"$work/built.c"
for abi in 0 1; do
    dist=$work/dist$abi
    mkdir "$dist"
    ${CC:-cc} -shared -o "$dist/libextism.so" -Wl,-soname,libextism.so.$abi "$work/built.c"
    echo "archive $abi" >"$dist/libextism.a"
    echo '-lc' >"$dist/native-libs.txt"
    echo ' --features llvm,singlepass' >"$dist/built"
done

# A stand-in for ldconfig that logs its arguments, and finds no library.
cat >"$work/ldconfig" <<END
#!/bin/sh
echo "ldconfig \$*" >>"$work/calls"
END
chmod +x "$work/ldconfig"

# Runs `make install` with a cargo and a C compiler that always fail.
make_install() { # VARIABLE=VALUE...
    "${MAKE:-make}" --no-print-directory install CARGO=false CC=false LDCONFIG="$work/ldconfig" "$@" >"$work/said" 2>&1
}
export LDCONFIG="$work/ldconfig"

# Whether programs are built and linked with the library of ABI.
is_there() { # ABI LIBDIR
    cmp -s "$work/dist$1/libextism.so" "$2/libextism.so" && cmp -s "$work/dist$1/libextism.a" "$2/libextism.a" ||
        fail "not what was built is in $2"
}

is_installed() { # ABI LIBDIR
    is_there "$1" "$2"
    grep -q 'features llvm,singlepass' "$work/said" || fail "it does not say what it has installed: $(cat "$work/said")"
    rm -rf "${2:?}"
}

# Features that are given at installation change nothing: another user may give others.
for features in FEATURES= FEATURES=singlepass NO_DEFAULT=1; do
    : >"$work/calls"
    make_install DIST="$work/dist0" DESTDIR="$work/destination" PREFIX=/usr "$features" || fail "$features: $(cat "$work/said")"
    is_installed 0 "$work/destination/usr/lib"
    [ ! -s "$work/calls" ] || fail "with DESTDIR, the loader of this machine is told"
done

make_install DIST="$work/dist0" DESTDIR= PREFIX="$work/prefix" || fail "$(cat "$work/said")"
is_installed 0 "$work/prefix/lib"
grep -q "LD_LIBRARY_PATH=$work/prefix/lib" "$work/said" || fail "it does not say how programs find it: $(cat "$work/said")"
renewed=$(grep -c '^ldconfig $' "$work/calls") || true
[ "$renewed" -eq "$(if [ "$(id -u)" -eq 0 ]; then echo 1; else echo 0; fi)" ] || fail "ldconfig was run $renewed times"

# Those would stand in extism.pc, and mean another place wherever it is read.
for path in PREFIX=some/where LIBDIR=some/where INCLUDEDIR=some/where PREFIX=./some/where; do
    if make_install DIST="$work/dist0" DESTDIR="$work/refused/" "$path"; then
        fail "$path is not absolute, and is taken"
    fi
    grep -q "${path%%=*} is ${path#*=}, and has to be an absolute path" "$work/said" ||
        fail "$path: $(cat "$work/said")"
    [ ! -e "$work/refused" ] || fail "$path is refused, and something is installed"
done

# The libraries for both of Extism's C interfaces in one place: programs are built with the one that was installed last,
# and those that were built before find theirs. Removing one leaves the other.
both=$work/both/usr
make_both() { # TARGET ABI
    "${MAKE:-make}" --no-print-directory "$1" ABI="$2" DIST="$work/dist$2" DESTDIR="$work/both" PREFIX=/usr \
        CARGO=false CC=false >"$work/said" 2>&1 || fail "$1 ABI=$2: $(cat "$work/said")"
}
only_named() { # FILE...
    printf '%s\n' "$@" | sort >"$work/expected"
    (cd "$both" && find . ! -type d) | sed 's|^\./||' | sort | diff "$work/expected" - >&2 || fail "other files are in $both"
}
of_0="include/extism.h include/extism.hpp lib/libextism.a lib/libextism.so lib/libextism.so.0
    lib/libextism.so.$(packaging/version.sh 0) lib/pkgconfig/extism.pc lib/pkgconfig/libextism.pc
    lib/pkgconfig/extism-static.pc"
of_1="include/extism.h lib/libextism.a lib/libextism.so lib/libextism.so.1
    lib/libextism.so.$(packaging/version.sh 1) lib/pkgconfig/extism.pc lib/pkgconfig/extism-static.pc"
make_both install 1
# shellcheck disable=SC2086 # a list of words
only_named $of_1
is_there 1 "$both/lib"
cmp -s v1/extism.h "$both/include/extism.h" || fail "ABI=1 installs another header than v1/extism.h"
grep -q "^Version: $(packaging/version.sh 1)$" "$both/lib/pkgconfig/extism.pc" || fail "extism.pc has another version"
make_both install 0
is_there 0 "$both/lib"
make_both uninstall 1
# shellcheck disable=SC2086
only_named $of_0
is_there 0 "$both/lib"
make_both install 1
# No name is left by which a program for 0.1.0 would get the header and the library for 1.x.
# shellcheck disable=SC2086
only_named $of_1 lib/libextism.so.0 "lib/libextism.so.$(packaging/version.sh 0)"
is_there 1 "$both/lib"
make_both uninstall 0
# shellcheck disable=SC2086
only_named $of_1
make_both install 0
make_both uninstall 0
make_both uninstall 1
[ -z "$(find "$both" ! -type d)" ] || fail "left behind: $(find "$both" ! -type d)"

if make_install DIST="$work/none" DESTDIR="$work/destination"; then
    fail "nothing was built, and it is installed"
fi
# shellcheck disable=SC2016 # as it is written
grep -q 'run `make build` first' "$work/said" || fail "it does not say what to run: $(cat "$work/said")"
[ ! -e "$work/none" ] || fail "it builds"
echo "make install: works"
