//! Generates `extism.h` from `src/ffi` and `capi/src/ffi` into `OUT_DIR`. `make header` copies it to the root, where it is committed; a
//! test compares the two.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=src/ffi");
    println!("cargo::rerun-if-changed=capi/src/ffi");
    println!("cargo::rerun-if-changed=cbindgen.toml");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let header = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("extism.h");
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let mut builder = cbindgen::Builder::new().with_config(config).with_after_include(version_macros());
    // In the order of the header: upstream's functions as upstream has them, then this library's own.
    for source in [
        "capi/src/ffi/types.rs",
        "src/ffi/context.rs",
        "src/ffi/plugin.rs",
        "src/ffi/log.rs",
        "capi/src/ffi/compiler.rs",
        "src/ffi/cancel.rs",
        "capi/src/ffi/version.rs",
        "capi/src/ffi/function.rs",
        "capi/src/ffi/current_plugin.rs",
    ] {
        builder = builder.with_src(root.join(source));
    }
    builder.generate().expect("src/ffi can be read").write_to_file(&header);
    println!("cargo::rustc-env=EXTISM_HEADER={}", header.display());
}

/// One line each, as parsers of other languages read this header too.
fn version_macros() -> String {
    let parts = ["MAJOR", "MINOR", "PATCH"].map(|part| {
        let number = env::var(format!("CARGO_PKG_VERSION_{part}")).expect("cargo sets it");
        format!("#define EXTISM_WASMER_VERSION_{part} {number}\n")
    });
    format!("\n/* The version of libextism on Wasmer that this header belongs to. */\n{}", parts.concat())
}
