//! The expected state after a row's calls: of the plugin's memory, and of the folder that it has.
//!
//! The memory is a list such as `a: u32 5, b: "hello"`: the values written at these addresses. The rest of the checked
//! part must be untouched. `?` stands for anything. Values are
//!
//! - `u8 1`, `u16 1`, `u32 1`, `u64 1`, `"text"`, `zero 4`, `any 8`; `random 16` differs from the bytes before
//! - `stat "a.txt"` and `lstat "a.txt"`: the host's metadata of a file, following links or not; `stream` for streams,
//!   which have none
//! - `entry 3 "sub/b.txt" "b.txt" 4`: a directory entry: its cookie, a file that has its inode, its name and type
//! - `event 7 8 1 0 0`: an event: its user data, error, type, number of bytes and flags
//!
//! The folder is a list such as `a.txt = "hello", link -> a.txt, new missing, sub directory, a.txt modified 5`, with
//! times in nanoseconds, or `now`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::Version;
use super::calls::Reader;
use super::module::UNTOUCHED;
use super::names::SEEN;

/// The expected memory; `None` is any byte.
struct Memory<'a> {
    version: Version,
    folder: &'a Path,
    bytes: Vec<Option<u8>>,
    /// Places and lengths of bytes that must have changed.
    random: Vec<(usize, usize)>,
}

/// The error in the memory of a plugin that has used `folder`, if there is one.
pub(super) fn wrong_memory(version: Version, expected: &str, folder: &Path, found: &[u8]) -> Option<String> {
    if expected == "?" {
        return None;
    }
    let bytes = vec![Some(UNTOUCHED); SEEN as usize];
    let mut memory = Memory { version, folder, bytes, random: Vec::new() };
    memory.read(&mut Reader::new(version, expected));
    let differs = |at: &usize| memory.bytes[*at].is_some_and(|byte| byte != found[*at]);
    if let Some(first) = (0..SEEN as usize).find(differs) {
        let length = (first..SEEN as usize).rfind(differs).unwrap_or(first) + 1 - first;
        let end = first + length.min(64);
        let wanted: Vec<_> = memory.bytes[first..end].iter().map(|byte| byte.unwrap_or(0)).collect();
        return Some(format!("memory from {first:#x}: {:02x?}, not {wanted:02x?}", &found[first..end]));
    }
    let dull =
        memory.random.iter().find(|(at, length)| found[*at..*at + *length].iter().all(|byte| *byte == UNTOUCHED));
    dull.map(|(at, _)| format!("memory at {at:#x} is as it was"))
}

impl Memory<'_> {
    fn read(&mut self, reader: &mut Reader<'_>) {
        while !reader.at_end() {
            let mut at = usize::try_from(reader.number()).expect("a place");
            assert!(reader.take(":"), "a place has values");
            while !reader.take(",") && !reader.at_end() {
                at = self.value(reader, at);
            }
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> usize {
        for (place, byte) in self.bytes[at..].iter_mut().zip(bytes) {
            *place = Some(*byte);
        }
        at + bytes.len()
    }

    /// Reads a value and puts it at `at`; returns the place after it.
    fn value(&mut self, reader: &mut Reader<'_>, at: usize) -> usize {
        if reader.take("\"") {
            return self.put(at, &reader.text());
        }
        match reader.word() {
            "u8" => self.put(at, &[reader.number() as u8]),
            "u16" => self.put(at, &(reader.number() as u16).to_le_bytes()),
            "u32" => self.put(at, &(reader.number() as u32).to_le_bytes()),
            "u64" => self.put(at, &reader.number().to_le_bytes()),
            "zero" => self.put(at, &vec![0; reader.number() as usize]),
            "any" => {
                let end = at + reader.number() as usize;
                self.bytes[at..end].fill(None);
                end
            }
            "random" => {
                let length = reader.number() as usize;
                self.random.push((at, length));
                self.bytes[at..at + length].fill(None);
                at + length
            }
            "stat" => self.put(at, &self.file_stat(&fs::metadata(self.path(reader)).expect("it is there"))),
            "lstat" => self.put(at, &self.file_stat(&fs::symlink_metadata(self.path(reader)).expect("it is there"))),
            "stream" => self.put(at, &vec![0; self.stat_size()]),
            "entry" => {
                let cookie = reader.number();
                let inode = fs::symlink_metadata(self.path(reader)).expect("it is there").ino();
                assert!(reader.take("\""), "an entry has a name");
                let name = reader.text();
                let at = self.put(at, &cookie.to_le_bytes());
                let at = self.put(at, &inode.to_le_bytes());
                let at = self.put(at, &(name.len() as u32).to_le_bytes());
                let at = self.put(at, &[reader.number() as u8, 0, 0, 0]);
                self.put(at, &name)
            }
            "event" => {
                let mut event = [0; 32];
                event[..8].copy_from_slice(&reader.number().to_le_bytes());
                event[8..10].copy_from_slice(&(reader.number() as u16).to_le_bytes());
                event[10] = reader.number() as u8;
                event[16..24].copy_from_slice(&reader.number().to_le_bytes());
                event[24..26].copy_from_slice(&(reader.number() as u16).to_le_bytes());
                self.put(at, &event)
            }
            other => panic!("no value: {other}"),
        }
    }

    fn path(&self, reader: &mut Reader<'_>) -> std::path::PathBuf {
        assert!(reader.take("\""), "a file has a name");
        self.folder.join(String::from_utf8(reader.text()).expect("text"))
    }

    fn stat_size(&self) -> usize {
        if self.version == Version::Preview0 { 56 } else { 64 }
    }

    /// A `filestat`: the number of links has 32 bits in preview 0 and lies right behind the type, without padding to 8.
    fn file_stat(&self, metadata: &fs::Metadata) -> Vec<u8> {
        let mut stat = vec![0; self.stat_size()];
        let mut put = |at: usize, value: &[u8]| stat[at..at + value.len()].copy_from_slice(value);
        put(0, &metadata.dev().to_le_bytes());
        put(8, &metadata.ino().to_le_bytes());
        put(
            16,
            &[if metadata.is_dir() {
                3
            } else if metadata.is_symlink() {
                7
            } else {
                4
            }],
        );
        let rest = if self.version == Version::Preview0 {
            put(20, &(metadata.nlink() as u32).to_le_bytes());
            24
        } else {
            put(24, &metadata.nlink().to_le_bytes());
            32
        };
        put(rest, &metadata.size().to_le_bytes());
        let nanoseconds = |seconds: i64, rest: i64| (seconds * 1_000_000_000 + rest).to_le_bytes();
        put(rest + 8, &nanoseconds(metadata.atime(), metadata.atime_nsec()));
        put(rest + 16, &nanoseconds(metadata.mtime(), metadata.mtime_nsec()));
        put(rest + 24, &nanoseconds(metadata.ctime(), metadata.ctime_nsec()));
        stat
    }
}

/// The error in the folder, if there is one.
pub(super) fn wrong_folder(expected: &str, folder: &Path) -> Option<String> {
    let wrong = |fact: &&str| !holds(fact, folder);
    expected
        .split(", ")
        .map(str::trim)
        .filter(|fact| !fact.is_empty())
        .find(wrong)
        .map(|fact| format!("not so: {fact}"))
}

fn holds(fact: &str, folder: &Path) -> bool {
    let (name, rest) = fact.split_once(' ').unwrap_or_else(|| panic!("no fact: {fact}"));
    let path = folder.join(name);
    let metadata = fs::symlink_metadata(&path);
    match rest.split_once(' ').unwrap_or((rest, "")) {
        ("=", text) => fs::read(path).is_ok_and(|found| found == text.trim_matches('"').as_bytes()),
        ("->", target) => fs::read_link(path).is_ok_and(|found| found == Path::new(target)),
        ("missing", "") => metadata.is_err(),
        ("directory", "") => metadata.is_ok_and(|metadata| metadata.is_dir()),
        ("accessed", time) => metadata.and_then(|metadata| metadata.accessed()).is_ok_and(|found| fits(time, found)),
        ("modified", time) => metadata.and_then(|metadata| metadata.modified()).is_ok_and(|found| fits(time, found)),
        _ => panic!("no fact: {fact}"),
    }
}

fn fits(time: &str, found: SystemTime) -> bool {
    match time.parse() {
        Ok(nanoseconds) => found == SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds),
        Err(_) => found.elapsed().is_ok_and(|elapsed| time == "now" && elapsed < Duration::from_mins(1)),
    }
}
