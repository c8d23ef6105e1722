//! Stands in for the linker `libwild`, as far as `wasmer-compiler` names it.
//!
//! Wasmer links a module's code into a shared object if a compiler's `experimental_artifact` is set, and only then.
//! This library never sets it: its artifacts are of the older kind. The real linker would be a fifth of the library,
//! and forty crates. Here, linking is an error.

use std::fmt::Debug;
use std::fs::File;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use error::Result;

/// The error of everything here.
pub mod error {
    use std::fmt::{self, Debug, Display};

    pub type Result<T = (), E = Error> = std::result::Result<T, E>;

    /// A message. It is not `Display`, as all that is becomes an error.
    pub struct Error(String);

    impl Error {
        pub fn with_message(message: impl Into<String>) -> Self {
            Self(message.into())
        }
    }

    impl<E: Display> From<E> for Error {
        fn from(error: E) -> Self {
            Self(error.to_string())
        }
    }

    impl Debug for Error {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }
}

/// Makes an [`Error`](error::Error) of a format string and its arguments.
#[macro_export]
macro_rules! error {
    ($($message:tt)*) => { $crate::error::Error::with_message(format!($($message)*)) };
}

pub enum FileType {
    File,
}

pub struct OutputOptions {
    pub size: u64,
}

pub trait InputFileData: Send + Sync + Debug {
    fn bytes(&self) -> &[u8];
}

pub trait OutputFileData: Send {
    fn bytes(&self) -> &[u8];
    fn bytes_mut(&mut self) -> &mut [u8];
    fn finish(self) -> Result;
}

pub trait FileSystem: Send + Sync + 'static {
    type Input: InputFileData;
    type Output: OutputFileData;

    fn open_input(&self, path: &Path, prepopulate: bool) -> Result<(Self::Input, Option<Arc<File>>)>;
    fn file_type(&self, path: &Path) -> Result<FileType>;
    fn canonicalize(&self, path: &Path) -> Result<PathBuf>;
    fn remove_file(&self, path: &Path) -> Result;
    fn rename_file(&self, path: &Path, new_path: &Path) -> Result;
    fn create_output(&self, path: Arc<Path>, options: OutputOptions) -> Result<Self::Output>;
    fn write_auxiliary(&self, path: &Path, bytes: &[u8]) -> Result;
}

pub struct Args(());

impl Args {
    pub fn new<S: AsRef<str>, I: Iterator<Item = S>>(_: impl Fn() -> I) -> Result<Self> {
        Ok(Self(()))
    }

    pub fn parse<S: AsRef<str>, I: Iterator<Item = S>>(&mut self, _: impl Fn() -> I) -> Result {
        Ok(())
    }
}

pub struct Linker<F>(PhantomData<F>);

impl<F: FileSystem> Linker<F> {
    pub fn with_file_system(_: F) -> Self {
        Self(PhantomData)
    }

    pub fn run(&self, _: &Args) -> Result {
        Err(error!("this library is built without a linker, and does not make experimental artifacts"))
    }
}
