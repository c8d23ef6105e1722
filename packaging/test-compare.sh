#!/bin/sh
# Runs a short comparison on the library in a directory, which has the C interface of Extism 0.1.0 (0) or 1.x (1), and is
# both the library under test and its peer.
set -eu

usage="usage: test-compare.sh DIST (0 | 1)"
[ $# -eq 2 ] || { echo "$usage" >&2; exit 2; }
cd "$(dirname "$0")/.."
library=$(realpath "$1/libextism.so")
abi=$2
case $abi in
    0) some_row='SQLite query' ;;
    1) some_row='host function call, i64 in and out' ;;
    *) echo "$usage" >&2; exit 2 ;;
esac
work=$(mktemp -d "${TMPDIR:-/tmp}/extism-compare.XXXXXX")
trap 'rm -rf "$work"' EXIT
"${MAKE:-make}" --no-print-directory target/compare/driver
mkdir "$work/cranelift"
cp target/compare/driver "$work/"
ln -s "$library" "$work/cranelift/libextism.so"

compare() { # OPTION...
    "${CARGO:-cargo}" run --quiet --release --locked -p extism-compare -- --abi "$abi" --libraries "$work" "$@"
}
set -- --workload 'compile count_vowels' --workload 'new + free, empty' --workload process --workload call \
    --workload 'empty calls' --workload '2 threads' --workload 100
if [ "$abi" = 0 ]; then
    set -- "$@" --workload 'count_vowels of 16 MiB, 0.x' --workload 'SHA-256 of 16 MiB, with'
else
    set -- "$@" --workload function_new --workload new_from_compiled --workload host
fi
compare --peer "$library" --rounds 2 --seconds 0.01 "$@" >"$work/tables"
cat "$work/tables"
cp "$work/compare.json" "$work/before.json"

# An unknown name is an error that lists the known ones, and the results of the last run stay.
for option in --workload --only; do
    status=0
    compare --rounds 1 $option 'no such' >"$work/said" 2>&1 || status=$?
    [ $status -eq 2 ] || { echo "$option 'no such' exits with $status: $(cat "$work/said")" >&2; exit 1; }
    case $option in --only) name=cranelift ;; *) name=$some_row ;; esac
    grep -q "$name" "$work/said" || { echo "$option does not say what there is: $(cat "$work/said")" >&2; exit 1; }
    cmp "$work/compare.json" "$work/before.json"
done

missing() {
    echo "no $1 in $2" >&2
    exit 1
}
has_row() { # NAME TABLES
    [ "$(grep -cF "| $1 " "$work/tables")" -eq "$2" ] && grep -q "^| $1 .*[0-9]" "$work/tables" || missing "$1" "$2 tables"
    grep -qF "\"$1\"" "$work/compare.json" || missing "$1" compare.json
}
# Once in the table of figures, once in the table of ratios, and once in that of bounds if there is one.
for row in 'compile count_vowels' 'new + free, empty module' '2 threads against 1' '100 plugins resident, official'; do
    has_row "$row" 2
done
if [ "$abi" = 0 ]; then
    has_row 'call, empty' 2
    has_row 'SHA-256 of 16 MiB, with a timeout' 2
else
    has_row 'new_from_compiled + call + free' 2
    for row in 'function_new + plugin_new + frees' 'new_from_compiled + free' 'call, empty' 'call, empty, with host context' \
        'host function call, i64 in and out' 'host function call, alloc + length + free'; do
        has_row "$row" 3
        # A bound is kept if the part is not above it. No library takes a tenth of its own time.
        part='[0-9.]*'
        grep -F "| $row " "$work/tables" | tail -n 1 | tr -d ' ' | grep -q "|$part|$part|\(yes\|no\)|$" || missing "bound" "$row"
    done
    awk -F ' *[|] *' '
        $5 == "yes" || $5 == "no" { seen++; if (($3 + 0 <= $4 + 0) != ($5 == "yes")) bad = 1 }
        $2 == "call, empty" && $5 == "no" { refused = 1 }
        END { exit bad || seen != 6 || !refused }' "$work/tables" ||
        { echo "bounds that are not kept are called so, or the other way round" >&2; exit 1; }
    grep -q '<h2>Bounds' "$work/compare.html" || missing bounds compare.html
fi
for tag in '<svg' '<table>'; do
    grep -q "$tag" "$work/compare.html" || missing "$tag" compare.html
done

# The documents show the committed figures. The figures of a run that lacks rows are refused.
compare --check-pages
if compare --write-pages "$work/compare.json" 2>"$work/said"; then
    echo "--write-pages takes a run without all rows" >&2
    exit 1
fi
grep -q 'lacks the workload' "$work/said" || missing 'reason' "$work/said"
