//! Reads the variants of values that other programs write. Languages whose empty map is an empty list (PHP, Lua) write
//! it as `[]`; some SDKs of Extism 0.1.0 write maps as lists of pairs; null counts as absent. An error quotes only the
//! beginning of a text where another type is expected; serde would quote all of it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserializer, Error, Expected, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};

use crate::error::Excerpt;

/// A map with the keys of `T`; null and `[]` are an empty one.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    from.deserialize_any(Object(PhantomData))
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        match list.next_element::<IgnoredAny>()? {
            None => Ok(T::default()),
            Some(_) => Err(A::Error::invalid_type(Unexpected::Seq, &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Err(unexpected(text, &self))
    }
}

/// A list of such maps, not null; `{}` is an empty list. Returns the first `MAX` maps, and how many there are.
pub(super) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default, const MAX: usize>(
    from: D,
) -> Result<(Vec<T>, usize), D::Error> {
    let list = List { what: "a sequence", null_is_empty: false, max: MAX, element: PhantomData };
    let (objects, count) = from.deserialize_any(list)?;
    Ok((objects.into_iter().map(|One { object }| object).collect(), count))
}

/// One element of the list.
#[derive(Deserialize)]
#[serde(transparent, bound = "T: Deserialize<'de> + Default")]
struct One<T> {
    #[serde(deserialize_with = "object")]
    object: T,
}

/// A list of strings; null and `{}` are an empty one.
pub(super) fn strings<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let list = List { what: "a sequence of strings", null_is_empty: true, max: usize::MAX, element: PhantomData };
    from.deserialize_any(list).map(|(strings, _)| strings)
}

/// Reads at most `max` elements, and counts them all; an empty map is an empty list.
struct List<T> {
    what: &'static str,
    null_is_empty: bool,
    max: usize,
    element: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = (Vec<T>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        if self.null_is_empty { Ok((Vec::new(), 0)) } else { Err(E::invalid_type(Unexpected::Unit, &self)) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut elements, mut count) = (Vec::new(), 0);
        loop {
            if count < self.max {
                let Some(element) = list.next_element()? else { break };
                elements.push(element);
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
            count += 1;
        }
        Ok((elements, count))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        match map.next_key::<IgnoredAny>()? {
            None => Ok((Vec::new(), 0)),
            Some(_) => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Err(unexpected(text, &self))
    }
}

/// A map of strings as it is written.
#[derive(Debug, Default)]
pub(super) struct StringMap<V = String> {
    pub(super) map: BTreeMap<String, V>,
    /// The first key that is there more than once: the last value counts.
    pub(super) doubled: Option<Excerpt>,
}

impl<V> StringMap<V> {
    fn insert(&mut self, key: String, value: V) {
        match self.map.entry(key) {
            Entry::Vacant(entry) => drop(entry.insert(value)),
            Entry::Occupied(mut entry) => {
                self.doubled.get_or_insert_with(|| Excerpt::of(entry.key()));
                entry.insert(value);
            }
        }
    }
}

/// A map of strings, which null is an empty one of.
pub(super) fn string_map<'de, D: Deserializer<'de>>(from: D) -> Result<StringMap, D::Error> {
    from.deserialize_any(StringMapVisitor { null_is_empty: true, value: PhantomData })
}

/// A map of strings and nulls, which is not null itself.
pub(super) fn string_changes<'de, D: Deserializer<'de>>(from: D) -> Result<StringMap<Option<String>>, D::Error> {
    from.deserialize_any(StringMapVisitor { null_is_empty: false, value: PhantomData })
}

struct StringMapVisitor<V> {
    null_is_empty: bool,
    value: PhantomData<V>,
}

impl<'de, V: Deserialize<'de> + Default> Visitor<'de> for StringMapVisitor<V> {
    type Value = StringMap<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        if self.null_is_empty { Ok(StringMap::default()) } else { Err(E::invalid_type(Unexpected::Unit, &self)) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut strings = StringMap::default();
        while let Some((key, value)) = map.next_entry()? {
            strings.insert(key, value);
        }
        Ok(strings)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<Self::Value, A::Error> {
        let mut strings = StringMap::default();
        while let Some(Pair(key, value)) = pairs.next_element()? {
            strings.insert(key, value);
        }
        Ok(strings)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Err(unexpected(text, &self))
    }
}

/// A key and its value in a list.
struct Pair<V>(String, V);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pair<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct PairVisitor<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for PairVisitor<V> {
            type Value = Pair<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of two strings, a key and its value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Pair<V>, A::Error> {
                let key = pair.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let value = pair.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
                match pair.next_element::<IgnoredAny>()? {
                    None => Ok(Pair(key, value)),
                    Some(_) => Err(A::Error::invalid_length(3, &self)),
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Pair<V>, E> {
                Err(unexpected(text, &self))
            }
        }

        from.deserialize_any(PairVisitor(PhantomData))
    }
}

/// A number or a boolean; `None` for null.
pub(super) fn scalar<'de, D: Deserializer<'de>, T: Scalar<'de>>(from: D) -> Result<Option<T>, D::Error> {
    from.deserialize_any(ScalarVisitor(PhantomData))
}

/// A number that is not null.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    scalar(from)?.ok_or_else(|| D::Error::invalid_type(Unexpected::Unit, &u64::NAME))
}

/// A type that [`scalar`] reads.
pub(super) trait Scalar<'de>: Deserialize<'de> {
    const NAME: &'static str;
}

impl Scalar<'_> for u32 {
    const NAME: &'static str = "u32";
}

impl Scalar<'_> for u64 {
    const NAME: &'static str = "u64";
}

impl Scalar<'_> for bool {
    const NAME: &'static str = "a boolean";
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<'de, T: Scalar<'de>> Visitor<'de> for ScalarVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::NAME)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        T::deserialize(value.into_deserializer()).map(Some)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        T::deserialize(value.into_deserializer()).map(Some)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        T::deserialize(value.into_deserializer()).map(Some)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Err(unexpected(text, &self))
    }
}

/// The error for a text where another type is expected.
fn unexpected<E: Error>(text: &str, expected: &dyn Expected) -> E {
    E::invalid_type(Unexpected::Other(&format!("string `{}`", Excerpt::of(text))), expected)
}
