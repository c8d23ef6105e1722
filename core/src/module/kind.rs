//! Names the kind of bytes that should be a module, by how they begin. Only the text of errors depends on the names.

/// The first bytes of WebAssembly's binary format.
const MAGIC: &[u8] = b"\0asm";

/// The next bytes: version 1.
#[cfg(feature = "compiler")]
const VERSION: &[u8] = &[1, 0, 0, 0];

/// True if `bytes` are, or begin like, WebAssembly in its binary format.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// True if `bytes` begin like WebAssembly's text format, which can be nothing but parentheses and comments. A byte
/// order mark may come first. All that any Extism version takes for text is among this.
pub(crate) fn is_wat(bytes: &[u8]) -> bool {
    let text = without_mark(bytes).trim_ascii_start();
    text.starts_with(b"(") || text.starts_with(b";;")
}

/// `bytes` without the byte order mark of UTF-8 that some editors put before texts.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The kind of bytes that are no module, if it can be told: for a sentence such as "it is ...".
pub(crate) fn of(bytes: &[u8]) -> &'static str {
    let text = without_mark(bytes).trim_ascii_start();
    match (bytes, text) {
        ([], _) => "empty",
        (_, []) => NOTHING,
        _ => known(bytes).or_else(|| marked_up(text)).unwrap_or_else(|| other(bytes)),
    }
}

const NOTHING: &str = "empty but for white space";

/// Formats that are recognised by their first bytes.
fn known(bytes: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 16] = [
        (
            b"version https://git-lfs.github.com/spec/",
            "a pointer of Git LFS, and not the file it stands for (git lfs pull)",
        ),
        (b"AGFzbQ", "a WebAssembly module in base64, which has to be decoded"),
        (b"0061736d", "a WebAssembly module in hex, which has to be decoded"),
        (b"\x1f\x8b", "compressed with gzip"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"\xfd7zXZ\0", "compressed with xz"),
        (b"BZh", "compressed with bzip2"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x7fELF", "a native program or library (ELF)"),
        (b"\xcf\xfa\xed\xfe", "a native program or library (Mach-O)"),
        (b"MZ", "a native program or library (Windows)"),
        (b"!<arch>\n", "an archive of object files"),
        (b"BC\xc0\xde", "LLVM bitcode"),
        (b"%PDF-", "a PDF document"),
        (b"\xff\xfe", "text in UTF-16, and UTF-8 is read"),
        (b"\xfe\xff", "text in UTF-16, and UTF-8 is read"),
    ];
    KINDS.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, kind)| *kind)
}

/// Texts that are recognised by how they begin.
fn marked_up(text: &[u8]) -> Option<&'static str> {
    let begins =
        |start: &str| text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes()));
    if begins("<!doctype html") || begins("<html") {
        return Some("an HTML page");
    }
    match text.first()? {
        b'<' => Some("XML or HTML"),
        b'{' => Some("text that looks like JSON"),
        b'"' => Some("a JSON string"),
        _ => is_yaml(text).then_some("text that looks like YAML"),
    }
}

/// Whether `text` looks like a manifest in YAML: it begins with `---` or a key alone on its line, or has the line
/// `wasm:`.
fn is_yaml(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let line = lines.next().unwrap_or_default();
    let is_key = |key: &[u8]| !key.is_empty() && key.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    line == b"---" || line.strip_suffix(b":").is_some_and(is_key) || lines.any(|line| line == b"wasm:")
}

const TEXT: &str = "text of another kind";

pub(crate) fn is_known(kind: &str) -> bool {
    kind != TEXT && kind != NOTHING
}

fn other(bytes: &[u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => TEXT,
        _ => "data of an unknown kind",
    }
}

/// The end of a binary module's sections, by their sizes, against the end of its bytes.
#[cfg(feature = "compiler")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// To the end of the bytes, or nobody can tell.
    Whole,
    /// Beyond them: to this byte at least.
    Cut { end: u64 },
    /// To this byte, after which no other section can begin.
    Extra { end: usize },
}

/// The extent of the binary module `bytes`. Faults inside of sections are left to the validator.
#[cfg(feature = "compiler")]
pub(crate) fn extent(bytes: &[u8]) -> Extent {
    let header = MAGIC.len() + VERSION.len();
    if bytes.len() < header {
        return Extent::Cut { end: header as u64 };
    }
    if bytes[MAGIC.len()..header] != *VERSION {
        return Extent::Whole;
    }
    let (mut at, mut last) = (header, 0);
    while let Some(id) = bytes.get(at) {
        let place = ORDER.iter().position(|other| other == id).map_or(0, |place| place + 1);
        if bytes[at..].iter().all(|byte| *byte == 0) {
            return Extent::Extra { end: at };
        }
        let is_section = *id == CUSTOM || place > last;
        let no_room = |end| if is_section { Extent::Cut { end } } else { Extent::Extra { end: at } };
        // The section's id, then its size.
        let Some((size, start)) = number(bytes, at + 1) else {
            // There may be no more of it, or too much.
            let is_short = bytes.len() - at <= MAX_NUMBER;
            return if is_short { no_room(bytes.len() as u64 + 1) } else { Extent::Whole };
        };
        let end = start as u64 + u64::from(size);
        match usize::try_from(end) {
            Ok(end) if end <= bytes.len() => at = end,
            _ => return no_room(end),
        }
        last = last.max(place);
    }
    Extent::Whole
}

/// The id of custom sections, which may stand between any others.
#[cfg(feature = "compiler")]
const CUSTOM: u8 = 0;

/// The ids of the other sections in the order that they have in a module, each at most once.
#[cfg(feature = "compiler")]
const ORDER: [u8; 13] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

/// The most bytes of a number.
#[cfg(feature = "compiler")]
const MAX_NUMBER: usize = 5;

/// The 32-bit number at offset `at` in WebAssembly's encoding (LEB128), and the offset of its end. `None` if it is
/// malformed; the validator reports that.
#[cfg(feature = "compiler")]
fn number(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let mut value = 0_u32;
    for (place, byte) in bytes.get(at..)?.iter().take(MAX_NUMBER).enumerate() {
        value |= u32::from(byte & 0x7f).checked_shl(7 * place as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, at + place + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "compiler")]
    use super::{Extent, extent};
    use super::{is_binary, is_wat, of, without_mark};

    #[test]
    fn what_is_no_module_has_a_name() {
        for (bytes, kind) in [
            (&b""[..], "empty"),
            (b" \r\n", "empty but for white space"),
            (b"\xef\xbb\xbf", "empty but for white space"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "a pointer of Git LFS"),
            (b"\x1f\x8b\x08", "compressed with gzip"),
            (b"\n<!DOCTYPE HTML><html>", "an HTML page"),
            (b"<HTML>", "an HTML page"),
            (b"<?xml version=\"1.0\"?>", "XML"),
            (b"{\"error\": 404}", "text that looks like JSON"),
            (b"\"plugin.wasm\"", "a JSON string"),
            (b"404: Not Found", "text of another kind"),
            (b"Not found:\n  /plugin.wasm", "text of another kind"),
            (b"wasm:\r\n  - path: a.wasm\r\n", "text that looks like YAML"),
            (b"---\nwasm: []\n", "text that looks like YAML"),
            (b"config: {}\nwasm:\n  - path: a.wasm\n", "text that looks like YAML"),
            (b"AGFzbQEAAAA=", "a WebAssembly module in base64"),
            (b"0061736d01000000", "a WebAssembly module in hex"),
            (b"\0\x01\x02", "data of an unknown kind"),
            (b"\x7fELF\x02", "a native program"),
            (b"\xff\xfe(\0", "text in UTF-16"),
        ] {
            assert!(of(bytes).starts_with(kind), "{bytes:?}: {}", of(bytes));
            assert!(!is_binary(bytes) && !is_wat(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn text_may_begin_with_a_mark() {
        for text in ["(module)", "\u{feff}(module)", "\u{feff} \n;; comment\n(module)", "(; comment ;)(module)"] {
            assert!(is_wat(text.as_bytes()), "{text}");
            assert!(!without_mark(text.as_bytes()).starts_with(b"\xef"), "{text}");
        }
    }

    #[cfg(feature = "compiler")]
    #[test]
    fn what_is_cut_off_is_told() {
        // A type section of 4 bytes, and a custom section.
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\0\x05\x04name";
        assert_eq!(extent(module), Extent::Whole);
        for length in 0..module.len() {
            let is_cut = matches!(extent(&module[..length]), Extent::Cut { end } if end > length as u64);
            // With one zero more, as C's texts have at their end.
            assert_ne!(is_cut, [8, 14, 15].contains(&length), "{length} bytes");
        }
        assert_eq!(extent(&module[..12]), Extent::Cut { end: 14 });
        let end = 14 + u64::from(u32::MAX);
        assert_eq!(extent(b"\0asm\x01\0\0\0\x00\xff\xff\xff\xff\x0f"), Extent::Cut { end });
        assert_eq!(extent(b"\0asm\x0d\0\x01\0\x00\x7f"), Extent::Whole, "a component");
    }

    #[cfg(feature = "compiler")]
    #[test]
    fn what_follows_the_end_is_told() {
        // A section of types and one of code, both empty: `\n`, which is 10, begins no second one.
        let module = b"\0asm\x01\0\0\0\x01\x01\0\x0a\x01\0";
        for extra in ["\n", "\ntrailing text", "trailing", "\0", "\0\0\0"] {
            let extent = extent(&[module, extra.as_bytes()].concat());
            assert_eq!(extent, Extent::Extra { end: module.len() }, "{extra:?}");
        }
        // A section of data may follow; one that is unknown, and whole, is the validator's.
        assert_eq!(extent(&[module, &[11, 5][..]].concat()), Extent::Cut { end: 21 });
        assert_eq!(extent(&[module, &[14, 1, 0][..]].concat()), Extent::Whole);
    }
}
