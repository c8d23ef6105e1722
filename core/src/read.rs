//! Opens files, and reads them whole.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Instant;

use rustix::buffer::spare_capacity;

/// The number of bytes that are read at once: as many as the cache of one CPU core holds.
pub(crate) const CHUNK: usize = 256 << 10;

/// Opens a file. Does not wait for the other end of a FIFO.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    options.open(path)
}

/// Calls `take` with the contents of `file`, at most [`CHUNK`] bytes at a time.
///
/// # Errors
/// The file cannot be read, or `take` fails.
pub(crate) fn pieces(file: &File, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let (mut chunk, mut offset) = (Vec::with_capacity(CHUNK), 0);
    loop {
        chunk.clear();
        match rustix::io::pread(file, spare_capacity(&mut chunk), offset) {
            Ok(0) => return Ok(()),
            Ok(_) => take(&chunk)?,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        offset += chunk.len() as u64;
    }
}

/// The contents of the regular `file`; `None` if more than `max` bytes are `expected`, or there are more. Looks at
/// `deadline`, if there is one, every few megabytes.
///
/// # Errors
/// The file cannot be read, or the deadline passes.
pub(crate) fn whole(file: &File, expected: u64, max: u64, deadline: Option<Instant>) -> io::Result<Option<Vec<u8>>> {
    /// In bytes: some milliseconds.
    const PIECE: u64 = 4 << 20;
    if expected > max {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    while bytes.len() as u64 <= max {
        let offset = bytes.len() as u64;
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(io::Error::new(ErrorKind::TimedOut, format!("timeout after {offset} of {expected} bytes")));
        }
        // One byte more than expected, to see the end of the file.
        let left = expected.saturating_sub(offset).saturating_add(1);
        let piece = if deadline.is_some() { left.min(PIECE) } else { left };
        let piece = usize::try_from(piece).unwrap_or(usize::MAX);
        bytes.try_reserve_exact(piece).map_err(io::Error::other)?;
        match rustix::io::pread(file, spare_capacity(&mut bytes), offset) {
            Ok(0) => return Ok(Some(bytes)),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::whole;
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::time::{Duration, Instant};

    #[test]
    fn files_are_read_whole_whatever_is_expected() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "contents").expect("writable");
        let read = |expected, max| whole(&File::open(&path).expect("there"), expected, max, None).expect("readable");
        for expected in [0, 3, 8, 20] {
            assert_eq!(read(expected, 20).as_deref(), Some(&b"contents"[..]), "{expected}");
        }
        assert_eq!(read(8, 8).as_deref(), Some(&b"contents"[..]));
        assert_eq!([read(8, 7), read(0, 7), read(0, 0)], [None, None, None]);
        assert_eq!(read(8, u64::MAX).as_deref(), Some(&b"contents"[..]));
    }

    #[test]
    fn reading_ends_at_the_deadline() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        // More than one piece, the last one not full; 900 MB without blocks.
        let bytes: Vec<u8> = (0..9_000_001_u32).map(|number| (number % 251) as u8).collect();
        fs::write(&path, &bytes).expect("writable");
        let read = |expected, max, deadline| whole(&File::open(&path).expect("there"), expected, max, deadline);
        let later = Some(Instant::now() + Duration::from_secs(3600));
        for (expected, deadline) in [(9_000_001, None), (9_000_001, later), (0, later), (10_000_000, later)] {
            let found = read(expected, 10_000_000, deadline).expect("in time");
            assert!(found.as_ref() == Some(&bytes), "{expected}");
        }
        assert_eq!(read(9_000_001, 9_000_000, later).expect("in time"), None);
        assert_eq!(read(0, 9_000_000, later).expect("in time"), None);
        File::options().write(true).open(&path).expect("ours").set_len(900_000_000).expect("without blocks");
        let error = read(900_000_000, 1 << 30, Some(Instant::now())).expect_err("too late");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::TimedOut, "timeout after 0 of 900000000 bytes")
        );
    }
}
