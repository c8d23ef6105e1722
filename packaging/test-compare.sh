#!/bin/sh
# Runs a short comparison on the library in a directory, which is both the library under test and its peer.
set -eu
cd "$(dirname "$0")/.."
[ $# -eq 1 ] || { echo "usage: test-compare.sh DIST" >&2; exit 2; }
library=$(realpath "$1/libextism.so")
work=$(mktemp -d "${TMPDIR:-/tmp}/extism-compare.XXXXXX")
trap 'rm -rf "$work"' EXIT
"${MAKE:-make}" --no-print-directory target/compare/driver
mkdir "$work/cranelift"
cp target/compare/driver "$work/"
ln -s "$library" "$work/cranelift/libextism.so"
"${CARGO:-cargo}" run --quiet --release --locked -p extism-compare -- --libraries "$work" --peer "$library" \
    --rounds 2 --seconds 0.01 --workload 'compile count_vowels' --workload 'new + free, empty' --workload process \
    --workload call --workload 'count_vowels of 16 MiB, 0.x' --workload 'empty calls' --workload '2 threads' \
    --workload 'SHA-256 of 16 MiB, with' --workload 100 >"$work/tables"
cat "$work/tables"
cp "$work/compare.json" "$work/before.json"

# An unknown name is an error that lists the known ones, and the results of the last run stay.
for option in --workload --only; do
    status=0
    "${CARGO:-cargo}" run --quiet --release --locked -p extism-compare -- --libraries "$work" --rounds 1 $option 'no such' \
        >"$work/said" 2>&1 || status=$?
    [ $status -eq 2 ] || { echo "$option 'no such' exits with $status: $(cat "$work/said")" >&2; exit 1; }
    case $option in --only) name=cranelift ;; *) name='SQLite query' ;; esac
    grep -q "$name" "$work/said" || { echo "$option does not say what there is: $(cat "$work/said")" >&2; exit 1; }
    cmp "$work/compare.json" "$work/before.json"
done

missing() {
    echo "no $1 in $2" >&2
    exit 1
}
for row in 'compile count_vowels' 'new + free, empty module' 'call, empty' '2 threads against 1' \
    'SHA-256 of 16 MiB, with a timeout' '100 plugins resident, official'; do
    # Once in the table of figures, once in the table of ratios.
    [ "$(grep -c "^| $row .*[0-9]" "$work/tables")" -eq 2 ] || missing "$row" "the tables"
    grep -q "\"$row\"" "$work/compare.json" || missing "$row" compare.json
done
for tag in '<svg' '<table>'; do
    grep -q "$tag" "$work/compare.html" || missing "$tag" compare.html
done

# The documents show the committed figures. The figures of a run that lacks rows are refused.
"${CARGO:-cargo}" run --quiet --release --locked -p extism-compare -- --check-pages
if "${CARGO:-cargo}" run --quiet --release --locked -p extism-compare -- --write-pages "$work/compare.json" 2>"$work/said"; then
    echo "--write-pages takes a run without all rows" >&2
    exit 1
fi
grep -q 'lacks the workload' "$work/said" || missing 'reason' "$work/said"
