//! Code that is kept and used again: of each compiler, of linked modules, and with the names of the manifest.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::json;

use super::{directory, files, in_child, number, reseal, run};
use crate::child;
use crate::compilers::usable;
use crate::host::{Context, base64, sha256};
use crate::linking::modules;
use crate::log::warnings;

#[test]
fn code_is_kept_and_found_again() {
    let Some(_) = child::case() else {
        let folder = tempfile::tempdir().expect("a folder");
        // The directories above are made too.
        return in_child("kept::code_is_kept_and_found_again", "", &folder.path().join("deep/cache"));
    };
    let cache = directory();
    for (count, compiler) in usable().into_iter().enumerate() {
        let manifest = |module: &str| {
            let (mut data, hash) = (String::new(), sha256(module.as_bytes()));
            base64(module.as_bytes(), &mut data);
            let entry = json!({"data": data, "hash": hash});
            json!({"wasm": [entry], "compiler": compiler.name()}).to_string()
        };
        assert_eq!(run(manifest(&number(1))), 1);
        let kept = files(&cache);
        assert_eq!(kept.len(), count + 1, "{compiler:?}");
        let names: Vec<_> = kept.keys().filter_map(|path| path.file_name()?.to_str()).collect();
        assert!(names.iter().any(|name| name.starts_with(compiler.name())), "{names:?}");
        let bare = manifest(&number(1)).replace("hash", "unknown");
        for _ in 0..3 {
            assert_eq!([run(manifest(&number(1))), run(&bare)], [1, 1]);
        }
        assert_eq!(files(&cache), kept, "{compiler:?}: nothing new is kept");
        let modes = [cache.clone(), cache.join("modules"), cache.join("by-blake3")];
        for path in modes.iter().chain(kept.keys()) {
            let mode = fs::metadata(path).expect("there").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }
}

/// Code does come from the cache: a text that is no module has some there.
#[test]
fn what_is_in_the_cache_is_not_compiled() {
    let Some(_) = child::case() else {
        let folder = tempfile::tempdir().expect("a folder");
        return in_child("kept::what_is_in_the_cache_is_not_compiled", "", folder.path());
    };
    let disguised = "(not a module)";
    assert_eq!(run(number(1)), 1);
    // The header names the module, so that code is not used for another one by mistake.
    disguise(&directory(), disguised.as_bytes(), &number(1));
    let warnings = warnings(|| drop(Context::new().refusal(disguised)));
    assert!(warnings.len() == 1 && warnings[0].ends_with("not what its name says, not used"), "{warnings:?}");
    // Code with the right header is used, although its module is none.
    let cache = directory();
    for file in files(&cache).keys() {
        reseal(file, |header| {
            header["module"] = json!(sha256(disguised.as_bytes()));
            header["blake3"] = json!(blake3::hash(disguised.as_bytes()).to_hex().to_string());
        });
    }
    assert_eq!(run(disguised), 1);
}

/// Gives `disguised`, which no compiler can compile, the code of another module in the cache.
fn disguise(cache: &Path, disguised: &[u8], as_code_of: &str) {
    let hashes = |bytes: &[u8]| (sha256(bytes), blake3::hash(bytes).to_hex().to_string());
    let ((wrong, wrong_blake3), (right, _)) = (hashes(disguised), hashes(as_code_of.as_bytes()));
    fs::rename(cache.join("modules").join(right), cache.join("modules").join(&wrong)).expect("it is there");
    symlink(wrong, cache.join("by-blake3").join(wrong_blake3)).expect("writable");
}

#[test]
fn linked_modules_have_code_of_their_own() {
    let Some(_) = child::case() else {
        let folder = tempfile::tempdir().expect("a folder");
        return in_child("kept::linked_modules_have_code_of_their_own", "", folder.path());
    };
    // The same module alone and as a library needs code of its own for each: host functions are inlined only in one of
    // them, and LLVM compiles the two differently.
    let library = "(module (memory 1) (data (i32.const 0) \"\\2a\") (func (export \"run\") (result i32) (i32.load8_u (i32.const 0))))";
    let main = "(module (import \"lib\" \"run\" (func $run (result i32))) (export \"run\" (func $run)))";
    for compiler in usable() {
        assert!(crate::host::choose_compiler(Some(compiler.name())));
        for _ in 0..2 {
            assert_eq!(run(library), 42, "{compiler:?}");
            assert_eq!(run(modules([("lib", library), ("main", main)])), 42, "{compiler:?}");
            // Under another name, and as a part of another plugin.
            let other = main.replace("lib", "other");
            assert_eq!(run(modules([("other", library), ("zmain", &other)])), 42, "{compiler:?}");
        }
        let of_library = fs::read_dir(directory().join("modules").join(sha256(library.as_bytes()))).expect("there");
        let names: Vec<_> = of_library.map(|entry| entry.expect("readable").file_name()).collect();
        let own = names.iter().filter(|name| name.to_string_lossy().starts_with(compiler.name())).count();
        assert_eq!(own, 2, "{names:?}");
    }
}

/// The names in a backtrace are those of the manifest, whatever name the module had when it was compiled.
#[test]
fn backtraces_have_the_names_of_the_manifest() {
    let Some(_) = child::case() else {
        let folder = tempfile::tempdir().expect("a folder");
        return in_child("kept::backtraces_have_the_names_of_the_manifest", "", folder.path());
    };
    let library = "(module (func $fails (export \"run\") (unreachable)))";
    let main = "(module (import \"lib\" \"run\" (func $run)) (func $calls (export \"run\") (call $run)))";
    for names in [["lib", "main"], ["other", "main"]] {
        let main = main.replace("lib", names[0]);
        let context = Context::new();
        let answer = context.plugin(modules([(names[0], library), (names[1], &main)])).call("run", "");
        let expected = format!("0: {}!fails [0]\n        1: main!calls [1]", names[0]);
        assert!(answer.error().contains(&expected), "{}", answer.error());
    }
}
