#!/bin/sh
# Runs a command that may be silent for minutes. If standard error is no terminal, on which cargo shows its progress, a
# line every 5 seconds says that the command still runs.
set -eu

[ $# -gt 0 ] || { echo "usage: progress.sh COMMAND [ARGUMENT]..." >&2; exit 2; }
[ ! -t 2 ] || exec "$@"

seconds=0
# Without our outputs: a reader of them would wait for the last `sleep`.
while sleep 5 >/dev/null 2>&1; do
    seconds=$((seconds + 5))
    echo "    ... $seconds s" >&2
done &
beat=$!
trap 'kill $beat 2>/dev/null || true' EXIT
trap 'exit 2' HUP INT TERM
"$@"
