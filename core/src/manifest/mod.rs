//! The manifest of a plugin: the union of the fields of every Extism version, read from TOML or JSON, or made up for a
//! bare module. This code opens no file and contacts no address.
//!
//! Start with [`parse`]; `checked.rs` has its result. `document.rs` reads TOML and JSON, `fields.rs` has the document's
//! shape, `names.rs` the rule that selects the main module.

mod checked;
mod document;
mod error;
mod fields;
mod keys;
mod lenient;
mod memory;
mod names;
mod parse;
#[cfg(test)]
mod tests;

pub(crate) use checked::{
    AddressRange, AfterTrap, MAIN, Manifest, MemoryLimits, ModuleEntry, ModuleSource, Remote, deadline,
};
pub(crate) use error::Error;
#[cfg(feature = "http")]
pub(crate) use memory::for_json as room_for;
pub(crate) use parse::{config_changes, parse};
