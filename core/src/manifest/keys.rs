//! Unknown keys of a manifest. As most of them are misspelt, the message names the known key that is most similar.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapDeserializer;
use serde::de::{self, Deserializer, Visitor};

use super::fields::{Document, Entry, Memory};
use crate::error::Excerpt;

/// How many unknown keys are named; the others are counted.
const MAX_NAMED: usize = 16;

/// The longest key that is compared with known keys, in bytes.
const MAX_COMPARED: usize = 64;

/// The unknown keys of one document.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    /// Beginnings of sentences, such as "unknown key `a.b`".
    named: Vec<String>,
    more: usize,
}

impl Unknown {
    /// Adds the key at `path`, in the form `wasm.0.name` with a segment `?` for each optional value.
    pub(super) fn add(&mut self, path: impl fmt::Display) {
        if self.named.len() == MAX_NAMED {
            self.more += 1;
            return;
        }
        let path = Excerpt::of(path);
        let hint = meant(path.as_str()).map_or_else(String::new, |key| format!(" (`{key}` is one)"));
        self.named.push(format!("unknown key `{}`{hint}", shown(path.as_str())));
    }

    /// Forgets all keys, before the document is read in another format.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The first unknown key, if there is one.
    pub(super) fn first(&self) -> Option<&str> {
        self.named.first().map(String::as_str)
    }

    /// One warning for each key.
    pub(super) fn warnings(self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("manifest: {} more unknown keys ignored", self.more));
        self.named.into_iter().map(|key| format!("manifest: {key} ignored")).chain(more).collect()
    }
}

/// Turns `wasm.0.name` into `wasm[0].name`, without the segments `?`.
fn shown(dotted: &str) -> String {
    let mut path = String::new();
    for segment in segments(dotted) {
        if !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()) {
            path.extend(["[", segment, "]"]);
        } else {
            path.extend([if path.is_empty() { "" } else { "." }, segment]);
        }
    }
    path
}

fn segments(dotted: &str) -> impl Iterator<Item = &str> {
    dotted.split('.').filter(|segment| *segment != "?")
}

/// The known key that the author of this path probably meant.
fn meant(dotted: &str) -> Option<&'static str> {
    let path: Vec<_> = segments(dotted).collect();
    let (key, known) = match *path.as_slice() {
        [key] => (key, known::<Document>()),
        ["memory", key] => (key, known::<Memory>()),
        ["wasm", _, key] => (key, known::<Entry>()),
        _ => return None,
    };
    if key.len() > MAX_COMPARED {
        return None;
    }
    let key = key.to_ascii_lowercase();
    let nearest = known.iter().map(|known| (distance(&key, known), *known)).min()?;
    // No suggestion if more than half of a short key differs.
    (nearest.0 <= 2 && nearest.0 * 2 <= nearest.1.len()).then_some(nearest.1)
}

/// The edit distance: how many characters have to be inserted, deleted or replaced to turn one text into the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, byte) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, wanted) in other.bytes().enumerate() {
            let exchanged = diagonal + usize::from(byte != wanted);
            diagonal = row[at + 1];
            row[at + 1] = exchanged.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// The keys of `T`, under all of their names.
fn known<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    T::deserialize(AskForKeys).map_or_else(|Keys(keys)| keys, |_| &[])
}

/// A deserializer that returns, as an error, the list of keys that derived code asks for.
struct AskForKeys;

#[derive(Debug)]
struct Keys(&'static [&'static str]);

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Keys {}

impl de::Error for Keys {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }
}

impl<'de> Deserializer<'de> for AskForKeys {
    type Error = Keys;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Keys> {
        visitor.visit_map(MapDeserializer::new(std::iter::empty::<(&str, &str)>()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Keys> {
        Err(Keys(keys))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::{Unknown, distance, known, meant};
    use crate::manifest::fields::Memory;

    #[test]
    fn the_key_that_was_meant_is_named() {
        for (path, key) in [
            ("wasm.0.nmae", Some("name")),
            ("memmory", Some("memory")),
            ("allowedHosts", Some("allowed_hosts")),
            ("memory.max_page", Some("max_pages")),
            ("memory.mx", Some("max")),
            ("allowed_path", Some("allowed_paths")),
            ("Wasm", Some("wasm")),
            ("wasm.0.x", None),
            ("comment", None),
            ("config.nmae", None),
            ("memory.?.mx", Some("max")),
        ] {
            assert_eq!(meant(path), key, "{path}");
        }
        assert_eq!(meant(&"memory".repeat(1000)), None);
    }

    #[test]
    fn keys_are_those_of_the_document() {
        assert!(known::<Memory>().contains(&"max_var_bytes"), "{:?}", known::<Memory>());
    }

    #[test]
    fn distances() {
        for (one, other, expected) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("name", "nmae", 2), ("name", "nme", 1)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn not_all_of_many_are_named() {
        let mut unknown = Unknown::default();
        (0..1000).for_each(|number| unknown.add(format_args!("k{number}")));
        unknown.add("x");
        let warnings = unknown.warnings();
        assert_eq!((warnings.len(), warnings[16].as_str()), (17, "manifest: 985 more unknown keys ignored"));
    }
}
