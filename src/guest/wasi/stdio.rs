//! Where a plugin's standard output and error go: line by line to the log, or to the host's own when the variable
//! `EXTISM_ENABLE_WASI_OUTPUT` is set.

use std::io::{self, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use log::Level;
use wasmer_wasix::virtual_fs::{AsyncRead, AsyncSeek, AsyncWrite, FsError, ReadBuf, VirtualFile};

use crate::log as sink;

/// A line longer than this is logged in pieces.
const MAX_LINE: usize = 8 << 10;

type File = Box<dyn VirtualFile + Send + Sync + 'static>;

/// Standard output: inherited, or logged as information.
pub(super) fn stdout() -> File {
    if inherits() { Box::new(Output(Inherited(io::stdout()))) } else { Box::new(Output(Lines::new(Level::Info))) }
}

/// Standard error: inherited, or logged as warnings.
pub(super) fn stderr() -> File {
    if inherits() { Box::new(Output(Inherited(io::stderr()))) } else { Box::new(Output(Lines::new(Level::Warn))) }
}

fn inherits() -> bool {
    std::env::var_os("EXTISM_ENABLE_WASI_OUTPUT").is_some()
}

/// Something to write to; [`Output`] makes a file of it.
trait Target: std::fmt::Debug + Send + Sync + Unpin + 'static {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// One of the host's own streams.
#[derive(Debug)]
struct Inherited<W>(W);

impl<W: Write + std::fmt::Debug + Send + Sync + Unpin + 'static> Target for Inherited<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }
}

/// Whole lines to the log.
#[derive(Debug)]
struct Lines {
    level: Level,
    line: Vec<u8>,
}

impl Lines {
    fn new(level: Level) -> Self {
        Self { level, line: Vec::new() }
    }

    fn end_line(&mut self) {
        // Taken first: should the host's logger panic, the line is not logged again.
        let line = std::mem::take(&mut self.line);
        sink::record(self.level, "extism::plugin", format_args!("{}", String::from_utf8_lossy(&line)));
    }
}

impl Target for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            for chunk in text.chunks(MAX_LINE) {
                if self.line.len() + chunk.len() > MAX_LINE {
                    self.end_line();
                }
                self.line.extend_from_slice(chunk);
            }
            if ended {
                self.end_line();
            }
        }
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            // A panic of the host's logger must not leave a destructor.
            let _ = catch_unwind(AssertUnwindSafe(|| self.end_line()));
        }
    }
}

/// A file that can only be written to.
#[derive(Debug)]
struct Output<T>(T);

impl<T: Target> AsyncWrite for Output<T> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.write(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl<T: Target> AsyncRead for Output<T> {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl<T: Target> AsyncSeek for Output<T> {
    fn start_seek(self: Pin<&mut Self>, _: SeekFrom) -> io::Result<()> {
        Err(io::ErrorKind::NotSeekable.into())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Err(io::ErrorKind::NotSeekable.into()))
    }
}

impl<T: Target> VirtualFile for Output<T> {
    fn last_accessed(&self) -> u64 {
        0
    }

    fn last_modified(&self) -> u64 {
        0
    }

    fn created_time(&self) -> u64 {
        0
    }

    fn size(&self) -> u64 {
        0
    }

    fn set_len(&mut self, _: u64) -> Result<(), FsError> {
        Err(FsError::PermissionDenied)
    }

    fn unlink(&mut self) -> Result<(), FsError> {
        Err(FsError::PermissionDenied)
    }

    fn poll_read_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(0))
    }

    fn poll_write_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(MAX_LINE))
    }
}
