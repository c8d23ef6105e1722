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

soname=$(sed -n 's/^version = "\([0-9]*\)\..*"$/libextism.so.\1/p' Cargo.toml | head -n 1)
mkdir "$work/dist"
echo 'int built = 1;' >"$work/built.c"
${CC:-cc} -shared -o "$work/dist/libextism.so" -Wl,-soname,"$soname" "$work/built.c"
echo 'archive' >"$work/dist/libextism.a"
echo '-lc' >"$work/dist/native-libs.txt"
echo ' --features llvm,singlepass' >"$work/dist/built"

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

is_installed() { # LIBDIR
    cmp -s "$work/dist/libextism.so" "$1/libextism.so" && cmp -s "$work/dist/libextism.a" "$1/libextism.a" ||
        fail "not what was built is in $1"
    grep -q 'features llvm,singlepass' "$work/said" || fail "it does not say what it has installed: $(cat "$work/said")"
    rm -rf "${1:?}"
}

# Features that are given at installation change nothing: another user may give others.
for features in FEATURES= FEATURES=singlepass NO_DEFAULT=1; do
    : >"$work/calls"
    make_install DIST="$work/dist" DESTDIR="$work/destination" PREFIX=/usr "$features" || fail "$features: $(cat "$work/said")"
    is_installed "$work/destination/usr/lib"
    [ ! -s "$work/calls" ] || fail "with DESTDIR, the loader of this machine is told"
done

make_install DIST="$work/dist" DESTDIR= PREFIX="$work/prefix" || fail "$(cat "$work/said")"
is_installed "$work/prefix/lib"
grep -q "LD_LIBRARY_PATH=$work/prefix/lib" "$work/said" || fail "it does not say how programs find it: $(cat "$work/said")"
renewed=$(grep -c '^ldconfig $' "$work/calls") || true
[ "$renewed" -eq "$(if [ "$(id -u)" -eq 0 ]; then echo 1; else echo 0; fi)" ] || fail "ldconfig was run $renewed times"

# Those would stand in extism.pc, and mean another place wherever it is read.
for path in PREFIX=some/where LIBDIR=some/where INCLUDEDIR=some/where PREFIX=./some/where; do
    if make_install DIST="$work/dist" DESTDIR="$work/refused/" "$path"; then
        fail "$path is not absolute, and is taken"
    fi
    grep -q "${path%%=*} is ${path#*=}, and has to be an absolute path" "$work/said" ||
        fail "$path: $(cat "$work/said")"
    [ ! -e "$work/refused" ] || fail "$path is refused, and something is installed"
done

if make_install DIST="$work/none" DESTDIR="$work/destination"; then
    fail "nothing was built, and it is installed"
fi
# shellcheck disable=SC2016 # as it is written
grep -q 'run `make build` first' "$work/said" || fail "it does not say what to run: $(cat "$work/said")"
[ ! -e "$work/none" ] || fail "it builds"
echo "make install: works"
