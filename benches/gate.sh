#!/bin/sh
# Counts the instructions of a few operations that must stay cheap, with callgrind, and compares them with gate.txt:
# growth by more than 10 % is a failure. The counts are the same on every run, whatever else the machine is doing.
#
# DIST has a library with the C interface of Extism 0.1.0 (0) or 1.x (1), whose rows of gate.txt begin with `v1_`.
set -eu

usage="usage: gate.sh DIST (0 | 1) [--update]"
[ $# -ge 2 ] && [ $# -le 3 ] && [ "${3---update}" = --update ] || { echo "$usage" >&2; exit 2; }
dist=$(realpath "$1")
abi=$2
update=${3-}
case $abi in
    0) steps=steps is_of_abi='!/^v1_/' ;;
    1) steps=steps_v1 is_of_abi='/^v1_/' ;;
    *) echo "$usage" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "bench-gate: needs \`valgrind\` (apt-get install valgrind)" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/extism-gate.XXXXXX")
trap 'rm -rf "$work"' EXIT
export EXTISM_CACHE_DIR="$work/cache" LD_LIBRARY_PATH="$dist"
${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror -O2 -I"$dist" benches/$steps.c -L"$dist" -lextism -o "$work/steps"

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

# The first run of each plugin leaves its code in the cache, made for the processor that valgrind emulates.
measure_0() {
    echo_plugin=fixtures/wasm/echo.v0.wasm
    instructions 1 new $echo_plugin >"$work/first"
    echo "call_empty $(each 1000 5000 call $echo_plugin empty 0)"
    echo "call_echo_64 $(each 1000 5000 call $echo_plugin echo 64)"
    echo "new_and_free $(each 100 500 new $echo_plugin)"
}

measure_1() {
    echo_plugin=fixtures/wasm/echo.v1.wasm host_plugin=fixtures/wasm/host_calls.v1.wasm
    instructions 1 call $echo_plugin empty >"$work/first"
    instructions 1 host $host_plugin calls >"$work/first"
    echo "v1_call_empty $(each 1000 5000 call $echo_plugin empty)"
    echo "v1_call_context $(each 1000 5000 context $echo_plugin empty)"
    echo "v1_host_call $(each 10000 50000 host $host_plugin calls)"
}

measure_$abi >"$work/measured.txt"
awk "$is_of_abi" benches/gate.txt >"$work/committed.txt"
if [ -n "$update" ]; then
    awk "! ($is_of_abi)" benches/gate.txt >"$work/others.txt"
    # Those of 0.1.0 come first.
    first=$work/measured.txt second=$work/others.txt
    [ "$abi" = 0 ] || { first=$work/others.txt second=$work/measured.txt; }
    cat "$first" "$second" >benches/gate.txt
    cat benches/gate.txt
    exit
fi
awk '
    FILENAME == ARGV[1] { allowed[$1] = $2; committed++; next }
    {
        good = ($1 in allowed) && $2 > 0 && $2 <= allowed[$1] * 1.1
        printf "%-15s %8d instructions, %8d committed%s\n", $1, $2, allowed[$1], good ? "" : "  <- more than 10 % over"
        if (!good) bad = 1
        seen++
    }
    END {
        if (seen != committed || seen != 3) bad = 1
        if (bad) print "if it has to be so: make bench-gate UPDATE=1, and say why"
        exit bad
    }' "$work/committed.txt" "$work/measured.txt"
