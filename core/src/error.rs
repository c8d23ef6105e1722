//! Turns errors into the text that a C caller reads, and bounds how much of a text from outside they quote.
//!
//! Each room has its own small error enum; this one knows none of them and only follows `source()`. The text never
//! contains a Rust backtrace or debug quoting. Error enums hold foreign names, paths, addresses and values as
//! [`Excerpt`]s, and the messages of other libraries as [`Message`]s: every error is short, and none can drive a
//! terminal. The error text that a plugin sets itself does not pass through here and stays as it is.

use std::error::Error as StdError;
use std::ffi::CString;
use std::fmt::{self, Display, Write};

/// The length of an [`Excerpt`], in bytes, without the note at its end.
const MAX_QUOTED: usize = 256;

/// The length of a line of a [`Message`], in bytes: enough for an [`Excerpt`] and the words around it.
const MAX_LINE: usize = 512;

/// The number of lines of a [`Message`].
const MAX_LINES: usize = 16;

/// The length of an error's text, in bytes, without a plugin's own words. A safety net: the parts have bounds of their
/// own.
const MAX_TEXT: usize = 64 << 10;

/// A quoted text from outside: its first 256 bytes and a note of how many are left out, on one line, with control
/// characters escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// An excerpt of `text`, which is never held in memory as a whole.
    pub fn of(text: impl Display) -> Self {
        Self(written(text, Form { max_line: MAX_QUOTED, max_lines: None }))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message of another library about input from outside, which it may quote: at most 16 lines of 512 bytes, with
/// control characters escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(String);

impl Message {
    /// The beginning of `text`: a few lines, each with a bound.
    pub fn of(text: impl Display) -> Self {
        let text = written(text, Form { max_line: MAX_LINE, max_lines: Some(MAX_LINES) });
        Self(text.trim_end().to_owned())
    }

    /// The message with `place`, which it is about, in front.
    pub(crate) fn at(self, place: &Excerpt) -> Self {
        Self(format!("{place}: {self}"))
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error of the core as text, for callers that only show it.
#[cfg(feature = "compiler")]
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Described(String);

#[cfg(feature = "compiler")]
impl Described {
    /// `error` and its causes, as [`describe`] writes them.
    pub(crate) fn of(error: impl StdError) -> Self {
        Self(describe(&error))
    }

    /// An error of its own.
    pub(crate) fn text(text: String) -> Self {
        Self(text)
    }
}

/// All of `text` on one line, with control characters escaped.
pub fn one_line(text: impl Display) -> String {
    written(text, Form { max_line: usize::MAX, max_lines: None })
}

/// The text of `error`: its own message, then its causes, outermost first.
///
/// Causes are indented below `Caused by:`; most callers show the first line only.
pub fn describe(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    if cause.is_some() {
        text.push_str("\n\nCaused by:");
    }
    while let Some(error) = cause {
        for line in error.to_string().lines() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n    {line}");
        }
        cause = error.source();
    }
    bounded(text)
}

/// The text of an error on one line, for the log: its causes follow a colon, its other lines a semicolon. Left out are
/// quoted source lines, which parsers show with a caret below, and the backtrace.
pub fn summary(text: &str) -> String {
    let mut line = String::new();
    let mut separator = "";
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty() && !is_source(part)) {
        match part {
            "wasm backtrace:" => break,
            "Caused by:" => separator = ": ",
            _ => {
                line.extend([separator, part]);
                separator = "; ";
            }
        }
    }
    line
}

/// Whether a line of a parser's error shows a line of what was parsed: `12 | text`, or ` | ^` below it.
fn is_source(line: &str) -> bool {
    line.trim_start_matches(|character: char| character.is_ascii_digit()).trim_start().starts_with('|')
}

/// At most 64 KiB of `text`, the text of an error, with a note of what is left out.
pub(crate) fn bounded(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let kept = text.floor_char_boundary(MAX_TEXT);
        let left_out = text.len() - kept;
        text.truncate(kept);
        let _ = write!(text, "... {left_out} more bytes");
    }
    text
}

/// `text` as a C string. NUL bytes, which would end it early, become `\0`.
pub fn to_c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}

/// The bounds of a quoted text.
#[derive(Debug, Clone, Copy)]
struct Form {
    /// The maximum length of a line, in bytes.
    max_line: usize,
    /// The maximum number of lines; `None` makes it a single line.
    max_lines: Option<usize>,
}

fn written(text: impl Display, form: Form) -> String {
    let mut writer = Writer { text: String::new(), form, line_start: 0, lines: 1, left_out: 0 };
    // Only the text's own `Display` can fail; the text then ends there.
    let _ = write!(writer, "{text}");
    writer.end_line();
    writer.text
}

struct Writer {
    text: String,
    form: Form,
    /// Offset in `text` at which the last line begins.
    line_start: usize,
    lines: usize,
    /// Bytes of the last line that do not fit.
    left_out: usize,
}

impl Writer {
    /// Appends how much of the last line is left out.
    fn end_line(&mut self) {
        if self.left_out > 0 {
            // Writing to a String cannot fail.
            let _ = write!(self.text, "... {} more bytes", self.left_out);
        }
        self.left_out = 0;
    }

    fn push(&mut self, character: char) {
        if character == '\n' && self.form.max_lines.is_some_and(|max| self.lines < max) {
            self.end_line();
            self.text.push('\n');
            (self.line_start, self.lines) = (self.text.len(), self.lines + 1);
            return;
        }
        let end = self.text.len();
        if self.left_out == 0 {
            if is_unseen(character) {
                self.text.extend(character.escape_default());
            } else {
                self.text.push(character);
            }
        }
        if self.left_out > 0 || self.text.len() - self.line_start > self.form.max_line {
            self.text.truncate(end);
            self.left_out += character.len_utf8();
        }
    }
}

impl Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (at, character) in text.char_indices() {
            if self.left_out > 0 && self.form.max_lines.is_none_or(|max| self.lines == max) {
                self.left_out += text.len() - at;
                break;
            }
            self.push(character);
        }
        Ok(())
    }
}

/// True for characters that start a new line, drive a terminal, or change the order in which a text is shown.
pub(crate) fn is_unseen(character: char) -> bool {
    let reorders = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(character, '\u{2028}' | '\u{2029}');
    (character.is_control() && character != '\t') || reorders || breaks
}

#[cfg(test)]
mod tests {
    use super::{Excerpt, MAX_LINES, MAX_TEXT, Message, describe, one_line, summary, to_c_string};
    use thiserror::Error;

    #[derive(Debug, Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, Error)]
    #[error("inner \"quoted\"\nsecond line")]
    struct Inner;

    #[derive(Debug, Error)]
    #[error("{0}")]
    struct Long(String);

    #[test]
    fn causes_are_listed_under_the_message() {
        assert_eq!(describe(&Outer(Inner)), "outer\n\nCaused by:\n    inner \"quoted\"\n    second line");
        assert_eq!(describe(&Inner), "inner \"quoted\"\nsecond line");
    }

    #[test]
    fn a_summary_has_the_causes_on_one_line() {
        for (text, expected) in [
            ("", ""),
            ("one line", "one line"),
            ("outer\n\nCaused by:\n    inner", "outer: inner"),
            ("a\n\nCaused by:\n    b\n\n    Caused by:\n        c", "a: b: c"),
            ("a\n\nCaused by:\n    trap\n    wasm backtrace:\n        0: main!f [0]\n", "a: trap"),
            ("unknown import\nadvice", "unknown import; advice"),
            (
                "TOML parse error at line 1\n  |\n1 | [a\n  |  ^\nunclosed table\n",
                "TOML parse error at line 1; unclosed table",
            ),
            ("expected `)`\n     --> a.wat:1:8\n      |\n    1 | (module\n      |    ^", "expected `)`; --> a.wat:1:8"),
        ] {
            assert_eq!(summary(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_whole_error_has_a_bound() {
        let text = describe(&Long("é".repeat(MAX_TEXT)));
        assert!(text.len() < MAX_TEXT + 50 && text.ends_with("é... 65536 more bytes"), "{}", text.len());
        assert_eq!(describe(&Long("x".repeat(MAX_TEXT))).len(), MAX_TEXT);
    }

    #[test]
    fn nul_bytes_do_not_cut_the_text() {
        assert_eq!(to_c_string("a\0b").to_bytes(), b"a\\0b");
    }

    #[test]
    fn control_characters_are_spelled_out() {
        let text = "a\nb\u{1b}[1m\tc \"q\" é\u{9b}\u{202e}\u{2028}\0";
        let shown = "a\\nb\\u{1b}[1m\tc \"q\" é\\u{9b}\\u{202e}\\u{2028}\\u{0}";
        assert_eq!(one_line(text), shown);
        assert_eq!(Excerpt::of(text).as_str(), shown);
    }

    #[test]
    fn excerpts_are_cut() {
        for (text, shown) in [
            (String::new(), String::new()),
            ("x".repeat(256), "x".repeat(256)),
            ("x".repeat(257), format!("{}... 1 more bytes", "x".repeat(256))),
            ("é".repeat(200), format!("{}... 144 more bytes", "é".repeat(128))),
            ("\n".repeat(200), format!("{}... 72 more bytes", "\\n".repeat(128))),
            (format!("{}\n", "x".repeat(255)), format!("{}... 1 more bytes", "x".repeat(255))),
        ] {
            assert_eq!(Excerpt::of(&text).as_str(), shown, "{} bytes", text.len());
            let in_pieces = Excerpt::of(format_args!("{}{}", &text[..text.len() / 4 * 2], &text[text.len() / 4 * 2..]));
            assert_eq!(in_pieces.as_str(), shown, "{} bytes in two pieces", text.len());
        }
        assert_eq!(one_line("x".repeat(1000)).len(), 1000);
    }

    #[test]
    fn messages_are_cut_by_lines() {
        let text = format!("first\r\n{}\nlast\n", "x".repeat(600));
        let shown = format!("first\\r\n{}... 88 more bytes\nlast", "x".repeat(512));
        assert_eq!(Message::of(text).to_string(), shown);
        let many = Message::of("line\n".repeat(1000)).to_string();
        assert_eq!(many.lines().count(), MAX_LINES, "{many}");
        assert!(many.ends_with(" more bytes"), "{many}");
    }
}
