#!/bin/sh
# Makes the static library that is shipped out of the one that cargo builds: one object, whose only global symbols are
# those of a list, so that it can be linked beside any other library in Rust, and without what nothing refers to.
set -eu

usage="usage: static-library.sh CARGO_LIBRARY.a SHIPPED_LIBRARY.a SYMBOLS.txt"

case ${1-} in
    -h | --help) echo "$usage"; exit 0 ;;
esac
[ $# -eq 3 ] || { echo "$usage" >&2; exit 2; }

work=$(mktemp -d "$(dirname "$2")/static-library.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

sed -n 's/^\([a-z][a-z0-9_]*\) .*/\1/p' "$3" >"$work/symbols"
[ -s "$work/symbols" ] || { echo "static-library.sh: no symbols in $3" >&2; exit 1; }
# Groups of sections are dissolved: a later library would drop its own group for one of ours, whose symbols are local.
# Constructors of C++ (LLVM) are referred to by nothing. A partial link would drop them.
cat >"$work/keep.ld" <<'END'
SECTIONS
{
    .init_array : { KEEP (*(SORT_BY_INIT_PRIORITY(.init_array.*) .init_array)) }
    .fini_array : { KEEP (*(SORT_BY_INIT_PRIORITY(.fini_array.*) .fini_array)) }
    .ctors : { KEEP (*(.ctors .ctors.*)) }
}
INSERT AFTER .text;
END
# shellcheck disable=SC2046 # a list of words
"${LD:-ld}" -r -o "$work/all.o" --gc-sections --force-group-allocation -T "$work/keep.ld" $(sed 's/^/-u /' "$work/symbols") --whole-archive "$1"
# Bitcode, which dependencies have for link-time optimisation, is most of the rest.
"${OBJCOPY:-objcopy}" --keep-global-symbols="$work/symbols" --strip-debug --remove-section=.llvmbc \
    --remove-section=.llvmcmd "$work/all.o" "$work/libextism.o"
"${AR:-ar}" rcs "$work/libextism.a" "$work/libextism.o"
mv "$work/libextism.a" "$2"
