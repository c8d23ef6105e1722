//! Unknown keys of a manifest. As most of them are misspelt, the message names the known key that is most similar.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapDeserializer;
use serde::de::{self, Deserializer, Visitor};

use super::fields::{Document, Memory, WasmEntry};
use crate::error::Excerpt;

/// The most unknown keys that are named; the others are counted.
const MAX_NAMED: usize = 16;

/// The longest key that is compared with known keys, in bytes.
const MAX_COMPARED: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Unknown {
    named: Vec<UnknownKey>,
    more: usize,
}

/// One of them. As text, the beginning of a sentence.
#[derive(Debug)]
pub(super) struct UnknownKey {
    /// Where it is, as `wasm[0].nmae`.
    path: String,
    /// The key that was meant, if that can be told.
    meant: Option<String>,
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown key `{}`", self.path)?;
        match &self.meant {
            Some(meant) => write!(f, " (`{meant}` is one)"),
            None => Ok(()),
        }
    }
}

impl Unknown {
    /// Adds the key at `path`, in the form `wasm.0.name` with a segment `?` for each optional value.
    pub(super) fn add(&mut self, path: impl fmt::Display) {
        if self.named.len() == MAX_NAMED {
            self.more += 1;
            return;
        }
        let path = Excerpt::of(path);
        self.named.push(UnknownKey { path: shown(path.as_str()), meant: meant(path.as_str()) });
    }

    /// Forgets all keys, before the document is read in another format.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn first(&self) -> Option<&UnknownKey> {
        self.named.first()
    }

    /// The one of the top level that may be there in the place of `wasm`: which means it, else the first.
    pub(super) fn for_wasm(&self) -> Option<&UnknownKey> {
        let top = || self.named.iter().filter(|key| !key.path.contains(['.', '[']));
        top().find(|key| key.meant.as_deref() == Some("wasm")).or_else(|| top().next())
    }

    /// The first one in the entry of `wasm` that has this index.
    pub(super) fn in_entry(&self, index: usize) -> Option<&UnknownKey> {
        let entry = format!("wasm[{index}].");
        self.named.iter().find(|key| key.path.starts_with(&entry))
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("manifest: {} more unknown keys ignored", self.more));
        self.named.iter().map(|key| format!("manifest: {key} ignored")).chain(more).collect()
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

/// Names that programs for other things have for some keys.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("modules", "wasm"),
    ("module", "wasm"),
    ("plugins", "wasm"),
    ("plugin", "wasm"),
    ("file", "path"),
    ("filename", "path"),
    ("bytes", "data"),
    ("sha256", "hash"),
];

/// The key that somebody has meant who wrote another at this path.
fn meant(dotted: &str) -> Option<String> {
    let path: Vec<_> = segments(dotted).collect();
    let places = [("", known::<Document>()), ("memory.", known::<Memory>()), ("wasm[].", known::<WasmEntry>())];
    let (key, here) = match *path.as_slice() {
        [key] => (key, 0),
        ["memory", key] => (key, 1),
        ["wasm", _, key] => (key, 2),
        _ => return None,
    };
    if key.len() > MAX_COMPARED {
        return None;
    }
    let key = key.to_ascii_lowercase();
    // The right key in the wrong place.
    if let Some((place, _)) = places.iter().find(|(_, known)| known.contains(&key.as_str()))
        && *place != places[here].0
    {
        return Some(format!("{place}{key}"));
    }
    let known = places[here].1;
    let other = OTHER_NAMES.iter().find(|(other, name)| *other == key && known.contains(name)).map(|(_, name)| *name);
    other.or_else(|| nearest(&key, known)).or_else(|| longer(&key, known)).map(str::to_owned)
}

/// The one of the `known` keys that `key` is a misspelling of.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let nearest = known.iter().map(|known| (distance(key, known), *known)).min()?;
    // Of a short key, not all of it.
    (nearest.0 <= 2 && nearest.0 * 2 <= nearest.1.len()).then_some(nearest.1)
}

/// The only one of the `known` keys that has all words of `key`, and more.
fn longer(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let has_all = |known: &&&str| key.split('_').all(|word| known.split('_').any(|other| other == word));
    let mut all = known.iter().filter(has_all);
    all.next().copied().filter(|_| all.next().is_none())
}

/// The edit distance of two texts: the characters to insert, remove or exchange to make one the other.
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
            ("wasms", Some("wasm")),
            ("modules", Some("wasm")),
            ("timeout", Some("timeout_ms")),
            ("hosts", Some("allowed_hosts")),
            ("allowed", None),
            ("max_pages", Some("memory.max_pages")),
            ("url", Some("wasm[].url")),
            ("memory.pages", Some("max_pages")),
            ("memory.timeout_ms", Some("timeout_ms")),
            ("wasm.0.pth", Some("path")),
            ("wasm.0.sha256", Some("hash")),
            ("wasm.0.config", Some("config")),
            ("wasm.0.headers.file", None),
        ] {
            assert_eq!(meant(path).as_deref(), key, "{path}");
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
