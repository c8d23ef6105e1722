//! Code in the cache that is not used: of other machines and versions, damaged, or in files that others could have
//! written.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{directory, files, in_child, number, reseal, run};
use crate::child;
use crate::compilers::usable;
use crate::host::Context;
use crate::log::{LogFile, warnings};

/// Code for another library or machine is not used, whatever its file is called.
#[test]
fn foreign_code_is_not_run() {
    let changes: [(&str, fn(&mut Value)); 6] = [
        ("settings", |header| header["settings"] = json!("extism-wasmer 0.0.1, wasmer 7.4.1")),
        ("target", |header| header["target"] = json!("aarch64-linux")),
        ("cpu", |header| header["cpu"] = json!(["sse2", "sse99"])),
        ("module", |header| header["module"] = json!("0".repeat(64))),
        ("blake3", |header| header["blake3"] = json!("0".repeat(64))),
        ("no cpu", |header| drop(header.as_object_mut().expect("an object").remove("cpu"))),
    ];
    let Some(case) = child::case() else {
        for (name, _) in changes {
            let folder = tempfile::tempdir().expect("a folder");
            in_child("refused::foreign_code_is_not_run", name, folder.path());
        }
        return;
    };
    assert_eq!(run(number(1)), 1);
    let kept = files(&directory());
    let (_, change) = changes.into_iter().find(|(name, _)| *name == case).expect("a case");
    for file in kept.keys() {
        reseal(file, change);
    }
    let warnings = warnings(|| assert_eq!(run(number(1)), 1));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(files(&directory()), kept, "it was compiled, and kept, again");
}

#[test]
fn names_of_other_machines_and_versions_are_left_alone() {
    let Some(_) = child::case() else {
        let folder = tempfile::tempdir().expect("a folder");
        return in_child("refused::names_of_other_machines_and_versions_are_left_alone", "", folder.path());
    };
    assert_eq!(run(number(1)), 1);
    let kept = files(&directory());
    let (file, sealed) = kept.first_key_value().expect("one");
    let name = file.file_name().and_then(OsStr::to_str).expect("a name");
    let [compiler, settings, target] = [0, 1, 2].map(|place| name.split('-').nth(place).expect("a part"));
    for other in [
        name.replace(settings, "0123456789abcdef"),
        name.replace(target, "aarch64"),
        format!("{name}+sse99"),
        name.replace(compiler, "gcc"),
    ] {
        fs::remove_file(file).expect("there");
        let other = file.with_file_name(other);
        fs::write(&other, sealed).expect("writable");
        let log = LogFile::new("debug");
        assert_eq!(run(number(1)), 1);
        assert!(log.messages().iter().any(|line| line.contains("does not fit here")), "{other:?}");
        assert_eq!(files(&directory()).len(), 2);
        fs::remove_file(other).expect("still there");
    }
}

/// A flipped bit in an artifact, in each byte before the code and in many bytes of the code.
#[test]
fn damaged_code_is_not_run() {
    const TEST: &str = "refused::damaged_code_is_not_run";
    const IN_THE_CODE: usize = 1000;
    let Some(case) = child::case() else {
        for compiler in usable() {
            let folder = tempfile::tempdir().expect("a folder");
            in_child(TEST, compiler.name(), folder.path());
        }
        return;
    };
    assert!(crate::host::choose_compiler(Some(&case)));
    let context = Context::new();
    let module = "(module (memory 1) (data (i32.const 0) \"\\2a\") (func (export \"run\") (result i32) (i32.load8_u (i32.const 0))))";
    let answer = |context: &Context| context.plugin(module).call_only("run", b"");
    assert_eq!(answer(&context), 42);
    let kept = files(&directory());
    let (file, sealed) = kept.first_key_value().expect("one");
    let header = 12 + u32::from_le_bytes(sealed[8..12].try_into().expect("four bytes")) as usize;
    let step = (sealed.len() - header) / IN_THE_CODE;
    assert!(step >= 1, "{} bytes are too few", sealed.len());
    let places = (0..header).chain((header..sealed.len()).step_by(step));
    let log = LogFile::new("warn");
    let mut count = 0;
    for place in places {
        let mut damaged = sealed.clone();
        damaged[place] ^= 1 << (place % 8);
        fs::write(file, damaged).expect("writable");
        let plugin = context.plugin(module);
        assert_eq!(plugin.call_only("run", b""), 42, "byte {place}");
        plugin.free();
        count += 1;
        // The artifact was not used but compiled anew.
        assert!(fs::read(file).expect("there") == *sealed, "byte {place}");
    }
    let messages = log.messages();
    assert!(count >= IN_THE_CODE + 12 && messages.len() == count, "{count} {}", messages.len());
    assert!(messages.iter().all(|line| line.ends_with("damaged, not used")));
    for length in [0, 1, 7, 12, header - 1, header, sealed.len() / 2, sealed.len() - 1] {
        fs::write(file, &sealed[..length]).expect("writable");
        assert_eq!(answer(&context), 42, "{length} bytes");
    }
}

/// An artifact that is intact, and still cannot be loaded, is compiled anew.
#[test]
fn what_wasmer_refuses_is_made_anew() {
    let Some(_) = child::case() else {
        let folder = tempfile::tempdir().expect("a folder");
        return in_child("refused::what_wasmer_refuses_is_made_anew", "", folder.path());
    };
    assert_eq!(run(number(1)), 1);
    let kept = files(&directory());
    for (file, sealed) in &kept {
        let code = 12 + u32::from_le_bytes(sealed[8..12].try_into().expect("four bytes")) as usize;
        let mut nonsense = sealed[..code].to_vec();
        nonsense.extend([0; 200]);
        nonsense.extend(blake3::hash(&nonsense).as_bytes());
        fs::write(file, nonsense).expect("writable");
    }
    let warned = warnings(|| assert_eq!(run(number(1)), 1));
    assert!(warned.len() == 1 && warned[0].ends_with("it is not used"), "{warned:?}");
    assert_eq!(files(&directory()), kept);
}

/// An artifact that others could have written, or that is no regular file, is not used.
#[test]
fn files_that_are_not_taken() {
    let changes: [(&str, fn(&Path)); 6] = [
        ("writable by all", |file| fs::set_permissions(file, fs::Permissions::from_mode(0o606)).expect("ours")),
        ("writable by the group", |file| fs::set_permissions(file, fs::Permissions::from_mode(0o620)).expect("ours")),
        ("a link", |file| {
            let target = file.ancestors().nth(3).expect("the cache").join("elsewhere");
            fs::rename(file, &target).expect("ours");
            symlink(target, file).expect("writable");
        }),
        ("a directory", |file| {
            fs::remove_file(file).expect("ours");
            fs::create_dir(file).expect("writable");
        }),
        ("a FIFO", |file| {
            fs::remove_file(file).expect("ours");
            assert!(Command::new("mkfifo").arg(file).status().expect("coreutils").success());
        }),
        ("of another user", |file| {
            // Only root can give it away.
            if std::os::unix::fs::chown(file, Some(12345), None).is_err() {
                fs::set_permissions(file, fs::Permissions::from_mode(0o666)).expect("ours");
            }
        }),
    ];
    let Some(case) = child::case() else {
        for (name, _) in changes {
            let folder = tempfile::tempdir().expect("a folder");
            in_child("refused::files_that_are_not_taken", name, folder.path());
        }
        return;
    };
    assert_eq!(run(number(1)), 1);
    let file = files(&directory()).into_keys().next().expect("one");
    let (_, change) = changes.into_iter().find(|(name, _)| *name == case).expect("a case");
    change(&file);
    let warned = warnings(|| assert_eq!(run(number(1)), 1));
    assert!(!warned.is_empty() && warned[0].contains("/modules/"), "{warned:?}");
}

/// A file in place of a module's directory, or a directory in place of its link, is a miss and a line in the log.
#[test]
fn other_things_in_place_of_directories_and_links() {
    let Some(case) = child::case() else {
        for case in ["modules", "by-blake3"] {
            let folder = tempfile::tempdir().expect("a folder");
            in_child("refused::other_things_in_place_of_directories_and_links", case, folder.path());
        }
        return;
    };
    assert_eq!(run(number(1)), 1);
    let mut entries = fs::read_dir(directory().join(&case)).expect("it was kept");
    let place = entries.next().expect("one module").expect("readable").path();
    if case == "modules" {
        fs::remove_dir_all(&place).expect("ours");
        fs::write(&place, "no directory").expect("writable");
    } else {
        fs::remove_file(&place).expect("ours");
        fs::create_dir(&place).expect("writable");
    }
    let warned = warnings(|| assert_eq!(run(number(1)), 1));
    // The first line is about looking the code up. Lines about keeping it may follow.
    assert!(warned.first().is_some_and(|line| line.contains(&place.display().to_string())), "{warned:?}");
}
