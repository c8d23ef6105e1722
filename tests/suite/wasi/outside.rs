//! Ways out of the directories that plugins may use: `..`, absolute paths, links of the host and of the plugin.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::REACTORS;
use super::files::{text, with_paths};
use super::probe::{CHANGES, DIRECTORIES, TRANSFERS, attempt, attempt_anew, probe, snapshot};
use crate::host::{Context, Plugin};

/// A directory `in` that a plugin may use, beside one `out` that it may not, with links between them.
struct Neighbours {
    folder: tempfile::TempDir,
    /// The contents outside before any attempt.
    before: BTreeMap<String, (String, i64)>,
}

const SECRET: &str = "the secret";

/// Gives a file or directory a time that every change replaces.
fn set_old(path: &Path) {
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::open(path).and_then(|file| file.set_modified(old)).expect("it is ours");
}

impl Neighbours {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut neighbours = Self { folder, before: BTreeMap::new() };
        neighbours.repair();
        neighbours.before = neighbours.outside();
        neighbours
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn inside(&self) -> PathBuf {
        self.path().join("in")
    }

    /// Makes all files and directories anew.
    fn repair(&self) {
        for entry in fs::read_dir(self.path()).expect("readable") {
            let path = entry.expect("readable").path();
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
        for folder in ["in/sub", "out/deep"] {
            fs::create_dir_all(self.path().join(folder)).expect("writable");
        }
        for file in ["out/secret", "out/deep/secret", "in-secret", "secret"] {
            fs::write(self.path().join(file), SECRET).expect("writable");
            set_old(&self.path().join(file));
        }
        symlink(SECRET, self.path().join("out/link")).expect("writable");
        for folder in ["out/deep", "out"] {
            set_old(&self.path().join(folder));
        }
        self.restore();
    }

    /// Undoes the changes that a plugin may have made inside.
    fn restore(&self) {
        let inside = self.inside();
        let out = self.path().join("out");
        for taken in ["own", "taken", "sub/taken", "made_link"] {
            let _ = fs::remove_file(inside.join(taken));
            let _ = fs::remove_dir_all(inside.join(taken));
        }
        fs::create_dir_all(inside.join("sub")).expect("writable");
        fs::write(inside.join("own"), "own").expect("writable");
        let links = [
            ("file", "../out/secret".into()),
            ("directory", "../out".into()),
            ("absolute", out.join("secret")),
            ("absolute_directory", out),
            ("parent", "..".into()),
            ("two_steps", "directory/deep/secret".into()),
            ("sub/up", "../../out".into()),
            ("sub/file", "../../out/secret".into()),
            ("dangling", "../made".into()),
        ];
        for (name, target) in links {
            if fs::read_link(inside.join(name)).ok().as_ref() != Some(&target) {
                let _ = fs::remove_file(inside.join(name));
                let _ = fs::remove_dir_all(inside.join(name));
                symlink(target, inside.join(name)).expect("writable");
            }
        }
    }

    /// The contents outside of `in`.
    fn outside(&self) -> BTreeMap<String, (String, i64)> {
        let inside = format!("{}/", text(&self.inside()));
        let mut found = snapshot(self.path());
        found.retain(|path, _| !path.starts_with(&inside));
        // The times of the two directories themselves do not show a change outside.
        for name in [self.path(), &self.inside()] {
            if let Some(found) = found.get_mut(text(name)) {
                found.1 = 0;
            }
        }
        found
    }

    /// Paths that lead outside, or try to, as seen from the mapped directory.
    fn ways_out(&self) -> Vec<String> {
        let absolute = text(self.path());
        let ways = [
            "../out/secret",
            "../out/link",
            "../secret",
            "../in-secret",
            "../in/../out/secret",
            "sub/../../out/secret",
            "sub/../../../../../../../../../etc/hostname",
            "./.././out/secret",
            "..//out//secret",
            "-secret",
            "file",
            "directory/secret",
            "directory/link",
            "directory/deep/secret",
            "directory/../out/secret",
            "directory",
            "absolute",
            "absolute_directory/secret",
            "parent/out/secret",
            "parent/out/link",
            "parent/secret",
            "parent",
            "two_steps",
            "sub/up/secret",
            "sub/up/../out/secret",
            "sub/file",
            "dangling",
            "..",
            "../made",
            "directory/made",
            "parent/made",
            "/etc/hostname",
            "/proc/self/environ",
        ];
        let own = ["/out/secret", "/out/link", "/secret", "/out", "/made", "/in/file", ""]
            .map(|rest| format!("{absolute}{rest}"));
        ways.into_iter().map(str::to_owned).chain(own).collect()
    }
}

/// Descriptions of the ways by which a plugin got out.
#[derive(Default)]
struct Escapes(Vec<String>);

impl Escapes {
    /// Records whether a plugin has seen or changed files outside, and repairs them.
    fn look(&mut self, neighbours: &Neighbours, plugin: Plugin<'_>, what: impl Fn() -> String) {
        if String::from_utf8_lossy(&plugin.output()).contains(SECRET) {
            self.0.push(format!("{} shows the secret", what()));
        }
        // Contents brought inside are as bad as contents shown.
        for (path, (contents, _)) in snapshot(&neighbours.inside()) {
            if contents == SECRET {
                self.0.push(format!("{} brings the secret to {path}", what()));
                neighbours.repair();
            }
        }
        let outside = neighbours.outside();
        if outside != neighbours.before {
            let changed: Vec<_> =
                outside.iter().filter(|(path, found)| neighbours.before.get(*path) != Some(found)).collect();
            let lost: Vec<_> = neighbours.before.keys().filter(|path| !outside.contains_key(*path)).collect();
            self.0.push(format!("{} changes {changed:?}, removes {lost:?}", what()));
            neighbours.repair();
        }
        neighbours.restore();
    }

    fn check(&self) {
        let first: Vec<_> = self.0.iter().take(40).map(String::as_str).collect();
        assert!(first.is_empty(), "{} ways out, such as\n{}", self.0.len(), first.join("\n"));
    }
}

#[test]
fn nothing_outside_is_reachable() {
    find_ways_out(attempt);
}

/// Earlier actions of an instance can open or close ways.
#[test]
fn nothing_outside_is_reachable_for_new_instances() {
    find_ways_out(attempt_anew);
}

fn find_ways_out(attempt: fn(Plugin<'_>, &str, u8, &str, &str) -> i32) {
    let mut escapes = Escapes::default();
    for (guest, prefixes) in [("/mnt", ["", "mnt/", "/mnt/", "mnt/sub/../"]), ("/", ["", "/", "sub/../", "./"])] {
        let neighbours = Neighbours::new();
        let context = Context::new();
        let inside = neighbours.inside();
        let plugin = probe(&context, &[(text(&inside), guest)]);
        for directory in DIRECTORIES {
            for path in neighbours.ways_out().iter().flat_map(|way| prefixes.map(|prefix| format!("{prefix}{way}"))) {
                let changes = CHANGES.into_iter().chain(["read", "list", "readlink"]);
                let changes = changes.map(|operation| (operation, path.clone(), "own".to_owned()));
                let moves = ["", prefixes[1]].into_iter().flat_map(|prefix| {
                    let [own, taken] = ["own", "sub/taken"].map(|name| format!("{prefix}{name}"));
                    [("rename", own, path.clone()), ("rename", path.clone(), taken)]
                });
                for (operation, first, second) in changes.chain(moves) {
                    let code = attempt(plugin, operation, directory, &first, &second);
                    let what = || format!("{guest}: {operation} of {directory} {first:?} {second:?} ({code})");
                    escapes.look(&neighbours, plugin, what);
                }
            }
        }
    }
    escapes.check();
}

/// Links that a plugin makes itself do not lead outside.
#[test]
fn links_of_a_plugin_do_not_lead_outside() {
    let mut escapes = Escapes::default();
    for (guest, prefixes) in [("/mnt", ["mnt/", "/mnt/"]), ("/", ["", "/"])] {
        let neighbours = Neighbours::new();
        let context = Context::new();
        let inside = neighbours.inside();
        let plugin = probe(&context, &[(text(&inside), guest)]);
        for (directory, prefix) in [(3, ""), (3, prefixes[0]), (3, prefixes[1]), (4, ""), (4, prefixes[1])] {
            for way in neighbours.ways_out() {
                for transfer in TRANSFERS {
                    let link = format!("{prefix}made_link");
                    for second in [way.clone(), format!("{prefix}{way}")] {
                        let made = attempt(plugin, transfer, directory, &link, &second);
                        for operation in ["read", "list", "write", "create", "rename"] {
                            for path in [link.clone(), format!("{link}/secret")] {
                                let code = attempt(plugin, operation, directory, &path, "sub/taken");
                                escapes.look(&neighbours, plugin, || {
                                    format!("{guest}: {directory} {transfer} ({made}) to {second:?}, {operation} of {path} ({code})")
                                });
                            }
                        }
                        attempt(plugin, "unlink", directory, &link, "");
                        let _ = fs::remove_file(inside.join("made_link"));
                    }
                }
            }
        }
    }
    escapes.check();
}

/// Compiled plugins, which use libc, find no way out either.
#[test]
fn plugins_find_no_way_out() {
    let mut escapes = Escapes::default();
    let neighbours = Neighbours::new();
    let inside = neighbours.inside();
    for reactor in REACTORS {
        let context = Context::new();
        let plugin = with_paths(&context, reactor, [(text(&inside), "/mnt")]);
        for way in neighbours.ways_out() {
            for path in [format!("/mnt/{way}"), way] {
                for (function, more) in [
                    ("read_file", ""),
                    ("list_dir", ""),
                    ("write_file", "\0x"),
                    ("append_file", "\0x"),
                    ("mkdir", ""),
                    ("remove", ""),
                    ("rename", "\0/mnt/taken"),
                    ("rename", "\0/mnt/sub/taken"),
                ] {
                    let code = plugin.call_only(function, format!("{path}{more}").as_bytes());
                    escapes.look(&neighbours, plugin, || format!("{reactor}: {function} {path:?} ({code})"));
                }
            }
        }
    }
    escapes.check();
}
