//! Reading a file whole.

use std::fs::File;
use std::io::{self, Read as _};

/// The contents of `file`, which is `expected` bytes long as far as anybody knows; `None` if it has more than `max`.
///
/// # Errors
/// It cannot be read.
pub(crate) fn whole(mut file: &File, expected: u64, max: u64) -> io::Result<Option<Vec<u8>>> {
    if expected > max {
        return Ok(None);
    }
    // Room for all of it at once: the standard library begins with little, and asks again and again.
    let mut bytes = Vec::new();
    let length = usize::try_from(expected).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(length).map_err(io::Error::other)?;
    bytes.resize(length, 0);
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    // What it has grown by since; one byte more than allowed tells a file that is too large from one that just fits.
    file.take((max - filled as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::whole;
    use std::fs::{self, File};

    #[test]
    fn files_are_read_whole_whatever_is_expected() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "contents").expect("writable");
        let read = |expected, max| whole(&File::open(&path).expect("there"), expected, max).expect("readable");
        for expected in [0, 3, 8, 20] {
            assert_eq!(read(expected, 20).as_deref(), Some(&b"contents"[..]), "{expected}");
        }
        assert_eq!(read(8, 8).as_deref(), Some(&b"contents"[..]));
        assert_eq!([read(8, 7), read(0, 7), read(0, 0)], [None, None, None]);
        assert_eq!(read(8, u64::MAX).as_deref(), Some(&b"contents"[..]));
    }
}
