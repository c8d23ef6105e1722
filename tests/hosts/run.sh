#!/bin/sh
# Runs the tests of one language's host: the library inside its process, with its signals, stacks and collector.
set -eu

usage="usage: run.sh (python | node | go | java | ruby | php) TESTS_DIR HEADER_DIR LIBRARY_DIR PLUGIN WORK_DIR"
[ $# -eq 6 ] || { echo "$usage" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
host=$1
# The folder of the guest and the programs: this one, or that for Extism 1.x.
tests=$(cd "$2" && pwd)
header_dir=$(cd "$3" && pwd)
library_dir=$(cd "$4" && pwd)
mkdir -p "$6"
work=$(cd "$6" && pwd)

EXTISM_LIBRARY=$library_dir/libextism.so
EXTISM_GUEST=$tests/guest.wat
EXTISM_PLUGIN=$(cd "$(dirname "$5")" && pwd)/$(basename "$5")
export EXTISM_LIBRARY EXTISM_GUEST EXTISM_PLUGIN

# A test that hangs is a failure.
limited="timeout --signal KILL 120"

case $host in
    python)
        $limited python3 "$tests/python/test_host.py" "$EXTISM_LIBRARY" "$EXTISM_GUEST" "$EXTISM_PLUGIN"
        ;;
    node)
        cp "$here"/node/package.json "$here"/node/package-lock.json "$tests"/node/*.js "$work"
        cd "$work"
        npm ci --silent --ignore-scripts --no-audit --no-fund
        $limited node --expose-gc --test-reporter=tap --test host.test.js
        ;;
    go)
        cd "$tests/go"
        CGO_CFLAGS="-I$header_dir" CGO_LDFLAGS="-L$library_dir" GOFLAGS=-mod=mod GOCACHE="$work/cache" \
            LD_LIBRARY_PATH=$library_dir $limited go test -count=1 -v .
        ;;
    java)
        jna=${JNA_JAR:-/usr/share/java/jna.jar}
        # Suppresses the warning about sun.misc.Signal.
        javac -XDignore.symbol.file -d "$work" -cp "$jna" "$tests"/java/*.java
        $limited java -cp "$jna:$work" HostTest
        ;;
    ruby)
        $limited ruby "$tests/ruby/test_host.rb"
        ;;
    php)
        printf '#include <extism.h>\n' | ${CC:-cc} -E -P -I"$header_dir" -x c - >"$work/extism.i"
        $limited php "$tests/php/test_host.php" "$EXTISM_LIBRARY" "$EXTISM_GUEST" "$EXTISM_PLUGIN" "$work/extism.i" \
            "$header_dir/extism.h"
        ;;
    *) echo "$usage" >&2; exit 2 ;;
esac
