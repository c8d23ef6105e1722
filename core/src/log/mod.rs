//! The log: which lines are logged, what they look like, and where they go.
//!
//! Start with `sink.rs`, which takes all lines. `format.rs` is the text of a line, `filter.rs` reads levels. A sink ends
//! in `file.rs`, or in `buffer.rs`, which the host drains.

mod buffer;
mod file;
mod filter;
mod format;
mod sink;

pub use log::LevelFilter;

pub use buffer::drain;
pub use filter::{UnknownLevel, level_of};
pub use format::{Format, TARGET};
#[cfg(feature = "compiler")]
pub use sink::without_notes;
pub use sink::{Destination, is_enabled, note, note_of, record, set};

pub(crate) use format::{Origin, PLUGIN_TARGET};
pub(crate) use sink::{Line, max_level, record_line, record_of};
