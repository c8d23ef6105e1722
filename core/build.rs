//! Hands the versions of the crates that make machine code to `src/compiler`: they are part of the cache's keys.

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
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let lock = root.join("../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let lock = fs::read_to_string(&lock).unwrap_or_else(|error| panic!("{}: {error}", lock.display()));
    for (variable, name) in CODE {
        let after = lock.split_once(&format!("\nname = \"{name}\"\nversion = \""));
        let version = after.and_then(|(_, after)| after.split('"').next()).expect("Cargo.lock names all of them");
        println!("cargo::rustc-env={variable}={version}");
    }
}
