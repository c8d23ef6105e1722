//! The cache of compiled code. Every test has a cache and a process of its own. Tests learn from the log where code
//! comes from: a module that is compiled under another compiler's name looks the same otherwise.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::child;
use crate::compilers::usable;
use crate::host::{Context, base64, sha256};
use crate::linking::modules;
use crate::log::{LogFile, warnings};

const DIR: &str = "EXTISM_CACHE_DIR";

/// Runs `test` again, with its cache at `path`.
fn child(test: &str, case: &str, path: &Path) {
    child::run(&format!("store::{test}"), case, &[(DIR, path.as_os_str())]);
}

fn store() -> PathBuf {
    std::env::var_os(DIR).expect("the parent sets it").into()
}

/// The files of a cache, with their contents.
fn files(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let modules = fs::read_dir(store.join("modules")).into_iter().flatten();
    for module in modules.map(|entry| entry.expect("readable").path()) {
        for file in fs::read_dir(module).expect("readable").map(|entry| entry.expect("readable").path()) {
            found.insert(file.clone(), fs::read(file).expect("readable"));
        }
    }
    found
}

/// A plugin that answers `number`, so that no two are alike.
fn number(number: u32) -> String {
    format!("(module (func (export \"run\") (result i32) (i32.const {number})))")
}

fn run(module: impl AsRef<[u8]>) -> i32 {
    Context::new().plugin(module).call_only("run", b"")
}

/// Gives `disguised`, which no compiler can compile, the code of another module in the cache.
fn disguise(store: &Path, disguised: &[u8], as_code_of: &str) {
    let hashes = |bytes: &[u8]| (sha256(bytes), blake3::hash(bytes).to_hex().to_string());
    let ((wrong, wrong_blake3), (right, _)) = (hashes(disguised), hashes(as_code_of.as_bytes()));
    fs::rename(store.join("modules").join(right), store.join("modules").join(&wrong)).expect("it is there");
    symlink(wrong, store.join("by-blake3").join(wrong_blake3)).expect("writable");
}

#[test]
fn code_is_kept_and_found_again() {
    let Some(_) = child::case() else {
        let folder = tempfile::tempdir().expect("a folder");
        // The directories above are made too.
        return child("code_is_kept_and_found_again", "", &folder.path().join("deep/store"));
    };
    let store = store();
    for (count, compiler) in usable().into_iter().enumerate() {
        let manifest = |module: &str| {
            let (mut data, hash) = (String::new(), sha256(module.as_bytes()));
            base64(module.as_bytes(), &mut data);
            let entry = json!({"data": data, "hash": hash});
            json!({"wasm": [entry], "compiler": compiler.name()}).to_string()
        };
        assert_eq!(run(manifest(&number(1))), 1);
        let kept = files(&store);
        assert_eq!(kept.len(), count + 1, "{compiler:?}");
        let names: Vec<_> = kept.keys().filter_map(|path| path.file_name()?.to_str()).collect();
        assert!(names.iter().any(|name| name.starts_with(compiler.name())), "{names:?}");
        let bare = manifest(&number(1)).replace("hash", "unknown");
        for _ in 0..3 {
            assert_eq!([run(manifest(&number(1))), run(&bare)], [1, 1]);
        }
        assert_eq!(files(&store), kept, "{compiler:?}: nothing new is kept");
        let modes = [store.clone(), store.join("modules"), store.join("by-blake3")];
        for path in modes.iter().chain(kept.keys()) {
            let mode = fs::metadata(path).expect("there").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }
}

/// Code does come from the cache: a text that is no module has some there.
#[test]
fn what_is_in_the_store_is_not_compiled() {
    let Some(_) = child::case() else {
        let folder = tempfile::tempdir().expect("a folder");
        return child("what_is_in_the_store_is_not_compiled", "", folder.path());
    };
    let disguised = "(not a module)";
    assert_eq!(run(number(1)), 1);
    // The header names the module, so that code is not used for another one by mistake.
    disguise(&store(), disguised.as_bytes(), &number(1));
    let warnings = warnings(|| drop(Context::new().refusal(disguised)));
    assert!(warnings.len() == 1 && warnings[0].ends_with("not what its name says, not used"), "{warnings:?}");
    // Code with the right header is used, although its module is none.
    let store = store();
    for file in files(&store).keys() {
        reseal(file, |header| {
            header["module"] = json!(sha256(disguised.as_bytes()));
            header["blake3"] = json!(blake3::hash(disguised.as_bytes()).to_hex().to_string());
        });
    }
    assert_eq!(run(disguised), 1);
}

/// Changes an artifact's header, and seals the artifact again.
fn reseal(file: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let sealed = fs::read(file).expect("readable");
    let length = u32::from_le_bytes(sealed[8..12].try_into().expect("four bytes")) as usize;
    let mut header = serde_json::from_slice(&sealed[12..12 + length]).expect("JSON");
    change(&mut header);
    let mut text = serde_json::to_vec(&header).expect("JSON");
    text.resize((12 + text.len()).next_multiple_of(64) - 12, b' ');
    let mut changed = sealed[..8].to_vec();
    changed.extend((text.len() as u32).to_le_bytes());
    changed.extend(text);
    changed.extend(&sealed[12 + length..sealed.len() - 32]);
    changed.extend(blake3::hash(&changed).as_bytes());
    fs::write(file, changed).expect("writable");
}

/// Code for another library or machine is not used, whatever its file is called.
#[test]
fn foreign_code_is_not_run() {
    let changes: [(&str, fn(&mut serde_json::Value)); 6] = [
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
            child("foreign_code_is_not_run", name, folder.path());
        }
        return;
    };
    assert_eq!(run(number(1)), 1);
    let kept = files(&store());
    let (_, change) = changes.into_iter().find(|(name, _)| *name == case).expect("a case");
    for file in kept.keys() {
        reseal(file, change);
    }
    let warnings = warnings(|| assert_eq!(run(number(1)), 1));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(files(&store()), kept, "it was compiled, and kept, again");
}

#[test]
fn names_of_other_machines_and_versions_are_left_alone() {
    let Some(_) = child::case() else {
        let folder = tempfile::tempdir().expect("a folder");
        return child("names_of_other_machines_and_versions_are_left_alone", "", folder.path());
    };
    assert_eq!(run(number(1)), 1);
    let kept = files(&store());
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
        assert_eq!(files(&store()).len(), 2);
        fs::remove_file(other).expect("still there");
    }
}

/// Plugins work without the cache if it must not be used, or cannot be.
#[test]
fn places_that_are_not_used() {
    let cases: [(&str, fn(&Path) -> PathBuf, &str); 9] = [
        (
            "writable by all",
            |folder| with_mode(folder.join("store"), 0o777),
            "others can write to the directory (mode 777)",
        ),
        ("writable by the group", |folder| with_mode(folder.join("store"), 0o770), "others can write"),
        (
            "a link",
            |folder| {
                let target = with_mode(folder.join("target"), 0o700);
                symlink(target, folder.join("store")).expect("writable");
                folder.join("store")
            },
            "symbolic link, which is not followed",
        ),
        (
            "a link with a slash",
            |folder| {
                let target = with_mode(folder.join("target"), 0o700);
                symlink(target, folder.join("store")).expect("writable");
                folder.join("store/")
            },
            "symbolic link, which is not followed",
        ),
        (
            "a file",
            |folder| {
                fs::write(folder.join("store"), "").expect("writable");
                folder.join("store")
            },
            "",
        ),
        (
            "below a file",
            |folder| {
                fs::write(folder.join("store"), "").expect("writable");
                folder.join("store/store")
            },
            "",
        ),
        (
            "inside writable by all",
            |folder| {
                with_mode(folder.join("store/modules"), 0o777);
                with_mode(folder.join("store"), 0o700)
            },
            "others can write",
        ),
        (
            "a link inside",
            |folder| {
                let store = with_mode(folder.join("store"), 0o700);
                symlink(with_mode(folder.join("target"), 0o700), store.join("modules")).expect("writable");
                store
            },
            "symbolic link, which is not followed",
        ),
        (
            "of another user",
            |folder| {
                let store = with_mode(folder.join("store"), 0o700);
                // Only root can give it away; others get a directory of root's, to which they cannot write.
                if std::os::unix::fs::chown(&store, Some(12345), None).is_err() { PathBuf::from("/") } else { store }
            },
            "",
        ),
    ];
    if child::case().is_some() {
        let warned = warnings(|| assert_eq!(run(number(1)), 1));
        let expected = std::env::var("EXPECTED").expect("the parent sets it");
        assert!(!warned.is_empty() && warned.iter().all(|line| line.contains(&expected)), "{warned:?}");
        return;
    }
    for (name, make, expected) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let path = make(folder.path());
        let variables: [(&str, &OsStr); 2] = [(DIR, path.as_os_str()), ("EXPECTED", expected.as_ref())];
        child::run("store::places_that_are_not_used", name, &variables);
        assert!(files(&folder.path().join("target")).is_empty() && files(&path).is_empty(), "{name}");
    }
}

fn with_mode(path: PathBuf, mode: u32) -> PathBuf {
    fs::create_dir_all(&path).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
    path
}

/// A cache that can only be read is read.
#[test]
fn a_read_only_store() {
    const TEST: &str = "a_read_only_store";
    match child::case().as_deref() {
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            child(TEST, "fill", folder.path());
            let all: Vec<_> = files(folder.path()).into_keys().collect();
            let directories = ["", "modules", "by-blake3"].map(|name| folder.path().join(name));
            let module = all[0].parent().expect("a directory").to_owned();
            for directory in directories.iter().chain([&module]) {
                fs::set_permissions(directory, fs::Permissions::from_mode(0o555)).expect("ours");
            }
            child(TEST, "use", folder.path());
            for directory in directories.iter().chain([&module]) {
                fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("ours");
            }
        }
        Some("fill") => assert_eq!(run(number(1)), 1),
        Some(_) => assert_eq!(warnings(|| assert_eq!(run(number(1)), 1)), [""; 0]),
    }
}

#[test]
fn it_is_off_if_the_variable_is_empty() {
    let Some(_) = child::case() else {
        let folder = tempfile::tempdir().expect("a folder");
        let variables: [(&str, &OsStr); 3] =
            [(DIR, "".as_ref()), ("XDG_CACHE_HOME", folder.path().as_ref()), ("HOME", folder.path().as_ref())];
        child::run("store::it_is_off_if_the_variable_is_empty", "", &variables);
        return assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0);
    };
    assert_eq!(warnings(|| assert_eq!(run(number(1)), 1)), [""; 0]);
}

/// Without the variable, the cache is in the user's cache directory. (Cargo sets the variable for all tests.)
#[test]
fn where_it_is_without_the_variable() {
    const TEST: &str = "store::where_it_is_without_the_variable";
    if child::case().is_some() {
        return assert_eq!(run(number(1)), 1);
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (variable, place) in [("XDG_CACHE_HOME", "extism-wasmer"), ("HOME", ".cache/extism-wasmer")] {
        let mut process = child::command(TEST, "use");
        process.env_remove(DIR).env_remove("XDG_CACHE_HOME").env("HOME", "/nonexistent").env(variable, folder.path());
        assert!(process.status().expect("the tests can be run again").success());
        assert_eq!(files(&folder.path().join(place)).len(), 1, "{variable}");
    }
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    const TEST: &str = "what_was_not_used_for_longest_goes_first";
    const MAX: &str = "EXTISM_CACHE_MAX_BYTES";
    let case = child::case();
    match case.as_deref() {
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            child(TEST, "fill", folder.path());
            let all = files(folder.path());
            let size: usize = all.values().map(Vec::len).sum();
            // All were used long ago, each a day after the one before, in the order of their numbers.
            for number in 0..10_u32 {
                let used = SystemTime::now() - Duration::from_secs(86_400 * u64::from(20 - number));
                for file in all.keys().filter(|file| file.starts_with(place(folder.path(), number))) {
                    fs::File::open(file).and_then(|file| file.set_modified(used)).expect("ours");
                }
            }
            let max = (size - size / 20).to_string();
            let variables = |max: &str| [(DIR, folder.path().as_os_str().to_owned()), (MAX, max.into())];
            let run = |case: &str, max: &str| {
                let variables = variables(max);
                let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
                child::run(&format!("store::{TEST}"), case, &variables);
            };
            run("use the first, make one more", &max);
            let left: Vec<_> = (0..11).filter(|number| place(folder.path(), *number).is_dir()).collect();
            assert!(left.contains(&0) && left.contains(&10), "those just used stay: {left:?}");
            assert!(!left.contains(&1) && !left.contains(&2) && left.len() >= 6, "the oldest go: {left:?}");
            let aliases = fs::read_dir(folder.path().join("by-blake3")).expect("there").count();
            assert_eq!(aliases, left.len());
            run("more than fits", "100");
            assert!(!place(folder.path(), 11).exists());
            run("nonsense", "1 GB");
        }
        Some("fill") => (0..10).for_each(|it| assert_eq!(run(number(it)), it as i32)),
        Some("more than fits") => assert!(warnings(|| assert_eq!(run(number(11)), 11))[0].contains(MAX)),
        Some("nonsense") => {
            let error = Context::new().refusal(number(12));
            assert_eq!(error, format!("{MAX}: `1 GB` is not a number of bytes"));
        }
        Some(_) => assert_eq!([run(number(0)), run(number(10))], [0, 10]),
    }
}

/// The directory of the code of [`number`].
fn place(store: &Path, of: u32) -> PathBuf {
    store.join("modules").join(sha256(number(of).as_bytes()))
}

#[test]
fn linked_modules_have_code_of_their_own() {
    let Some(_) = child::case() else {
        let folder = tempfile::tempdir().expect("a folder");
        return child("linked_modules_have_code_of_their_own", "", folder.path());
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
        let of_library = fs::read_dir(store().join("modules").join(sha256(library.as_bytes()))).expect("there");
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
        return child("backtraces_have_the_names_of_the_manifest", "", folder.path());
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

/// A flipped bit in an artifact, in each byte before the code and in many bytes of the code.
#[test]
fn damaged_code_is_not_run() {
    const TEST: &str = "damaged_code_is_not_run";
    const IN_THE_CODE: usize = 1000;
    let Some(case) = child::case() else {
        for compiler in usable() {
            let folder = tempfile::tempdir().expect("a folder");
            child(TEST, compiler.name(), folder.path());
        }
        return;
    };
    assert!(crate::host::choose_compiler(Some(&case)));
    let context = Context::new();
    let module = "(module (memory 1) (data (i32.const 0) \"\\2a\") (func (export \"run\") (result i32) (i32.load8_u (i32.const 0))))";
    let answer = |context: &Context| context.plugin(module).call_only("run", b"");
    assert_eq!(answer(&context), 42);
    let kept = files(&store());
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
        return child("what_wasmer_refuses_is_made_anew", "", folder.path());
    };
    assert_eq!(run(number(1)), 1);
    let kept = files(&store());
    for (file, sealed) in &kept {
        let code = 12 + u32::from_le_bytes(sealed[8..12].try_into().expect("four bytes")) as usize;
        let mut nonsense = sealed[..code].to_vec();
        nonsense.extend([0; 200]);
        nonsense.extend(blake3::hash(&nonsense).as_bytes());
        fs::write(file, nonsense).expect("writable");
    }
    let warned = warnings(|| assert_eq!(run(number(1)), 1));
    assert!(warned.len() == 1 && warned[0].ends_with("it is not used"), "{warned:?}");
    assert_eq!(files(&store()), kept);
}

/// An artifact that others could have written, or that is no regular file, is not used.
#[test]
fn files_that_are_not_taken() {
    let changes: [(&str, fn(&Path)); 6] = [
        ("writable by all", |file| fs::set_permissions(file, fs::Permissions::from_mode(0o606)).expect("ours")),
        ("writable by the group", |file| fs::set_permissions(file, fs::Permissions::from_mode(0o620)).expect("ours")),
        ("a link", |file| {
            let target = file.ancestors().nth(3).expect("the store").join("elsewhere");
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
            child("files_that_are_not_taken", name, folder.path());
        }
        return;
    };
    assert_eq!(run(number(1)), 1);
    let file = files(&store()).into_keys().next().expect("one");
    let (_, change) = changes.into_iter().find(|(name, _)| *name == case).expect("a case");
    change(&file);
    let warned = warnings(|| assert_eq!(run(number(1)), 1));
    assert!(!warned.is_empty() && warned[0].contains("/modules/"), "{warned:?}");
}

/// Many processes that find the cache full at the same moment trim it once, not once each.
#[test]
fn processes_that_make_room_at_once() {
    const TEST: &str = "processes_that_make_room_at_once";
    const FILLED: u32 = 600;
    match child::case().as_deref() {
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            child(TEST, "fill", folder.path());
            let size: usize = files(folder.path()).values().map(Vec::len).sum();
            // All find it full at the same moment.
            let moment = (now() + Duration::from_millis(1500)).as_millis();
            let started: Vec<_> = (0..24)
                .map(|process| {
                    let case = format!("{} {moment}", FILLED + process);
                    let mut command = child::command(&format!("store::{TEST}"), &case);
                    command.env(DIR, folder.path()).env("EXTISM_CACHE_MAX_BYTES", (size - 100).to_string());
                    command.spawn().expect("the tests can be run again")
                })
                .collect();
            for mut process in started {
                assert!(process.wait().expect("ours").success());
            }
            let left = files(folder.path()).len();
            assert!(left > FILLED as usize * 8 / 10, "{left} of {FILLED} are left");
        }
        Some("fill") => (0..FILLED).for_each(|it| assert_eq!(run(number(it)), it as i32)),
        Some(case) => {
            let (it, moment) = case.split_once(' ').expect("two numbers");
            let moment = Duration::from_millis(moment.parse().expect("a number"));
            std::thread::sleep(moment.saturating_sub(now()));
            assert_eq!(run(number(it.parse().expect("a number"))).to_string(), it);
        }
    }
}

/// The time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later")
}

/// Many processes fill an empty cache at once, and are killed at any moment.
#[test]
fn processes_that_are_killed_leave_a_store_that_works() {
    const TEST: &str = "processes_that_are_killed_leave_a_store_that_works";
    const ROUNDS: u64 = 4;
    const PROCESSES: u64 = 200;
    const MODULES: u32 = 100;
    match child::case().as_deref() {
        None => {
            let mut interrupted = 0;
            for round in 0..ROUNDS {
                let folder = tempfile::tempdir().expect("a folder");
                // All at once; in later rounds some at a time, so that most are killed in the middle of their work.
                let at_once = if round == 0 { PROCESSES } else { 20 };
                for batch in 0..PROCESSES / at_once {
                    let started: Vec<_> = (0..at_once)
                        .map(|_| {
                            let mut process = child::command(&format!("store::{TEST}"), "fill");
                            process.env(DIR, folder.path()).spawn().expect("the tests can be run again")
                        })
                        .collect();
                    let there = || fs::read_dir(folder.path().join("modules")).map_or(0, Iterator::count);
                    // The first ones are killed as soon as there is some code; the others at once, in the middle, or
                    // after their end.
                    while batch == 0 && there() < 2 {
                        std::thread::yield_now();
                    }
                    for (index, mut process) in started.into_iter().enumerate() {
                        if batch > 0 {
                            std::thread::sleep(Duration::from_millis((index as u64 * 7 + batch * 3 + round * 13) % 20));
                        }
                        process.kill().expect("ours");
                        process.wait().expect("ours");
                    }
                    interrupted += usize::from(batch == 0 && there() < MODULES as usize);
                }
                let temporary = |path: &&PathBuf| path.to_string_lossy().contains("/.new-");
                interrupted += files(folder.path()).keys().filter(temporary).count();
                child(TEST, "look", folder.path());
                child(TEST, "fill", folder.path());
                assert_eq!(fs::read_dir(folder.path().join("modules")).expect("there").count(), MODULES as usize);
            }
            assert!(interrupted > 0, "nobody was killed in the middle of {ROUNDS} rounds");
        }
        Some("look") => {
            // All code in the cache is whole: nothing is damaged, and each module gives its answer.
            let there = |it: &u32| place(&store(), *it).is_dir();
            let warned = warnings(|| (0..MODULES).filter(there).for_each(|it| assert_eq!(run(number(it)), it as i32)));
            assert_eq!(warned, [""; 0]);
        }
        Some(_) => (0..MODULES).for_each(|it| {
            assert_eq!(run(number(it)), it as i32);
            // Gives every run a middle to be killed in, however fast the compiler is.
            std::thread::sleep(Duration::from_millis(1));
        }),
    }
}
