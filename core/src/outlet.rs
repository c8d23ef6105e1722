//! Writing to a log, or to the process's own output, without waiting for its reader.
//!
//! A pipe, terminal or socket that nobody reads from is full at some point, and an ordinary write then waits for ever.
//! A thread that holds a lock, or that must keep a plugin's deadline, must not wait there. Setting `O_NONBLOCK` on the
//! process's own streams is not possible: the flag belongs to the open file, which the host, its parent and its
//! children share. Each kind of file is therefore written to in a way that applies to this one write:
//!
//! - a regular file: by an ordinary write, which waits for no reader;
//! - a socket: with `MSG_DONTWAIT`;
//! - a pipe: with `RWF_NOWAIT` (Linux 6.4 and later);
//! - a terminal, and a pipe on older kernels: opened again through `/proc/self/fd` with `O_NONBLOCK`, for this one
//!   write. It is not kept open, because a pipe's reader sees the end only when the last writer has closed it;
//! - where opening fails, such as for another user's pipe: after `poll` has reported room, with no more than fits into
//!   that. Only this write may wait, if another thread or process fills the room in between.
//!
//! Files that the library opens for itself have `O_NONBLOCK`.
#![expect(unsafe_code, reason = "poll and send are C's")]

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FileType, fstat};

use crate::write_signals;

/// The number of bytes that a pipe takes without waiting once `poll` reports room: POSIX's `PIPE_BUF` on Linux.
const PIPE_ROOM: usize = 4096;

/// An open destination of output. No method but [`wait`](Self::wait) waits for a reader.
#[derive(Debug)]
pub(crate) enum Outlet {
    /// The process's current standard output: a host may replace the file.
    Stdout,
    Stderr,
    /// A file that is open with `O_NONBLOCK`.
    File(File),
}

impl Outlet {
    /// Opens a file to append to. Makes it if it is missing. Opening a FIFO fails while nobody reads from it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        options.open(path).map(Self::File)
    }

    /// Writes as much of `bytes` as the file takes at once; the error `WouldBlock` if it takes nothing at the moment. A
    /// failed write raises no signal.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        write_signals::held(|| match self {
            Self::Stdout => write_shared(io::stdout().as_fd(), bytes),
            Self::Stderr => write_shared(io::stderr().as_fd(), bytes),
            Self::File(file) => (&*file).write(bytes),
        })
    }

    /// Waits until the file may take more, a signal arrives, or the time is over.
    pub(crate) fn wait(&self, at_most: Duration) {
        match self {
            Self::Stdout => poll(io::stdout().as_fd(), at_most),
            Self::Stderr => poll(io::stderr().as_fd(), at_most),
            Self::File(file) => poll(file.as_fd(), at_most),
        };
    }
}

/// Writes to a file whose flags the library must not change.
fn write_shared(file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    match FileType::from_raw_mode(fstat(file)?.st_mode) {
        FileType::Socket => send(file, bytes),
        FileType::Fifo | FileType::CharacterDevice => match write_now(file, bytes) {
            Err(error) if error.kind() == ErrorKind::Unsupported => match reopen(file) {
                Ok(mut opened) => opened.write(bytes),
                Err(_) if poll(file, Duration::ZERO) => {
                    Ok(rustix::io::write(file, &bytes[..bytes.len().min(PIPE_ROOM)])?)
                }
                Err(_) => Err(ErrorKind::WouldBlock.into()),
            },
            outcome => outcome,
        },
        _ => Ok(rustix::io::write(file, bytes)?),
    }
}

/// Writes without waiting; `Unsupported` if the kernel cannot do so with this file.
#[cfg(target_os = "linux")]
fn write_now(file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    use rustix::io::{Errno, ReadWriteFlags, pwritev2};
    // An offset of -1 stands for the file's current position.
    match pwritev2(file, &[IoSlice::new(bytes)], u64::MAX, ReadWriteFlags::NOWAIT) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Err(ErrorKind::Unsupported.into()),
        outcome => Ok(outcome?),
    }
}

#[cfg(not(target_os = "linux"))]
fn write_now(_: BorrowedFd<'_>, _: &[u8]) -> io::Result<usize> {
    Err(ErrorKind::Unsupported.into())
}

/// Opens the file behind `file` again, with `O_NONBLOCK`; `file` itself keeps its flags.
fn reopen(file: BorrowedFd<'_>) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the borrow keeps the socket open, and `send` reads exactly the bytes of the slice.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// True if a write to `file` would not wait: it takes something, or fails.
fn poll(file: BorrowedFd<'_>, at_most: Duration) -> bool {
    let mut asked = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // Rounded up: 0 would not wait.
    let milliseconds = at_most.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(libc::c_int::MAX);
    // SAFETY: `poll` gets one entry, which it may write to.
    unsafe { libc::poll(&raw mut asked, 1, milliseconds) > 0 }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{self, ErrorKind, Read as _, Write as _};
    use std::os::fd::{AsFd as _, BorrowedFd};
    use std::time::Duration;

    use super::{poll, reopen, write_shared};

    /// The second way is the one for older kernels.
    #[test]
    fn a_full_pipe_is_not_waited_for() {
        type Way = fn(BorrowedFd<'_>, &[u8]) -> io::Result<usize>;
        let ways: [(&str, Way); 2] = [
            ("the kernel's way", write_shared),
            ("opened anew", |file, bytes| reopen(file).expect("/proc is there").write(bytes)),
        ];
        for (case, write) in ways {
            let (mut reader, writer) = io::pipe().expect("descriptors are left");
            let bytes = [7; 4096];
            let fill = || loop {
                match write(writer.as_fd(), &bytes) {
                    Ok(count) => assert_eq!(count, bytes.len(), "{case}"),
                    Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock, "{case}: {error}"),
                }
            };
            assert!(poll(writer.as_fd(), Duration::ZERO), "{case}");
            fill();
            assert!(!poll(writer.as_fd(), Duration::from_millis(1)), "{case}");
            reader.read_exact(&mut [0; 4096]).expect("it is full");
            assert!(poll(writer.as_fd(), Duration::ZERO), "{case}");
            fill();
        }
    }
}
