//! Places of the downloads that are full, refused or read-only: modules are fetched all the same.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::{DIR, ONE, by_url, kept, load, serving, with_hash};
use crate::child;
use crate::log::warnings;
use crate::server::{Server, answer};

/// Files of more than 100 blocks of 512 bytes cannot be written, as on a full disk.
#[test]
fn on_a_full_disk_the_module_is_used_and_not_kept() {
    const TEST: &str = "http::downloads::places::on_a_full_disk_the_module_is_used_and_not_kept";
    let long = format!("{ONE}{}", " ".repeat(100_000));
    if child::case().is_some() {
        let url = std::env::var("URL").expect("the parent sets it");
        let cache = PathBuf::from(std::env::var_os(DIR).expect("the parent sets it"));
        for entry in [by_url(&url), with_hash(&url, &long)] {
            assert_eq!(load(&entry), Ok(1));
            assert!(kept(&cache, "modules").is_empty() && kept(&cache, "addresses").is_empty());
        }
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(move |_| answer("200 OK", &[], &long));
    let child = child::command(TEST, "load");
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh"])
        .arg(child.get_program())
        .args(child.get_args());
    command.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let status = command.env(DIR, folder.path()).env("URL", server.url("/")).status().expect("there is a shell");
    assert!(status.success());
    assert_eq!(server.seen().len(), 2);
}

/// A file system of one block, and one that is read-only: the module is fetched each time, and runs.
#[test]
fn where_nothing_can_be_written_modules_are_fetched() {
    const TEST: &str = "http::downloads::places::where_nothing_can_be_written_modules_are_fetched";
    if child::case().is_some() {
        let url = std::env::var("URL").expect("the parent sets it");
        let warned = warnings(|| assert_eq!((load(&by_url(&url)), load(&with_hash(&url, ONE))), (Ok(1), Ok(1))));
        let expected = std::env::var("EXPECTED").expect("the parent sets it");
        assert!(warned.iter().any(|line| line.contains(&expected)), "{warned:?}");
        return;
    }
    for (options, expected) in [
        ("mode=700,size=4k,nr_inodes=2", "No space left on device"),
        ("mode=700,size=4k,nr_inodes=4", "No space left on device"),
        ("mode=700,ro", "Read-only file system"),
    ] {
        let server = serving(ONE);
        let url = server.url("/");
        let folder = tempfile::tempdir().expect("a folder");
        let variables = [(DIR, folder.path().as_ref()), ("URL", url.as_ref()), ("EXPECTED", expected.as_ref())];
        let ran = child::mounted(TEST, "mounted", (folder.path(), options), &variables);
        assert_eq!(server.seen().len(), if ran { 2 } else { 0 }, "{options}");
    }
}

/// Cache directories that are refused: the module is fetched all the same, and nothing is written.
#[test]
fn places_that_are_not_used() {
    const TEST: &str = "http::downloads::places::places_that_are_not_used";
    if child::case().is_some() {
        let url = std::env::var("URL").expect("the parent sets it");
        let warned = warnings(|| {
            assert_eq!(load(&by_url(&url)), Ok(1));
            assert_eq!(load(&with_hash(&url, ONE)), Ok(1));
        });
        let expected = std::env::var("EXPECTED").expect("the parent sets it");
        assert!(warned.iter().any(|line| line.contains(&expected)), "{warned:?}");
        return;
    }
    let directory = |path: &Path, mode: u32| {
        fs::create_dir_all(path).expect("writable");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    };
    let foreign = |path: &Path| {
        directory(path, 0o700);
        // Only root can give it away; elsewhere the modes of the other cases must do.
        std::os::unix::fs::chown(path, Some(12345), None).is_ok()
    };
    let cases: [(&str, &str, &dyn Fn(&Path) -> bool); 6] = [
        ("a link", "not used", &|path| {
            directory(&path.with_file_name("target"), 0o700);
            symlink(path.with_file_name("target"), path).is_ok()
        }),
        ("a file", "not used", &|path| fs::write(path, "").is_ok()),
        ("writable by all", "others can write", &|path| {
            directory(path, 0o777);
            true
        }),
        ("another's", "belongs to user 12345", &foreign),
        ("another's downloads", "belongs to user 12345", &|path| {
            directory(path, 0o700);
            foreign(&path.join("downloads"))
        }),
        ("a link for downloads", "downloads` is not used", &|path| {
            directory(path, 0o700);
            directory(&path.with_file_name("target"), 0o700);
            symlink(path.with_file_name("target"), path.join("downloads")).is_ok()
        }),
    ];
    for (name, expected, make) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cache");
        if !make(&path) {
            continue;
        }
        let server = serving(ONE);
        let url = server.url("/");
        child::run(TEST, name, &[(DIR, path.as_os_str()), ("URL", url.as_ref()), ("EXPECTED", expected.as_ref())]);
        assert_eq!(server.seen().len(), 2, "{name}");
        let target = folder.path().join("target");
        assert!(!target.exists() || fs::read_dir(target).expect("readable").next().is_none(), "{name}");
    }
}

/// A cache that another program has filled can be read where nothing can be written.
#[test]
fn a_read_only_cache_serves() {
    const TEST: &str = "http::downloads::places::a_read_only_cache_serves";
    if child::case().is_some() {
        let url = std::env::var("URL").expect("the parent sets it");
        assert_eq!(load(&with_hash(&url, ONE)), Ok(1));
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = serving(ONE);
    let url = server.url("/");
    let variables = [(DIR, folder.path().as_os_str()), ("URL", url.as_ref())];
    child::run(TEST, "fill", &variables);
    let all = ["", "downloads", "downloads/modules", "downloads/locks"].map(|name| folder.path().join(name));
    let mode =
        |mode| all.iter().for_each(|path| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours"));
    mode(0o555);
    drop(server);
    child::run(TEST, "use", &variables);
    mode(0o755);
}
