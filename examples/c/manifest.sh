#!/bin/sh
# Runs manifest.c: loads a plugin from a server on this machine, with a wrong hash, and again when the server is gone.
set -eu
[ $# -eq 2 ] || { echo "usage: manifest.sh MANIFEST_PROGRAM PLUGIN.wasm" >&2; exit 2; }
command -v python3 >/dev/null || { echo "manifest.sh: skipped, for its server is python3's" >&2; exit 0; }

work=$(mktemp -d "${TMPDIR:-/tmp}/extism-manifest.XXXXXX")
server=
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

# Made here, as the server opens it at some moment.
: >"$work/log"
hash=$(sha256sum "$2" | cut -d ' ' -f 1)
python3 -u -m http.server 0 --bind 127.0.0.1 --directory "$(dirname "$2")" >"$work/log" 2>&1 &
server=$!
for _ in $(seq 100); do
    port=$(sed -n 's/^Serving HTTP on .* port \([0-9]*\).*/\1/p' "$work/log")
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || { cat "$work/log" >&2; exit 1; }
url=http://127.0.0.1:$port/$(basename "$2")

export EXTISM_CACHE_DIR="$work/cache" NO_PROXY=127.0.0.1
echo "$url:"
"$1" "$url" "$hash"
if "$1" "$url" "$(printf '%064d' 0)" 2>"$work/error"; then
    echo "manifest.sh: a module with another hash was run" >&2
    exit 1
fi
echo "another hash: $(cat "$work/error")"
kill $server
wait $server 2>/dev/null || true
server=
echo "the same, when the server is gone:"
"$1" "$url" "$hash"
