//! Checks that the host has the memory for parsing a document. The parsers allocate text by text and cannot report a
//! failed allocation: the process would abort.

use std::hint::black_box;

use thiserror::Error;

/// Smaller documents, in bytes, are parsed without a check.
const SMALL: usize = 64 << 10;

/// The most copies of a document's bytes at a time: each layer of the parser copies a key.
const COPIES: usize = 4;

/// The additional memory for TOML, in lengths of the document: its lexer reserves seven for tokens.
const TOML: usize = 8;

/// The most bytes that a value takes in addition to its text: a node of a map, or a string in a growing list.
const VALUE: usize = 192;

/// The host lacks the memory.
#[derive(Debug, Error)]
#[error("the host has no room to read {0} bytes")]
pub(crate) struct NoMemory(usize);

/// Checks that there is memory to parse the JSON `document`. Other threads may use the memory before the parser does,
/// but the author of a document cannot make that likely.
pub(crate) fn for_json(document: &[u8]) -> Result<(), NoMemory> {
    look(document, COPIES)
}

/// The same for TOML.
pub(super) fn for_toml(document: &[u8]) -> Result<(), NoMemory> {
    look(document, COPIES + TOML)
}

fn look(document: &[u8], copies: usize) -> Result<(), NoMemory> {
    if document.len() < SMALL {
        return Ok(());
    }
    // Each value comes with one of these characters.
    let values = document.iter().filter(|byte| matches!(byte, b',' | b'\n')).count();
    let size = document.len().saturating_mul(copies).saturating_add(values.saturating_mul(VALUE));
    let mut room: Vec<u8> = Vec::new();
    let reserved = room.try_reserve_exact(size).map_err(|_| NoMemory(document.len()));
    // Keeps the compiler from leaving out the allocation, which nothing else uses.
    black_box(&room);
    reserved
}

#[cfg(test)]
mod tests {
    use super::{for_json, for_toml};

    #[test]
    fn there_is_room_for_usual_documents() {
        for length in [0, 1, 1 << 20] {
            let document = vec![b','; length];
            assert!(for_json(&document).is_ok() && for_toml(&document).is_ok(), "{length}");
        }
    }
}
