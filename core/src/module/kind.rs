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
/// order mark may come first.
pub(crate) fn is_wat(bytes: &[u8]) -> bool {
    let text = without_mark(bytes).trim_ascii_start();
    text.starts_with(b"(") || text.starts_with(b";;")
}

/// `bytes` without the byte order mark of UTF-8 that some editors put before texts.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The kind of bytes that are no module, if it can be told: for a sentence such as "it is ...".
pub fn of(bytes: &[u8]) -> &'static str {
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
    const KINDS: [(&[u8], &str); 14] = [
        (
            b"version https://git-lfs.github.com/spec/",
            "a pointer of Git LFS, and not the file it stands for (git lfs pull)",
        ),
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
        _ => None,
    }
}

/// Text of no recognised kind.
const TEXT: &str = "text of another kind";

/// True if `kind` is a recognised kind.
pub(crate) fn is_known(kind: &str) -> bool {
    kind != TEXT && kind != NOTHING
}

fn other(bytes: &[u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => TEXT,
        _ => "data of an unknown kind",
    }
}

#[cfg(feature = "compiler")]
/// If the binary module `bytes` is cut off, in its header or in a section: the least length of the whole, in bytes.
pub(crate) fn cut_before(bytes: &[u8]) -> Option<u64> {
    let header = MAGIC.len() + VERSION.len();
    if bytes.len() < header {
        return Some(header as u64);
    }
    if bytes[MAGIC.len()..header] != *VERSION {
        return None;
    }
    let mut at = header;
    while at < bytes.len() {
        // The section's id, then its size.
        let Some((size, start)) = number(bytes, at + 1) else {
            // The number is cut off, or is too long.
            return (bytes.len() - at <= MAX_NUMBER).then_some(bytes.len() as u64 + 1);
        };
        let end = start as u64 + u64::from(size);
        match usize::try_from(end) {
            Ok(end) if end <= bytes.len() => at = end,
            _ => return Some(end),
        }
    }
    None
}

/// The maximum length of a number of 32 bits, in bytes.
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
    use super::cut_before;
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
        assert_eq!(cut_before(module), None);
        for length in 0..module.len() {
            assert_eq!(cut_before(&module[..length]).is_none(), [8, 14].contains(&length), "{length} bytes");
        }
        assert_eq!(cut_before(&module[..12]), Some(14));
        assert_eq!(cut_before(b"\0asm\x01\0\0\0\x00\xff\xff\xff\xff\x0f"), Some(14 + u64::from(u32::MAX)));
        assert_eq!(cut_before(b"\0asm\x0d\0\x01\0\x00\x7f"), None, "a component");
    }
}
