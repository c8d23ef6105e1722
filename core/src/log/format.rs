//! The text of a line of the log.

use std::fmt::{Arguments, Display, Write as _};
use std::time::SystemTime;

use log::Level;

use crate::error;

/// The target of the library's own lines.
pub const TARGET: &str = "extism";

/// The target of plugins' lines.
pub(crate) const PLUGIN_TARGET: &str = "extism::plugin";

/// The source of a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// [`TARGET`] or [`PLUGIN_TARGET`].
    pub(crate) target: &'a str,
    /// The id of the plugin that the line is about, as text without control characters. Lines of the 0.1 face have none.
    pub(crate) plugin: Option<&'a str>,
}

/// The form of the lines of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The 0.1 face's: `extism::plugin INFO 2026-11-29T20:57:52.296Z - text`. Control characters are shown as Rust
    /// writes them: `\u{1b}`. A tab stays.
    V0,
    /// The 1.x face's: `2026-11-29T20:57:52.296845Z  INFO extism::pdk: text`, with the level right-aligned to five
    /// characters. Control characters are shown as `\n`, `\t`, `\r` and `\x1b`; those beyond ASCII as `\u{9b}`.
    V1,
}

impl Format {
    /// The text of a line that is logged now, without the line end.
    pub(super) fn line(self, level: Level, target: &str, message: &Arguments<'_>) -> String {
        self.line_at(SystemTime::now(), level, target, message)
    }

    fn line_at(self, time: SystemTime, level: Level, target: &str, message: &Arguments<'_>) -> String {
        match self {
            Self::V0 => {
                let time = humantime::format_rfc3339_millis(time);
                format!("{target} {level} {time} - {message}")
            }
            Self::V1 => {
                /// The target of plugins' lines, as Extism 1.x calls it.
                const PDK_TARGET: &str = "extism::pdk";
                let time = humantime::format_rfc3339_micros(time);
                let target = if target == PLUGIN_TARGET { PDK_TARGET } else { target };
                format!("{time} {level:>5} {target}: {message}")
            }
        }
    }

    /// `message` on one line, with control characters escaped, NUL among them.
    pub(super) fn one_line(self, message: impl Display) -> String {
        match self {
            Self::V0 => error::one_line(message),
            Self::V1 => escape(&message.to_string()),
        }
    }
}

/// [`Format::one_line`] of the 1.x face.
fn escape(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => line.extend(character.escape_default()),
            _ if character.is_ascii_control() => {
                // Writing to a String cannot fail.
                let _ = write!(line, "\\x{:02x}", u32::from(character));
            }
            _ if error::is_unseen(character) => line.extend(character.escape_default()),
            _ => line.push(character),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use log::Level;

    use super::{Format, PLUGIN_TARGET, TARGET};

    #[test]
    fn each_face_has_its_form_of_a_line() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_985_872_296_845);
        let message = "text plugin=\"id\"";
        for (format, level, target, shown) in [
            (Format::V0, Level::Info, PLUGIN_TARGET, "extism::plugin INFO 2026-11-29T20:57:52.296Z - "),
            (Format::V0, Level::Error, TARGET, "extism ERROR 2026-11-29T20:57:52.296Z - "),
            (Format::V1, Level::Info, PLUGIN_TARGET, "2026-11-29T20:57:52.296845Z  INFO extism::pdk: "),
            (Format::V1, Level::Error, TARGET, "2026-11-29T20:57:52.296845Z ERROR extism: "),
        ] {
            let line = format.line_at(time, level, target, &format_args!("{message}"));
            assert_eq!(line, format!("{shown}{message}"), "{format:?}");
        }
    }

    #[test]
    fn a_message_is_one_line_of_what_can_be_seen() {
        for (message, v0, v1) in [
            ("plain é \"q\" \\", "plain é \"q\" \\", "plain é \"q\" \\"),
            ("a\nb\r\n", "a\\nb\\r\\n", "a\\nb\\r\\n"),
            ("a\tb", "a\tb", "a\\tb"),
            ("\x1b[1m\0\x07\x7f", "\\u{1b}[1m\\u{0}\\u{7}\\u{7f}", "\\x1b[1m\\x00\\x07\\x7f"),
            ("\u{9b}\u{202e}\u{2028}", "\\u{9b}\\u{202e}\\u{2028}", "\\u{9b}\\u{202e}\\u{2028}"),
        ] {
            assert_eq!(Format::V0.one_line(message), v0);
            assert_eq!(Format::V1.one_line(message), v1);
        }
        let control = (0..0xa0).filter_map(char::from_u32).filter(|character| character.is_control());
        let shown = Format::V1.one_line(control.collect::<String>());
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
}
