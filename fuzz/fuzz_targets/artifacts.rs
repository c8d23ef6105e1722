//! Damage in the cache of compiled code is a miss: whatever happens to its files and links, the plugins are made and
//! answer correctly.
//!
//! The damage is not malicious: anyone who can write to the cache can run code. Damaged artifacts are not sealed anew.
#![no_main]

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arbitrary::{Arbitrary, Result, Unstructured};
use extism_fuzz::environment;
use extism_testkit::host::{Context, manifest, sha256};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: fill(), |damages: Damages| {
    let (cache, whole) = CACHE.get().expect("it is filled");
    restore(cache, whole);
    for damage in &damages.0 {
        // Damage that earlier damage makes impossible is skipped.
        let _ = damage.do_in(cache, whole);
    }
    check();
    // A miss that could be kept must be a hit here.
    check();
    let _ = fs::set_permissions(cache, Permissions::from_mode(0o700));
    fs::remove_dir_all(cache).expect("it can be removed");
});

/// The cache's path, and its undamaged entries.
static CACHE: OnceLock<(PathBuf, Vec<(PathBuf, Entry)>)> = OnceLock::new();

/// An entry of the cache.
#[derive(Debug, Clone)]
enum Entry {
    File(Vec<u8>),
    Link(PathBuf),
}

/// Makes the cache, with undamaged code.
fn fill() {
    let cache = std::env::temp_dir().join(format!("extism-fuzz-artifacts-{}", std::process::id()));
    // Nothing is kept in memory, so that the cache is read each time.
    environment::isolate(&[("EXTISM_CACHE_DIR", cache.clone().into()), ("EXTISM_CACHE_MEMORY_BYTES", "0".into())]);
    check();
    let mut whole = Vec::new();
    collect(&cache, &cache, &mut whole).expect("the cache can be read");
    assert_eq!(whole.len(), 2 * PLUGINS.len(), "code and a link for each");
    CACHE.set((cache, whole)).expect("it is filled once");
}

fn collect(root: &Path, directory: &Path, found: &mut Vec<(PathBuf, Entry)>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let (path, ty) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        let place = || path.strip_prefix(root).expect("it is below").to_owned();
        if ty.is_dir() {
            collect(root, &path, found)?;
        } else if ty.is_symlink() {
            found.push((place(), Entry::Link(fs::read_link(&path)?)));
        } else if path.metadata()?.len() > 0 {
            found.push((place(), Entry::File(fs::read(&path)?)));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(())
}

fn restore(cache: &Path, whole: &[(PathBuf, Entry)]) {
    let _ = fs::remove_dir_all(cache);
    for (place, entry) in whole {
        put(&cache.join(place), entry).expect("the cache can be written");
    }
}

/// Puts `entry` at `path`, and replaces anything that is there.
fn put(path: &Path, entry: &Entry) -> io::Result<()> {
    remove(path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().expect("it is in the cache"))?;
    match entry {
        Entry::File(bytes) => fs::write(path, bytes),
        Entry::Link(target) => symlink(target, path),
    }
}

fn remove(path: &Path) {
    let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
}

/// Plugins, each with the result of its function `run`.
const PLUGINS: [(i32, &str); 2] = [
    (1, r#"(module (func (export "run") (result i32) i32.const 1))"#),
    (2, r#"(module (memory 1) (data (i32.const 0) "\02") (func (export "run") (result i32) i32.const 0 i32.load))"#),
];

/// Makes the plugins and calls them: with their code found by their bytes, and by the hash in a manifest.
fn check() {
    for (answer, module) in PLUGINS {
        let with_hash =
            manifest(module, "").replacen("{\"data\"", &format!("{{\"hash\": \"{}\", \"data\"", sha256(module)), 1);
        for input in [module, &with_hash] {
            let context = Context::new();
            let plugin = context.create(input, false).expect("damage in the cache is no error");
            assert_eq!(plugin.call_only("run", b""), answer, "{:?}", context.error(plugin.id));
        }
    }
}

/// The damage done to the cache, in this order.
#[derive(Debug)]
struct Damages(Vec<Damage>);

/// Damage to the entry of this number, or to two entries.
#[derive(Debug)]
enum Damage {
    Flip {
        entry: usize,
        bit: usize,
    },
    Overwrite {
        entry: usize,
        at: usize,
        bytes: Vec<u8>,
    },
    Cut {
        entry: usize,
        length: usize,
    },
    Extend {
        entry: usize,
        bytes: Vec<u8>,
    },
    /// Exchanges what two entries hold.
    Swap(usize, usize),
    /// Puts the first part of one entry before the rest of another.
    Splice(usize, usize, usize),
    Remove(usize),
    Rename {
        entry: usize,
        name: String,
    },
    /// Replaces the entry by a link to `target`.
    Link {
        entry: usize,
        target: String,
    },
    Directory(usize),
    /// Changes the mode of the entry, or of the directory `above` levels higher.
    Mode {
        entry: usize,
        above: usize,
        mode: u32,
    },
}

impl<'a> Arbitrary<'a> for Damages {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        let mut damages = vec![Damage::arbitrary(noise)?];
        while damages.len() < 8 && noise.arbitrary()? {
            damages.push(Damage::arbitrary(noise)?);
        }
        Ok(Self(damages))
    }
}

impl<'a> Arbitrary<'a> for Damage {
    fn arbitrary(noise: &mut Unstructured<'a>) -> Result<Self> {
        let mut below = |end: usize| noise.int_in_range(0..=end - 1);
        let (kind, entry, other, at) = (below(11)?, below(4)?, below(4)?, below(1 << 16)?);
        Ok(match kind {
            0 => Self::Flip { entry, bit: at },
            1 => Self::Overwrite { entry, at, bytes: noise.arbitrary()? },
            2 => Self::Cut { entry, length: at },
            3 => Self::Extend { entry, bytes: noise.arbitrary()? },
            4 => Self::Swap(entry, other),
            5 => Self::Splice(entry, other, at),
            6 => Self::Remove(entry),
            7 => Self::Rename { entry, name: name(noise)? },
            8 => Self::Link { entry, target: name(noise)? },
            9 => Self::Directory(entry),
            _ => Self::Mode { entry, above: other, mode: noise.arbitrary()? },
        })
    }
}

/// A file's name, valid or not; mostly like those in the cache.
fn name(noise: &mut Unstructured<'_>) -> Result<String> {
    let (_, whole) = CACHE.get().expect("it is filled");
    let (place, entry) = noise.choose(whole)?;
    let name = place.file_name().expect("it has one").to_string_lossy().into_owned();
    Ok(match (noise.int_in_range(0..=4)?, entry) {
        (0, _) => noise.arbitrary()?,
        (1, _) => format!("../{name}"),
        (2, _) => format!("{name}{}", noise.choose(&["+sse99", "-", "/", ".tmp", " "])?),
        (3, Entry::Link(target)) => target.to_string_lossy().into_owned(),
        _ => name,
    })
}

impl Damage {
    fn do_in(&self, cache: &Path, whole: &[(PathBuf, Entry)]) -> io::Result<()> {
        let path = |entry: &usize| cache.join(&whole[*entry].0);
        let change = |entry: &usize, change: &dyn Fn(&mut Vec<u8>)| {
            if !fs::symlink_metadata(path(entry))?.is_file() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let mut bytes = fs::read(path(entry))?;
            change(&mut bytes);
            fs::write(path(entry), bytes)
        };
        match self {
            Self::Flip { entry, bit } => change(entry, &|bytes| {
                let length = bytes.len().max(1);
                bytes.get_mut(bit / 8 % length).into_iter().for_each(|byte| *byte ^= 1 << (bit % 8));
            }),
            Self::Overwrite { entry, at, bytes: new } => change(entry, &|bytes| {
                let at = at % (bytes.len() + 1);
                bytes.iter_mut().skip(at).zip(new).for_each(|(byte, new)| *byte = *new);
            }),
            Self::Cut { entry, length } => change(entry, &|bytes| bytes.truncate(length % (bytes.len() + 1))),
            Self::Extend { entry, bytes: new } => change(entry, &|bytes| bytes.extend(new)),
            Self::Swap(one, other) => {
                put(&path(one), &whole[*other].1)?;
                put(&path(other), &whole[*one].1)
            }
            Self::Splice(one, other, at) => {
                let front = fs::read(path(one))?;
                let at = at % (front.len() + 1);
                change(other, &|bytes| drop(bytes.splice(..at.min(bytes.len()), front[..at].iter().copied())))
            }
            Self::Remove(entry) => {
                remove(&path(entry));
                Ok(())
            }
            Self::Rename { entry, name } => {
                let to = path(entry).with_file_name(name.replace(['/', '\0'], "_"));
                fs::rename(path(entry), to)
            }
            Self::Link { entry, target } => put(&path(entry), &Entry::Link(target.into())),
            Self::Directory(entry) => {
                remove(&path(entry));
                fs::create_dir(path(entry))?;
                File::create(path(entry).join("file")).map(drop)
            }
            Self::Mode { entry, above, mode } => {
                let path = path(entry);
                let place = path.ancestors().nth(*above).filter(|place| place.starts_with(cache)).unwrap_or(cache);
                // The owner's rights stay, so that the cache can be removed.
                fs::set_permissions(place, Permissions::from_mode(mode & 0o777 | 0o700))
            }
        }
    }
}
