//! Names that rows use for numbers.

use super::Version;

/// The size of the plugin's memory, in bytes.
pub(super) const MEMORY: u32 = 2 << 16;

/// The size of its part at 0 that is checked afterwards.
pub(super) const SEEN: u32 = 0x1000;

/// The address of a part after it that is not checked.
pub(super) const UNSEEN: i64 = 0x1800;

/// The given descriptors, those that are opened first, second and third, addresses in memory, and flags.
const NAMES: [(&str, i64); 26] = [
    ("stdin", 0),
    ("stdout", 1),
    ("stderr", 2),
    ("rw", 3),
    ("ro", 4),
    ("first", 5),
    ("second", 6),
    ("third", 7),
    ("a", 0),
    ("b", 0x200),
    ("c", 0x400),
    ("d", 0x600),
    ("unseen", UNSEEN),
    ("end", MEMORY as i64),
    ("FOLLOW", 1),
    ("CREATE", 1),
    ("DIRECTORY", 2),
    ("EXCLUSIVE", 4),
    ("TRUNCATE", 8),
    ("READ", 1 << 1),
    ("WRITE", 1 << 6),
    ("ALLOCATE", 1 << 8),
    ("SET_SIZE", 1 << 22),
    ("APPEND", 1),
    ("REALTIME", 0),
    ("MONOTONIC", 1),
];

/// Names whose numbers differ in preview 0; that of preview 1 comes first.
const VERSIONED: [(&str, i64, i64); 3] = [("SET", 0, 2), ("CUR", 1, 0), ("END", 2, 1)];

/// Errors by name, with the numbers of preview 1.
const ERRORS: [(&str, u32); 21] = [
    ("ok", 0),
    ("ACCES", 2),
    ("BADF", 8),
    ("EXIST", 20),
    ("FAULT", 21),
    ("ILSEQ", 25),
    ("INVAL", 28),
    ("ISDIR", 31),
    ("LOOP", 32),
    ("MFILE", 33),
    ("NAMETOOLONG", 37),
    ("NOENT", 44),
    ("NOTDIR", 54),
    ("NOTEMPTY", 55),
    ("NOTSOCK", 57),
    ("NOTSUP", 58),
    ("PERM", 63),
    ("ROFS", 69),
    ("SPIPE", 70),
    ("FBIG", 22),
    ("OVERFLOW", 61),
];

/// The number that `name` stands for.
pub(super) fn named(version: Version, name: &str) -> Option<i64> {
    let versioned = VERSIONED.iter().find(|(other, ..)| *other == name);
    let versioned = versioned.map(|(_, one, zero)| if version == Version::Preview0 { *zero } else { *one });
    versioned.or_else(|| NAMES.iter().find(|(other, _)| *other == name).map(|(_, number)| *number))
}

/// The number of the error `name`.
pub(super) fn error(name: &str) -> u32 {
    let found = ERRORS.iter().find(|(error, _)| *error == name);
    found.unwrap_or_else(|| panic!("no error is called `{name}`")).1
}

/// The name of an error, or its number if it has none here.
pub(super) fn error_name(number: u32) -> String {
    let found = ERRORS.iter().find(|(_, error)| *error == number);
    found.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}
