#!/bin/sh
# Runs the named tests, and prints one total. If a program that a test needs is missing, its Debian package is named and
# the test skipped, unless NO_SKIP is set: then it is a failure.
set -u

usage="usage: run.sh (rust | compilers | tool | models | fuzz | headers | c | valgrind | python | hosts | install)..."
[ $# -gt 0 ] || { echo "$usage" >&2; exit 2; }

cd "$(dirname "$0")/.." || exit 2
dist=target/dist
# The library for Extism 1.x.
dist_v1=target/dist/v1
plugin=fixtures/wasm/count_vowels.v0.wasm
make=${MAKE:-make}
log=$(mktemp "${TMPDIR:-/tmp}/extism-tests.XXXXXX")
trap 'rm -f "$log"' EXIT

# No test uses the user's cache, or leaves code in it.
export EXTISM_CACHE_DIR=
# `make` exports where it would install, and which library. Tests of the installation choose both themselves.
unset ABI EXTISM_ABI DESTDIR PREFIX LIBDIR INCLUDEDIR MAKEFLAGS MFLAGS

passed=0
failed=0
skipped=0

missing() { # SUBJECT WHAT PACKAGE
    echo "$1: needs \`$2\` (apt-get install $3)"
    if [ -n "${NO_SKIP-}" ]; then failed=$((failed + 1)); else skipped=$((skipped + 1)); fi
}

# Whether the commands PROGRAM... exist, each followed by the package that has it.
have() { # SUBJECT (PROGRAM PACKAGE)...
    subject=$1
    shift
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null 2>&1 || { missing "$subject" "$1" "$2"; return 1; }
        shift 2
    done
}

# Runs a command that prints its results, and counts them with COUNT, or as one test.
run() { # SUBJECT COUNT COMMAND...
    subject=$1 count=$2
    shift 2
    echo "== $subject"
    { "$@" 2>&1; echo "exit status $?"; } | tee "$log" | sed '$d'
    status=$(sed -n '$s/^exit status //p' "$log")
    good=$($count passed <"$log")
    bad=$($count failed <"$log")
    [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + good))
    failed=$((failed + bad))
}

cargo_results() { # passed | failed
    sed -n "s/^test result: .* \([0-9]*\) $1;.*/\1/p" | awk '{ sum += $1 } END { print sum + 0 }'
}

c_results() { # passed | failed
    sed -n "s/.*\<\([0-9]*\) $1\>.*/\1/p" | tail -n 1 | awk '{ sum = $1 } END { print sum + 0 }'
}

python_results() { # passed | failed
    awk -v want="$1" '
        /^Ran [0-9]+ tests? in/ { ran = $2 }
        /^FAILED \(/ { gsub(/[^0-9]+/, " "); for (i = 1; i <= NF; i++) bad += $i }
        END { print (want == "failed" ? bad : ran - bad) + 0 }'
}

# For commands that stop at the first failure.
case_results() { # passed | failed
    if [ "$1" = passed ]; then grep -cE '^[a-z0-9_ ]+: (Done )?[0-9]+ (orders|runs)'; else echo 0; fi
}

one_test() { # passed | failed
    if grep -q '^exit status 0$'; then good=1 bad=0; else good=0 bad=1; fi
    if [ "$1" = passed ]; then echo $good; else echo $bad; fi
}

build() { # [TARGET]
    "$make" --no-print-directory "${1:-build}" || { echo "the library cannot be built" >&2; exit 1; }
}

build_both() {
    build
    "$make" --no-print-directory build ABI=1 || { echo "the library for Extism 1.x cannot be built" >&2; exit 1; }
}

# Makes an environment with the Python packages of a list, unless it is there.
python_with() { # SUBJECT ENVIRONMENT REQUIREMENTS [OPTION]...
    subject=$1 environment=$2 requirements=$3
    shift 3
    if ! [ -x "$environment/bin/python" ] && ! python3 -m venv "$environment" >"$log" 2>&1; then
        rm -rf "$environment"
        missing "$subject" "python3 -m venv" python3-venv
        return 1
    fi
    # Not `pip` itself, which contains the path where it was installed: the tree may have been moved.
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "$@" -r "$requirements" || exit 1
}

cargo_test="${CARGO:-cargo} test --release --locked --no-fail-fast"
# The packages that the Makefile too builds together.
tested="-p extism-wasmer -p extism-wasmer-v1 -p extism-wasmer-capi -p extism-wasmer-core -p extism-benches -p extism-fuzz"
tested="$tested -p extism-fuzz-v1"
# The tests that do not depend on the chosen compiler, and each benchmark once.
common="--lib --bench phases"

rust() {
    "$make" --no-print-directory -C fixtures pdk >/dev/null || exit 1
    run "Rust" cargo_results $cargo_test $tested $common --test suite --test suite-v1
}

tool() {
    run "command line" cargo_results $cargo_test -p extism-wasmer-cli
}

have_llvm() { # SUBJECT
    [ -x "${LLVM_SYS_221_PREFIX:-/usr/lib/llvm-22}/bin/llvm-config" ] && return
    missing "$1" "LLVM 22" "llvm-22-dev libpolly-22-dev zlib1g-dev libzstd-dev"
    false
}

compilers() {
    have_llvm "compilers" || return
    "$make" --no-print-directory -C fixtures pdk >/dev/null || exit 1
    # Each compiler fills a cache, on which the library without compilers then runs the same tests.
    caches=$PWD/target/caches
    rm -rf "$caches"
    once=$common
    for compiler in cranelift llvm singlepass; do
        run "Rust on $compiler" cargo_results env EXTISM_COMPILER=$compiler EXTISM_CACHE_DIR="$caches/$compiler" \
            $cargo_test $tested --features llvm,singlepass $once --test suite --test suite-v1
        once=
    done
    # The last of them is built without HTTP.
    for compiler in cranelift llvm singlepass; do
        features=wasi,http
        [ $compiler != singlepass ] || features=wasi
        run "Rust without compilers ($features), on code of $compiler" cargo_results \
            env EXTISM_COMPILER=$compiler EXTISM_CACHE_DIR="$caches/$compiler" \
            $cargo_test -p extism-wasmer -p extism-wasmer-v1 -p extism-wasmer-capi -p extism-wasmer-core \
            --no-default-features --features $features --lib --test suite --test suite-v1
    done

    "$make" --no-print-directory headless || exit 1
    run "size of the library without compilers" one_test packaging/check-size.sh target/headless/libextism.so 4000000
    "$make" --no-print-directory headless ABI=1 || exit 1
    run "size of that for Extism 1.x" one_test packaging/check-size.sh target/headless/v1/libextism.so 4000000
}

models() {
    run "threads in many orders" case_results "$make" --no-print-directory models
}

# Built with all compilers, as one fuzz target compares them.
fuzz() {
    features=singlepass
    have_llvm "fuzzing of modules on LLVM" && features=llvm,singlepass
    run "fuzzing" case_results "$make" --no-print-directory fuzz-smoke FEATURES=$features
}

headers() {
    have "headers" "${CC:-cc}" gcc "${CXX:-c++}" g++ python3 python3 php php-cli || return
    python_with "headers" target/headers tests/headers/requirements.txt --require-hashes || return
    build_both
    run "readers of extism.h" one_test tests/headers/run.sh . $dist target/headers/bin/python
    run "readers of v1/extism.h" one_test tests/headers/run.sh v1 $dist_v1 target/headers/bin/python
}

c() {
    have "C tests" "${CC:-cc}" gcc "${CXX:-c++}" g++ || return
    build_both
    run "C and C++ on the .so and the .a" c_results tests/c/run.sh . $dist $dist/native-libs.txt
    run "C and C++ on those for Extism 1.x" c_results tests/c-v1/run.sh v1 $dist_v1 $dist_v1/native-libs.txt
}

valgrind() {
    have "valgrind" valgrind valgrind "${CC:-cc}" gcc || return
    build_both
    run "C under valgrind" c_results tests/c/run.sh --valgrind . $dist $dist/native-libs.txt
    # Those about memory. In others, traps leave the plugin's stack in a way that valgrind takes for invalid accesses.
    run "C for Extism 1.x under valgrind" c_results env ONLY="leaks stale user_data" TEST_ROUNDS=30 \
        tests/c-v1/run.sh --valgrind v1 $dist_v1 $dist_v1/native-libs.txt
    run "instructions of calls" one_test benches/gate.sh $dist 0
    run "instructions of calls for Extism 1.x" one_test benches/gate.sh $dist_v1 1
}

python() {
    have "Python SDK" python3 python3 readelf binutils || return
    build
    python_with "Python SDK" target/python tests/python/requirements.txt || return
    run "Python SDK" python_results env EXTISM_PATH="$PWD/$dist" EXTISM_TEST_PLUGIN=$plugin \
        target/python/bin/python tests/python/test_sdk.py

    # A new environment each time, so that the wheel is the one that was built now. `pip check` finds what the SDK's
    # package says about versions.
    build wheel
    run "wheel" python_results env EXTISM_TEST_WHEEL="$(ls target/wheels/*.whl)" EXTISM_TEST_BUILD=$dist_v1 \
        target/tools/wheel/bin/python tests/python-v1/test_wheel.py
    rm -rf target/python-v1
    python_with "Python SDK for Extism 1.x" target/python-v1 tests/python-v1/requirements.txt --require-hashes --no-deps ||
        return
    target/python-v1/bin/python -m pip install --quiet --disable-pip-version-check --no-index target/wheels/*.whl &&
        target/python-v1/bin/python -m pip check || exit 1
    run "Python SDK for Extism 1.x" python_results env EXTISM_TEST_PLUGIN=$plugin \
        target/python-v1/bin/python tests/python-v1/test_sdk.py
}

hosts() {
    build_both
    for host in python node go java ruby php; do
        subject="inside $host"
        case $host in
            python) have "$subject" python3 python3 ;;
            node) have "$subject" node nodejs npm npm ;;
            go) have "$subject" go golang-go "${CC:-cc}" gcc ;;
            java) have "$subject" javac default-jdk-headless && { [ -f "${JNA_JAR:-/usr/share/java/jna.jar}" ] ||
                { missing "$subject" JNA libjna-java; false; }; } ;;
            ruby) have "$subject" ruby ruby && { ruby -e 'require "ffi"' 2>/dev/null ||
                { missing "$subject" ffi ruby-ffi; false; }; } ;;
            php) have "$subject" php php-cli "${CC:-cc}" gcc && { php -r 'exit((int) !class_exists("FFI"));' ||
                { missing "$subject" FFI php-cli; false; }; } ;;
        esac || continue
        run "$subject" one_test tests/hosts/run.sh $host tests/hosts . $dist $plugin target/hosts/$host
        run "$subject for Extism 1.x" one_test tests/hosts/run.sh $host tests/hosts-v1 v1 $dist_v1 $plugin target/hosts-v1/$host
    done
}

install() {
    have "installation" pkg-config pkg-config readelf binutils "${CXX:-c++}" g++ || return
    run "make install" one_test packaging/test-make-install.sh
    build_both
    # The comparison runs the compiled plugins of the official PDK.
    "$make" --no-print-directory -C fixtures pdk >/dev/null || exit 1
    run "installation" one_test packaging/test-install.sh $dist $plugin
    run "installation for Extism 1.x" one_test env EXTISM_ABI=1 packaging/test-install.sh $dist_v1 $plugin
    run "comparison" one_test packaging/test-compare.sh $dist 0
    run "comparison for Extism 1.x" one_test packaging/test-compare.sh $dist_v1 1
    run "examples" one_test "$make" --no-print-directory example
    run "examples for Extism 1.x" c_results examples/v1/run.sh $dist_v1
}

for subject; do
    case $subject in
        rust | compilers | tool | models | fuzz | headers | c | valgrind | python | hosts | install) $subject ;;
        *) echo "$usage" >&2; exit 2 ;;
    esac
done

echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
