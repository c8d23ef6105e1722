#!/bin/sh
# Builds the examples for Extism 1.x with a library that was built, and runs them. Each must succeed and print what it
# should.
set -eu

usage() {
    cat <<'END'
usage: run.sh DIRECTORY [WHEEL]

  DIRECTORY  has extism.h and libextism.so, as `make build ABI=1` leaves them in target/dist/v1
  WHEEL      the Python wheel of the same library, of `make wheel`; without it, the example in Python is left out

Takes CC, CXX and PYTHON from the environment. Exits with 0 if all examples did what they should.
END
}

case ${1-} in
    -h | --help) usage; exit 0 ;;
esac
[ $# -eq 1 ] || [ $# -eq 2 ] || { usage >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
library=$(cd "$1" && pwd)
wheel=${2:+$(realpath "$2")}
plugin=$here/../../fixtures/wasm/count_vowels.v1.wasm
python=${PYTHON:-python3}
work=$(mktemp -d "${TMPDIR:-/tmp}/extism-examples.XXXXXX")
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

# The code that the examples compile stays out of the user's cache.
mkdir -m 700 "$work/cache"
# A directory of its own: beside the library may be files whose names C++ takes for headers.
mkdir "$work/include"
cp "$library/extism.h" "$work/include/"
export EXTISM_CACHE_DIR="$work/cache" NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
passed=0
failed=0

build() { # NAME
    warnings="-Wall -Wextra -Wpedantic -Werror"
    # The flags are lists of words, so they are not quoted.
    # shellcheck disable=SC2086
    if [ -f "$here/$1.c" ]; then
        ${CC:-cc} -std=c11 $warnings -O2 -pthread -I "$work/include" "$here/$1.c" -o "$work/$1" -L "$library" -lextism \
            "-Wl,-rpath,$library"
    else
        ${CXX:-c++} -std=c++17 $warnings -O2 -pthread -I "$work/include" "$here/$1.cpp" -o "$work/$1" -L "$library" \
            -lextism "-Wl,-rpath,$library"
    fi
}

# Runs COMMAND, which must exit with 0 and print TEXT.
check() { # NAME TEXT COMMAND...
    name=$1 text=$2
    shift 2
    if "$@" >"$work/said" 2>&1 && grep -qF -e "$text" "$work/said"; then
        passed=$((passed + 1))
        echo "$name: good"
    else
        failed=$((failed + 1))
        echo "$name: FAILED, and should have printed: $text"
        head -n 40 "$work/said" | sed 's/^/    /'
    fi
}

# Builds the example NAME, and runs it with arguments, in the root of the repository.
try() { # NAME TEXT ARGUMENT...
    name=$1 text=$2
    shift 2
    if build "$name" >"$work/said" 2>&1; then
        check "$name" "$text" "$work/$name" "$@"
    else
        failed=$((failed + 1))
        echo "$name: cannot be built"
        head -n 40 "$work/said" | sed 's/^/    /'
    fi
}

# Starts a server of $work/served, and sets $port.
serve() {
    mkdir "$work/served"
    : >"$work/server"
    "$python" -u -m http.server 0 --bind 127.0.0.1 --directory "$work/served" >"$work/server" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        port=$(sed -n 's/^Serving HTTP on .* port \([0-9]*\).*/\1/p' "$work/server")
        [ -z "$port" ] || return 0
        sleep 0.1
    done
    cat "$work/server" >&2
    return 1
}

# The program in README.md names its plugin from here.
cd "$here/../.."
try hello '{"count": 4}'
try count_vowels '{"count": 4}' "$plugin"
try host_function 'Grace: 555-1906'
check "host_function, the error" 'Nobody: returned -1: this name is not in the book' "$work/host_function"
check "host_function, the user data" 'the book is freed after 2 lookups' "$work/host_function"
try kv_store '5 10 3'
try pool 'the endless call returned 134: timeout'
try limit 'count returned -1 after 1000 instructions: out of fuel'
try config "greeting = 'hello'"
try log 'INFO extism::pdk: hello from the plugin'
# shellcheck disable=SC2016
check "log, to a file" 'hello from the plugin' sh -c '"$0" "$1" && cat "$1"' "$work/log" "$work/lines"
try compilers "by libextism on Wasmer"

if command -v "$python" >/dev/null; then
    serve
    try http '"content-type":"text/html' "http://127.0.0.1:$port/" 127.0.0.1
else
    echo "http: skipped, for its server is python3's"
fi

if [ -n "$wheel" ]; then
    "$python" -m venv "$work/python"
    "$work/python/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel" extism==1.1.1
    check "Python" 'Grace: 555-1906' "$work/python/bin/python" "$here/host_function.py"
    check "Python, the error" 'Nobody: Nobody is not in the book' "$work/python/bin/python" "$here/host_function.py"
else
    echo "host_function.py: skipped, for no wheel was given"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
