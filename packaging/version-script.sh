#!/bin/sh
# Writes the linker's version script of a shared library: only the symbols of a list are exported.
#
# A list has lines of a name and a version. If the versions are plain numbers, symbols are exported without one. Else each
# version becomes a node of the script, in the list's order, and each but the first inherits from the one before it: a
# program that uses a newer symbol than the library has is then refused when it is started.
set -eu

usage="usage: version-script.sh SYMBOLS.txt >libextism.map"

case ${1-} in
    -h | --help) echo "$usage"; exit 0 ;;
esac
[ $# -eq 1 ] || { echo "$usage" >&2; exit 2; }
[ -r "$1" ] || { echo "version-script.sh: cannot read $1" >&2; exit 2; }

awk -v list="$1" '
    /^#/ || /^$/ { next }
    !/^[a-z][a-z0-9_]* ([0-9][0-9.]*|[A-Z][A-Z_]*_[0-9][0-9.]*)$/ {
        print "version-script.sh: not `NAME VERSION`: " $0 >"/dev/stderr"
        failed = 1
        exit 1
    }
    {
        node = $2 ~ /^[0-9]/ ? "" : $2
        if (!(node in symbols)) nodes[++count] = node
        symbols[node] = symbols[node] "    " $1 ";\n"
    }
    END {
        if (failed) exit 1
        if (!count) {
            print "version-script.sh: no symbols in " list >"/dev/stderr"
            exit 1
        }
        if (count > 1 && "" in symbols) {
            print "version-script.sh: some symbols have a named version, and some a number: " list >"/dev/stderr"
            exit 1
        }
        for (i = 1; i <= count; i++) {
            printf "%s{\nglobal:\n%s", nodes[i] == "" ? "" : nodes[i] " ", symbols[nodes[i]]
            if (i == 1) printf "local:\n    *;\n"
            printf "}%s;\n", i == 1 ? "" : " " nodes[i - 1]
        }
    }' "$1"
