# The commands of this repository; `make` alone lists them. The first four need only Rust 1.95, make and a C compiler.

CARGO ?= cargo

# The directories of `make install`; DESTDIR is put before each of them.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include

# Which of Extism's C interfaces to build and install: 0 for 0.1.0, 1 for 1.x. Each is a library of its own, from its own
# package; cargo compiles what both share once.
ABI ?= 0
ifeq ($(ABI),0)
PACKAGE := extism-wasmer
CARGO_LIBRARY := target/release/libextism.a
HEADER := extism.h
SYMBOLS := packaging/symbols.txt
DIST ?= target/dist
HEADLESS_DIST := target/headless
EXAMPLES_DIR := c
EXAMPLES := $(patsubst examples/c/%.c,%,$(wildcard examples/c/*.c))
else ifeq ($(ABI),1)
PACKAGE := extism-wasmer-v1
CARGO_LIBRARY := target/release/libextism_v1.a
HEADER := v1/extism.h
SYMBOLS := v1/symbols.txt
DIST ?= target/dist/v1
HEADLESS_DIST := target/headless/v1
EXAMPLES_DIR := v1
EXAMPLES := count_vowels
else
$(error ABI is $(ABI), and has to be 0 or 1)
endif
# Of the C interface for ABI=1, of this library else. The file's name ends in it.
VERSION := $(shell packaging/version.sh $(ABI))
SONAME := libextism.so.$(firstword $(subst ., ,$(VERSION)))
# Features besides the default ones, such as `llvm,singlepass`; NO_DEFAULT=1 leaves out the default ones.
FEATURES ?=
NO_DEFAULT ?=
# `thin` for link-time optimisation.
LTO ?=
# The target of `make fuzz` and its seconds; the seconds of each target of `make fuzz-smoke`.
TARGET ?= rewrite
SECONDS ?= 30
SMOKE_SECONDS ?= 30
COUNT ?= 10000
# The tests of `make test`, by their names in `tests/run.sh`.
TESTS ?= rust tool models headers c python hosts install
ORDERS ?= 20000
THREAD_SECONDS ?= 60
CALLS ?= 1000000
# Fails if LLVM is missing, and says what to do.
llvm = test -x $${LLVM_SYS_221_PREFIX:-/usr/lib/llvm-22}/bin/llvm-config || \
    { echo "no LLVM 22: run 'make deps-llvm', or set LLVM_SYS_221_PREFIX" >&2; exit 1; }
CARGO_FEATURES := $(if $(NO_DEFAULT),--no-default-features) $(if $(FEATURES),--features $(FEATURES))
# The linker flags that the static library needs. The compiler writes the file, for each choice of features one.
space := $() $()
NATIVE_LIBS = target/release/native-libs-$(PACKAGE)$(subst $(space),,$(CARGO_FEATURES)).txt
# Tests, benchmarks and fuzz targets as one build, so that dependencies are built once: each alone has other features.
LIBRARIES := -p extism-wasmer -p extism-wasmer-v1
TESTED := -p extism-wasmer -p extism-wasmer-v1 -p extism-wasmer-capi -p extism-wasmer-core -p extism-benches -p extism-fuzz \
    -p extism-fuzz-v1
CARGO_TEST := $(CARGO) test --release --locked $(TESTED)
.NOTPARALLEL:

SOURCES := Cargo.toml Cargo.lock .cargo/config.toml $(wildcard build.rs cbindgen.toml */build.rs */cbindgen.toml) \
    $(foreach crate,capi core v1,$(crate)/Cargo.toml) $(shell find src capi core v1/src stubs -name '*.rs')
PLUGIN := fixtures/wasm/count_vowels.v0.wasm

# CC is not exported: if its value changes, cargo rebuilds every dependency that has C in it.
export CARGO DESTDIR PREFIX LIBDIR INCLUDEDIR
export EXTISM_ABI = $(ABI)

.PHONY: help build headless wheel tool compare example test test-rust test-compilers test-c test-valgrind test-python test-hosts test-install test-headers \
        bench bench-gate fuzz fuzz-smoke interrupts forks crowd latency soak models lint deny deps-llvm check-features header fixtures fixtures-big fixtures-pdk install uninstall clean compare-needs figures peers
.DELETE_ON_ERROR:

help: ## show this list
	@echo "libextism on Wasmer $(shell packaging/version.sh 0)"
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24
	@echo
	@echo "Variables: ABI=1 (build, headless, example, install, uninstall, compare, bench-gate: the library for Extism 1.x;"
	@echo "           without it, for 0.1.0. wheel is for 1.x always; header, figures and test are for both)"
	@echo "           PREFIX, LIBDIR, INCLUDEDIR, DESTDIR (install); NO_SKIP=1 (test: what is missing is an error)"
	@echo "           TESTS='c python' (test: those of tests/run.sh)"
	@echo "           FEATURES=llvm,singlepass, NO_DEFAULT=1, DIST=DIRECTORY (build, tool), LTO=thin (build), SUDO=sudo (deps-llvm)"
	@echo "           PEER=/path/to/libextism.so, COMPARE_FLAGS='--rounds 9 --workload call' (compare)"
	@echo "           COMPARED_V1='cranelift llvm' (compare ABI=1)"
	@echo "           CASES=call/echo (bench: those whose names contain it)"
	@echo "           TARGET=rewrite, SECONDS=600 (fuzz): $(FUZZ_TARGETS)"
	@echo "           SMOKE_SECONDS=30 (fuzz-smoke), COUNT=10000 (interrupts, forks, latency), CALLS=1000000 (soak)"
	@echo "           THREAD_SECONDS=60 (crowd), ORDERS=20000 (models)"

build: $(DIST)/libextism.so $(DIST)/extism.h ## build libextism.so and libextism.a, and copy extism.h, into target/dist, or target/dist/v1 for ABI=1

headless: ## build the library without compilers into target/headless, or target/headless/v1 for ABI=1
	$(MAKE) build NO_DEFAULT=1 DIST=$(HEADLESS_DIST)

wheel: target/tools/wheel/bin/python ## build a Python wheel of the library for Extism 1.x into target/wheels
	$(MAKE) build ABI=1 DIST=target/dist/v1
	target/tools/wheel/bin/python packaging/wheel/build.py target/dist/v1 v1/extism.h target/wheels

target/tools/wheel/bin/python: packaging/wheel/requirements.txt
	python3 -m venv --clear target/tools/wheel
	$@ -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

tool: ## build the command-line tool into target/dist
	@$(if $(findstring llvm,$(FEATURES)),$(llvm))
	$(CARGO) build --release --locked -p extism-wasmer-cli $(if $(FEATURES),--features $(FEATURES))
	@mkdir -p $(DIST)
	cp target/release/extism-wasmer $(DIST)/

example: build $(EXAMPLES:%=$(DIST)/%) ## build the library and the examples, and run some
ifeq ($(ABI),0)
	examples/c/manifest.sh $(DIST)/manifest $(PLUGIN)
else
	examples/v1/run.sh $(DIST)
endif
	$(DIST)/count_vowels $(PLUGIN)
	@echo
	@echo "The library works. Try next:"
	@echo "  $(DIST)/count_vowels $(PLUGIN) 'any text'"
	@echo "  make tool            # a command that calls, inspects and compiles plugins"
ifeq ($(ABI),0)
	@echo "  sudo make install    # for programs of your own, such as examples/c/count_vowels.c: README.md, \"Link it\""
else
	@echo "  sudo make install ABI=1    # for programs of your own, such as examples/v1/count_vowels.c: README.md, \"Link it\""
endif

test: ## run every test; what an optional one needs and does not find is named
	tests/run.sh $(TESTS)

test-rust: ## the Rust tests alone
	tests/run.sh rust tool

test-compilers: ## the Rust tests on every compiler, and without one on the code of each (needs deps-llvm)
	tests/run.sh compilers

test-c: ## the C and C++ tests alone, against the .so and the .a
	tests/run.sh c

test-headers: ## compilers and other languages' parsers on both headers
	tests/run.sh headers

test-valgrind: ## the C tests under valgrind, and the instructions of calls
	tests/run.sh valgrind

test-python: ## the official Python SDK on the library
	tests/run.sh python

test-hosts: ## traps, timeouts, host functions and the like inside Python, Node.js, Go, Java, Ruby and PHP
	tests/run.sh hosts

test-install: ## install into a temporary root and build the examples there
	tests/run.sh install

interrupts: ## stop COUNT=10000 calls at random moments
	EXTISM_CACHE_DIR= EXTISM_TEST_INTERRUPTS=$(COUNT) $(CARGO_TEST) $(if $(FEATURES),--features $(FEATURES)) --test suite -- --exact --nocapture stop::moments::at_any_moment

forks: ## fork COUNT=10000 processes while threads do anything with plugins
	EXTISM_CACHE_DIR= EXTISM_TEST_FORKS=$(COUNT) $(CARGO_TEST) $(if $(FEATURES),--features $(FEATURES)) --test suite -- --exact --nocapture \
	    forks::while_threads_do_anything

crowd: ## 64 threads that do anything to one context, then to plugins of the 1.x library, each for THREAD_SECONDS=60
	EXTISM_CACHE_DIR= EXTISM_TEST_CROWD_SECONDS=$(THREAD_SECONDS) $(CARGO_TEST) --test suite --test suite-v1 -- --exact \
	    --nocapture crowd::sixty_four_threads

latency: ## how late COUNT=10000 calls are stopped, and what it costs to be able to (on an idle machine)
	EXTISM_CACHE_DIR= EXTISM_TEST_LATENCY=$(COUNT) $(CARGO_TEST) $(if $(FEATURES),--features $(FEATURES)) --test suite -- --nocapture --test-threads=1 latency::

soak: ## CALLS=1000000 calls of all kinds on 8 threads, after which the process has what it had before
	EXTISM_CACHE_DIR= EXTISM_TEST_SOAK=$(CALLS) $(CARGO_TEST) --test suite -- --exact --nocapture \
	    soak::nothing_is_left_behind

models: ## try what threads may do to each other: registry and plugins in 2 * ORDERS=20000 orders, stopping in all
	SHUTTLE_SILENCE_WARNINGS= $(CARGO) run --release --locked -p extism-models --bin model-registry -- $(ORDERS)
	SHUTTLE_SILENCE_WARNINGS= $(CARGO) run --release --locked -p extism-models --bin model-plugin-v1 -- $(ORDERS)
	$(CARGO) run --release --locked -p extism-models --bin model-interrupt

bench: ## measure each step on a plugin's way: parse, rewrite, compile, new, call
	$(CARGO) bench --locked $(TESTED) --bench phases -- $(CASES)

FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs fuzz-v1/fuzz_targets/*.rs)))
# `--examples`, of which there are none, gives dependencies the features of the tests, so that they are built once.
FUZZ_BUILD = RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/fuzz/instrument.sh $(CARGO) build --release --locked $(TESTED) --examples \
    $(if $(FEATURES),--features $(FEATURES))
# A minute for one input, 8 GiB of memory, and inputs of up to 4096 bytes from the start.
FUZZ_FLAGS := -timeout=60 -rss_limit_mb=8192 -max_len=4096 -len_control=0
# Fills an empty corpus with random files of three lengths.
fuzz_seed = mkdir -p $(1); test -n "$$(ls -A $(1))" || for length in 100 1000 3000; do \
    head -c $$length /dev/urandom >$(1)/$$length; done

# Starts from the corpus of the last run, and writes inputs that fail beside it.
fuzz: ## fuzz TARGET for SECONDS; each file of fuzz/fuzz_targets and fuzz-v1/fuzz_targets begins with what must hold
	@$(if $(findstring llvm,$(FEATURES)),$(llvm))
	$(FUZZ_BUILD) --bin $(TARGET)
	@$(call fuzz_seed,target/fuzz/$(TARGET))
	target/release/$(TARGET) -max_total_time=$(SECONDS) $(FUZZ_FLAGS) -artifact_prefix=target/fuzz/$(TARGET)- target/fuzz/$(TARGET)

# Each target starts from a new corpus.
fuzz-smoke: ## fuzz with every target for SMOKE_SECONDS, until one finds something
	@$(if $(findstring llvm,$(FEATURES)),$(llvm))
	$(FUZZ_BUILD) --bins
	@rm -rf target/fuzz/smoke
	@for target in $(FUZZ_TARGETS); do \
	    corpus=target/fuzz/smoke/$$target; \
	    $(call fuzz_seed,$$corpus); \
	    target/release/$$target -max_total_time=$(SMOKE_SECONDS) $(FUZZ_FLAGS) -artifact_prefix=target/fuzz/$$target- $$corpus \
	        >$$corpus.log 2>&1 || { tail -n 40 $$corpus.log; \
	        echo "make fuzz-smoke: $$target has found something; all of it is in $$corpus.log" >&2; exit 1; }; \
	    echo "$$target:" $$(grep '^Done' $$corpus.log; grep '^Compilers' $$corpus.log); \
	done

lint: ## rustfmt and clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --exclude extism-models --all-targets --locked -- -D warnings
	$(CARGO) clippy --release -p extism-models --locked -- -D warnings
	$(CARGO) clippy --release $(LIBRARIES) --lib --locked --no-default-features --features cranelift -- -D warnings
	$(CARGO) clippy --release $(LIBRARIES) --lib --locked --no-default-features -- -D warnings
	$(CARGO) clippy --release --lib --test suite --locked --no-default-features --features wasi,http -- -D warnings

deps-llvm: ## install LLVM 22 from Debian's packages, for the feature llvm
	$(SUDO) apt-get install -y --no-install-recommends llvm-22-dev libpolly-22-dev zlib1g-dev libzstd-dev

check-features: ## check that each compiler, all, and none build, with and without WASI and HTTP
	packaging/check-features.sh

deny: target/tools/bin/cargo-deny ## check licences and sources of the dependencies
	$< --workspace --all-features check licenses bans sources

# Without advisories, whose database is a git repository that not every machine reaches; `cargo deny check` has them.
target/tools/bin/cargo-deny:
	$(CARGO) install --quiet --debug --locked --root target/tools --target-dir target/tools/build cargo-deny@0.20.2

header: ## write extism.h and v1/extism.h anew from the functions
	@$(CARGO) build --release --locked $(LIBRARIES)
	@for library in 'extism-wasmer extism.h' 'extism-wasmer-v1 v1/extism.h'; do \
	    set -- $$library; \
	    cp "$$($(CARGO) build --release --locked -p $$1 --message-format=json 2>/dev/null | grep "#$$1@" \
	        | sed -n 's/.*"EXTISM_HEADER","\([^"]*\)".*/\1/p' | tail -n 1)" $$2 || exit; \
	    echo "$$2 is fresh"; \
	done

fixtures: ## build the test plugins anew (clang-19, lld-19, wasi-libc)
	$(MAKE) -C fixtures fixtures

fixtures-big: ## build SQLite and QuickJS as plugins
	$(MAKE) -C fixtures big

fixtures-pdk: ## fetch the plugins that come compiled with the official PDK
	$(MAKE) -C fixtures pdk

bench-gate: build ## count the instructions of calls, and compare with benches/gate.txt (needs valgrind)
	benches/gate.sh $(DIST) $(or $(ABI),0) $(if $(UPDATE),--update)

# Builds nothing, so that root installs just the library that `make build` has made, with its features.
install: ## install what `make build` has built: header, libraries and pkg-config files
	packaging/install.sh install $(DIST)

uninstall: ## remove what `make install` has installed
	packaging/install.sh uninstall

clean: ## remove what was built
	$(CARGO) clean

# The comparison: one library for each compiler and one without, built as they are shipped, and the peers. For ABI=1, the
# library for Extism 1.x with the default compiler, or those of COMPARED_V1, and Extism 1.41.0, which is fetched.

COMPARED := cranelift llvm singlepass headless
COMPARED_V1 ?= cranelift
# Names of the peers as the tables show them, and where compare/peers.sh puts them.
EXTISM_1 := --peer 'Extism 1.41.0=target/peers/extism_sys/libextism_sys.so'
PEERS := --peer 'Extism 0.1.0=target/peers/old/target/release/libextism_old.so' $(EXTISM_1) \
    --peer 'wasmtime=target/peers/wasmtime/linux-x86_64/_libwasmtime.so'

ifeq ($(ABI),1)
compare: fixtures-pdk $(COMPARED_V1:%=target/compare/v1/%/libextism.so) target/compare/v1/driver
	compare/peers.sh 1.x
	$(CARGO) run --release --locked -p extism-compare -- --abi 1 --libraries target/compare/v1 $(EXTISM_1) $(PEER:%=--peer %) $(COMPARE_FLAGS)
else
compare: compare-needs $(COMPARED:%=target/compare/%/libextism.so) target/compare/driver fixtures-big fixtures-pdk ## run the same workloads on every compiler (needs deps-llvm), or for ABI=1 on our library for Extism 1.x and on Extism 1.41.0; PEER=/path/to/libextism.so adds others
	$(CARGO) run --release --locked -p extism-compare -- --libraries target/compare $(PEER:%=--peer %) $(COMPARE_FLAGS)
endif

figures: peers ## run the comparisons with the peers, and write the tables in the documents from them (on an idle machine)
	$(MAKE) compare ABI=0 COMPARE_FLAGS="$(PEERS) $(COMPARE_FLAGS)"
	$(CARGO) run --release --locked -p extism-compare -- --write-pages target/compare/compare.json
	$(MAKE) compare ABI=1
	$(CARGO) run --release --locked -p extism-compare -- --write-pages target/compare/v1/compare.json

peers: ## fetch Extism 1.41.0 and wasmtime, and build Extism 0.1.0, into target/peers
	compare/peers.sh

# Checks for tools before the first library is built, which takes minutes.
compare-needs:
	@$(llvm)
	@$(MAKE) --no-print-directory -q -C fixtures big || $(MAKE) --no-print-directory -C fixtures tools

target/compare/headless/libextism.so: $(SOURCES)
	$(MAKE) build ABI=0 DIST=$(@D) NO_DEFAULT=1 FEATURES=wasi,http

target/compare/v1/headless/libextism.so: $(SOURCES)
	$(MAKE) build ABI=1 DIST=$(@D) NO_DEFAULT=1 FEATURES=wasi,http

target/compare/v1/%/libextism.so: $(SOURCES)
	@$(if $(findstring llvm,$*),$(llvm))
	$(MAKE) build ABI=1 DIST=$(@D) NO_DEFAULT=1 FEATURES=$*,wasi,http

target/compare/%/libextism.so: $(SOURCES)
	@$(if $(findstring llvm,$*),$(llvm))
	$(MAKE) build ABI=0 DIST=$(@D) NO_DEFAULT=1 FEATURES=$*,wasi,http

target/compare/driver target/compare/v1/driver: $(wildcard compare/*.c) compare/driver.h
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -O2 $(filter %.c,$^) -ldl -o $@

# The library
#
# Cargo builds a static library. `packaging/static-library.sh` makes the one that is shipped of it, whose only global
# symbols are the functions of its header. The shared library is linked from that, with a version script. (Cargo's own
# cdylib would export symbols of dependencies.)
#
# Each of our own crates is compiled as one unit (Cargo.toml), so that the functions on a call's path are inlined.
# Link-time optimisation (LTO=thin) takes six minutes more, and saves none of a call's instructions.

$(DIST)/libextism.a: $(SOURCES) $(DIST)/features packaging/static-library.sh $(SYMBOLS)
	@$(if $(findstring llvm,$(FEATURES)),$(llvm))
	@test -d target/release/deps || echo "The first build compiles Wasmer: about 5 minutes on two cores, and 1.3 GB of disk. Later ones take a minute."
	packaging/progress.sh $(CARGO) rustc --release --locked -p $(PACKAGE) --lib --crate-type staticlib $(CARGO_FEATURES) -- \
	    $(if $(LTO),-C lto=$(LTO) -C embed-bitcode=yes) --print native-static-libs=$(NATIVE_LIBS)
	@cp $(NATIVE_LIBS) $(DIST)/native-libs.txt
	packaging/static-library.sh $(CARGO_LIBRARY) $@ $(SYMBOLS)

# Holds the features of the last build, and changes when others are given.
$(DIST)/features: FORCE
	@mkdir -p $(DIST)
	@echo '$(CARGO_FEATURES)' | cmp -s - $@ || echo '$(CARGO_FEATURES)' >$@

FORCE:

$(DIST)/libextism.map: $(SYMBOLS) packaging/version-script.sh
	@mkdir -p $(DIST)
	packaging/version-script.sh $(SYMBOLS) >$@

$(DIST)/libextism.so: $(DIST)/libextism.a $(DIST)/libextism.map
	$(CC) -shared -o $(DIST)/libextism.so.$(VERSION) -Wl,--whole-archive $(DIST)/libextism.a -Wl,--no-whole-archive \
	    -Wl,--gc-sections -Wl,--strip-debug -Wl,--version-script=$(DIST)/libextism.map -Wl,-soname,$(SONAME) \
	    -Wl,-z,relro,-z,now,-z,nodelete -Wl,-z,defs $$(cat $(DIST)/native-libs.txt)
	ln -sf libextism.so.$(VERSION) $(DIST)/$(SONAME)
	ln -sf $(SONAME) $@
	cp $(DIST)/features $(DIST)/built

# SDKs look for the header beside the library.
$(DIST)/extism.h: $(HEADER)
	@mkdir -p $(DIST)
	@cp $< $@

$(DIST)/%: examples/$(EXAMPLES_DIR)/%.c $(HEADER) $(DIST)/libextism.so
	$(CC) -std=c11 -Wall -Wextra -Wpedantic -Werror -O2 -pthread -I$(dir $(HEADER)) $< -L$(DIST) -lextism \
	    -Wl,-rpath,'$$ORIGIN' -o $@
