//! Machine code on its way from the compiler to the engine that runs it.
#![expect(unsafe_code, reason = "machine code can only be loaded on trust; here the trust is that we made it")]

use bytes::Bytes;
use wasmer::{Engine, Module, SerializeError};

use super::Error;

/// Serialised machine code that came from a compiler of this process. [`Artifact::of`] is its only constructor.
#[derive(Debug)]
pub(super) struct Artifact(Bytes);

impl Artifact {
    /// The code of a module that has just been compiled.
    pub(super) fn of(module: &Module) -> Result<Self, SerializeError> {
        module.serialize().map(Self)
    }

    /// Loads the code into `engine`, which owns it from then on.
    pub(super) fn load(self, name: &str, engine: &Engine) -> Result<Module, Error> {
        // SAFETY: the bytes are what Wasmer's serialiser wrote: `of` is the only constructor and nothing changes
        // them in between, so no foreign or damaged code is loaded.
        let module = unsafe { Module::deserialize(engine, self.0) };
        module.map_err(|error| Error::Load { module: name.to_owned(), cause: error.to_string() })
    }
}
