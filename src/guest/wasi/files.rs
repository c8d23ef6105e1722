//! What a plugin sees of the host's files: the directories of `allowed_paths` and, around them, a root that is empty
//! and cannot be written to.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io::{self, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use wasmer_wasix::WasiEnvBuilder;
use wasmer_wasix::virtual_fs::{
    AsyncRead, AsyncSeek, AsyncWrite, EmptyFileSystem, FileOpener, FileSystem, FsError, Metadata, MountFileSystem,
    OpenOptions, OpenOptionsConfig, ReadBuf, ReadDir, VirtualFile, host_fs,
};

use super::{Error, runtime};

type SharedFileSystem = Arc<dyn FileSystem + Send + Sync>;

/// Puts the directories of `allowed_paths`, host path to guest path, into the plugin's view.
pub(super) fn mount(
    builder: WasiEnvBuilder,
    allowed_paths: &BTreeMap<String, String>,
) -> Result<WasiEnvBuilder, Error> {
    let root = MountFileSystem::new();
    let mut builder = builder;
    let mut taken = BTreeSet::new();
    for (host, guest) in allowed_paths {
        let failed = |cause: String| Error::Directory { host: host.clone(), cause };
        let guest_path = guest_path(guest).ok_or_else(|| failed(format!("`{guest}` is not a path")))?;
        if !taken.insert(guest_path.clone()) {
            return Err(Error::DuplicateMapping(guest.clone()));
        }
        let (host_path, read_only) = host.strip_prefix("ro:").map_or((host.as_str(), false), |path| (path, true));
        root.mount(&guest_path, open(host_path, read_only).map_err(failed)?)
            .map_err(|error| failed(error.to_string()))?;
        let alias = guest_path.to_string_lossy().into_owned();
        builder = builder
            .preopen_build(|preopen| {
                preopen.directory(&guest_path).alias(&alias).read(true).write(!read_only).create(!read_only)
            })
            .map_err(|error| failed(error.to_string()))?;
    }
    if !taken.contains(Path::new("/")) {
        root.mount("/", Arc::new(EmptyFileSystem::default())).map_err(|error| Error::Setup(error.to_string()))?;
    }
    Ok(builder.mount_fs(root))
}

/// Opens a directory of the host.
fn open(path: &str, read_only: bool) -> Result<SharedFileSystem, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_dir() {
        return Err("Not a directory".to_owned());
    }
    let files = host_fs::FileSystem::new(runtime::handle().clone(), path).map_err(|error| error.to_string())?;
    Ok(if read_only { Arc::new(ReadOnly(files)) } else { Arc::new(files) })
}

/// `path` as an absolute path without `.` and `..`.
fn guest_path(path: &str) -> Option<PathBuf> {
    let mut absolute = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => absolute.push(name),
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (!path.is_empty()).then_some(absolute)
}

/// A file system that refuses every change.
#[derive(Debug)]
struct ReadOnly<F>(F);

impl<F: FileSystem> FileSystem for ReadOnly<F> {
    fn readlink(&self, path: &Path) -> Result<PathBuf, FsError> {
        self.0.readlink(path)
    }

    fn read_dir(&self, path: &Path) -> Result<ReadDir, FsError> {
        self.0.read_dir(path)
    }

    fn metadata(&self, path: &Path) -> Result<Metadata, FsError> {
        self.0.metadata(path)
    }

    fn symlink_metadata(&self, path: &Path) -> Result<Metadata, FsError> {
        self.0.symlink_metadata(path)
    }

    fn create_dir(&self, _: &Path) -> Result<(), FsError> {
        Err(FsError::PermissionDenied)
    }

    fn create_symlink(&self, _: &Path, _: &Path) -> Result<(), FsError> {
        Err(FsError::PermissionDenied)
    }

    fn hard_link(&self, _: &Path, _: &Path) -> Result<(), FsError> {
        Err(FsError::PermissionDenied)
    }

    fn remove_dir(&self, _: &Path) -> Result<(), FsError> {
        Err(FsError::PermissionDenied)
    }

    fn remove_file(&self, _: &Path) -> Result<(), FsError> {
        Err(FsError::PermissionDenied)
    }

    fn rename<'a>(
        &'a self,
        _: &'a Path,
        _: &'a Path,
    ) -> Pin<Box<dyn Future<Output = Result<(), FsError>> + Send + 'a>> {
        Box::pin(async { Err(FsError::PermissionDenied) })
    }

    fn new_open_options(&self) -> OpenOptions<'_> {
        OpenOptions::new(self)
    }
}

impl<F: FileSystem> FileOpener for ReadOnly<F> {
    fn open(
        &self,
        path: &Path,
        options: &OpenOptionsConfig,
    ) -> Result<Box<dyn VirtualFile + Send + Sync + 'static>, FsError> {
        if options.would_mutate() {
            return Err(FsError::PermissionDenied);
        }
        let file = self.0.new_open_options().options(options.clone()).open(path)?;
        Ok(Box::new(ReadOnlyFile(file)))
    }
}

/// An open file that can be read; also what works on the file behind it, such as removing it, is refused.
#[derive(Debug)]
struct ReadOnlyFile(Box<dyn VirtualFile + Send + Sync + 'static>);

impl AsyncRead for ReadOnlyFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncSeek for ReadOnlyFile {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.0).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.0).poll_complete(context)
    }
}

impl AsyncWrite for ReadOnlyFile {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::PermissionDenied.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl VirtualFile for ReadOnlyFile {
    fn last_accessed(&self) -> u64 {
        self.0.last_accessed()
    }

    fn last_modified(&self) -> u64 {
        self.0.last_modified()
    }

    fn created_time(&self) -> u64 {
        self.0.created_time()
    }

    fn set_times(&mut self, _: Option<u64>, _: Option<u64>) -> Result<(), FsError> {
        Err(FsError::PermissionDenied)
    }

    fn size(&self) -> u64 {
        self.0.size()
    }

    fn set_len(&mut self, _: u64) -> Result<(), FsError> {
        Err(FsError::PermissionDenied)
    }

    fn unlink(&mut self) -> Result<(), FsError> {
        Err(FsError::PermissionDenied)
    }

    fn poll_read_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_read_ready(context)
    }

    fn poll_write_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::PermissionDenied.into()))
    }
}
