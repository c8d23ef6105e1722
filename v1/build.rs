//! Generates `extism.h` from `src/ffi` and `capi/src/ffi` into `OUT_DIR`. `make header` copies it beside this file, where it
//! is committed; a test compares the two.

use std::env;
use std::path::PathBuf;

/// In the order of the header: upstream's functions, then this library's own.
const SOURCES: &[&str] = &[
    "capi/src/ffi/types.rs",
    "v1/src/ffi/plugin.rs",
    "v1/src/ffi/compiled_plugin.rs",
    "v1/src/ffi/settings.rs",
    "v1/src/ffi/call.rs",
    "v1/src/ffi/output.rs",
    "v1/src/ffi/cancel.rs",
    "capi/src/ffi/function.rs",
    "capi/src/ffi/current_plugin.rs",
    "v1/src/ffi/log.rs",
    "v1/src/ffi/version.rs",
    "capi/src/ffi/compiler.rs",
    "capi/src/ffi/version.rs",
];

/// The macros of Extism's header. One line each, as some parsers of C skip lines that begin with `#`, and no more.
const MACROS: &str = "
/* What `extism_plugin_call` returns for success. */
#define EXTISM_SUCCESS 0

/* The type of parameters and results that are handles of blocks. */
#define EXTISM_PTR ExtismValType_I64

/* Declares the function N as one for `extism_function_new`. */
#define EXTISM_FUNCTION(N) extern void N(ExtismCurrentPlugin *, const ExtismVal *, ExtismSize, ExtismVal *, ExtismSize, void *)

/* The same with the types that cgo gives to a function that Go exports. */
#define EXTISM_GO_FUNCTION(N) extern void N(void *, ExtismVal *, ExtismSize, ExtismVal *, ExtismSize, uintptr_t)
";

fn main() {
    println!("cargo::rerun-if-changed=src/ffi");
    println!("cargo::rerun-if-changed=../capi/src/ffi");
    println!("cargo::rerun-if-changed=cbindgen.toml");
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = folder.parent().expect("the package is a folder of the repository");
    let header = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("extism.h");
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let macros = version_macros() + MACROS;
    let mut builder = cbindgen::Builder::new().with_config(config).with_after_include(macros);
    for source in SOURCES {
        builder = builder.with_src(root.join(source));
    }
    builder.generate().expect("the sources can be read").write_to_file(&header);
    println!("cargo::rustc-env=EXTISM_HEADER={}", header.display());
}

fn version_macros() -> String {
    let parts = ["MAJOR", "MINOR", "PATCH"].map(|part| {
        let number = env::var(format!("CARGO_PKG_VERSION_{part}")).expect("cargo sets it");
        format!("#define EXTISM_WASMER_VERSION_{part} {number}\n")
    });
    format!("\n/* The version of libextism on Wasmer that this header belongs to. */\n{}", parts.concat())
}
