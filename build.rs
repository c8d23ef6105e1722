//! Generates `extism.h` from `src/ffi` into `OUT_DIR`. `make header` copies it to the root, where it is committed; a
//! test compares the two. Also hands `src/engine` the versions of the crates that make machine code.

use std::env;
use std::fs;
use std::path::PathBuf;

/// The crates whose versions determine the machine code of modules, each with the environment variable for its version.
const CODE: [(&str, &str); 4] = [
    ("WASMER_VERSION", "wasmer"),
    ("CRANELIFT_VERSION", "cranelift-codegen"),
    ("LLVM_SYS_VERSION", "llvm-sys"),
    ("SINGLEPASS_VERSION", "wasmer-compiler-singlepass"),
];

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = fs::read_to_string("Cargo.lock").unwrap_or_default();
    for (variable, name) in CODE {
        let after = lock.split_once(&format!("\nname = \"{name}\"\nversion = \""));
        let version = after.and_then(|(_, after)| after.split('"').next()).unwrap_or("unknown");
        println!("cargo::rustc-env={variable}={version}");
    }
    println!("cargo::rerun-if-changed=src/ffi");
    println!("cargo::rerun-if-changed=cbindgen.toml");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let header = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("extism.h");
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let mut builder = cbindgen::Builder::new().with_config(config);
    // In the order of the header: upstream's functions as upstream has them, then this library's own.
    for source in ["context", "plugin", "log", "compiler", "cancel"] {
        builder = builder.with_src(root.join(format!("src/ffi/{source}.rs")));
    }
    builder.generate().expect("src/ffi can be read").write_to_file(&header);
    println!("cargo::rustc-env=EXTISM_HEADER={}", header.display());
}
