#!/bin/sh
# Counts the instructions of a few operations that must stay cheap, with callgrind, and compares them with gate.txt:
# growth by more than 10 % is a failure. The counts are the same on every run, whatever else the machine is doing.
set -eu

usage="usage: gate.sh DIST [--update]"
[ $# -ge 1 ] && [ $# -le 2 ] && [ "${2---update}" = --update ] || { echo "$usage" >&2; exit 2; }
dist=$1
update=${2-}
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "bench-gate: needs \`valgrind\` (apt-get install valgrind)" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/extism-gate.XXXXXX")
trap 'rm -rf "$work"' EXIT
export EXTISM_CACHE_DIR="$work/cache" LD_LIBRARY_PATH="$dist"
${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror -O2 -I. benches/steps.c -L"$dist" -lextism -o "$work/steps"

# The number of instructions of a run.
instructions() { # TIMES WHAT...
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --smc-check=all-non-file "$work/steps" "$@" 2>&1 |
        sed -n 's/.*Collected : *//p'
}

# The instructions of one operation: the difference of two runs, divided by how many more operations one has.
each() { # LESS MORE WHAT...
    less=$1 more=$2
    shift 2
    echo $((($(instructions "$more" "$@") - $(instructions "$less" "$@")) / (more - less)))
}

echo_plugin=fixtures/wasm/echo.v0.wasm
# From here on, its code is in the cache, made for the processor that valgrind emulates.
instructions 1 new $echo_plugin >"$work/first"
{
    echo "call_empty $(each 1000 5000 call $echo_plugin empty 0)"
    echo "call_echo_64 $(each 1000 5000 call $echo_plugin echo 64)"
    echo "new_and_free $(each 100 500 new $echo_plugin)"
} >"$work/gate.txt"

if [ -n "$update" ]; then
    cp "$work/gate.txt" benches/gate.txt
    cat benches/gate.txt
    exit
fi
awk '
    NR == FNR { allowed[$1] = $2; next }
    {
        good = ($1 in allowed) && $2 > 0 && $2 <= allowed[$1] * 1.1
        printf "%-14s %8d instructions, %8d committed%s\n", $1, $2, allowed[$1], good ? "" : "  <- more than 10 % over"
        if (!good) bad = 1
        seen++
    }
    END {
        if (seen != 3) bad = 1
        if (bad) print "if it has to be so: make bench-gate UPDATE=1, and say why"
        exit bad
    }' benches/gate.txt "$work/gate.txt"
