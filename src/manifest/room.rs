//! Whether there is memory for what a document becomes. Reading one allocates, text by text, in libraries whose allocations
//! cannot fail: where memory is short, the process would end.

use std::hint::black_box;

use thiserror::Error;

/// Documents below this are read without a question, in bytes.
const SMALL: usize = 64 << 10;

/// How often the bytes of a document may be there once more: in a key, which each layer of reading has a copy of.
const COPIES: usize = 4;

/// How much more reading TOML takes, in lengths of the document: its lexer reserves seven for what it might find.
const TOML: usize = 8;

/// What a value takes up beside its text at most, in bytes: a node of a map, a string in a list that grows.
const VALUE: usize = 192;

/// There is no memory for it.
#[derive(Debug, Error)]
#[error("the host has no room to read {0} bytes")]
pub(crate) struct NoRoom(usize);

/// Looks whether there is room to read `document`, in JSON. Others may take it meanwhile; who chooses a document's
/// size cannot make that likely.
///
/// # Errors
/// There is none.
pub(crate) fn for_json(document: &[u8]) -> Result<(), NoRoom> {
    look(document, COPIES)
}

/// The same for one in TOML.
///
/// # Errors
/// There is none.
pub(super) fn for_toml(document: &[u8]) -> Result<(), NoRoom> {
    look(document, COPIES + TOML)
}

fn look(document: &[u8], copies: usize) -> Result<(), NoRoom> {
    if document.len() < SMALL {
        return Ok(());
    }
    // No value comes without one.
    let values = document.iter().filter(|byte| matches!(byte, b',' | b'\n')).count();
    let size = document.len().saturating_mul(copies).saturating_add(values.saturating_mul(VALUE));
    let mut room: Vec<u8> = Vec::new();
    let reserved = room.try_reserve_exact(size).map_err(|_| NoRoom(document.len()));
    // An allocation that nobody looks at need not be made.
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
