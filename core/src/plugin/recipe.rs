//! Everything that instances of a plugin are made of, and how it comes from a manifest.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::error::Error;
use super::link::{self, Plan};
use super::timeout::Timeout;
use crate::code::{self, CompiledPlugin, Modules};
use crate::compiler::{self, Backend};
use crate::host::Bounds;
use crate::manifest::{AfterTrap, Manifest};
use crate::sandbox::{Limits, Memories};
use crate::stop::Stopped;

/// Everything needed to make an instance.
pub(super) struct Recipe {
    // Declared before `compiled`: its modules must be dropped before the engine that owns their code.
    pub(super) plan: Plan,
    pub(super) compiled: Arc<CompiledPlugin>,
    pub(super) max_block_pages: Option<u32>,
    pub(super) limits: Limits,
    pub(super) bounds: Bounds,
    /// The limit on the time of a call, if there is one.
    pub(super) timeout: Option<Timeout>,
    /// The program name that each module gets from WASI, by the name that the module is linked by.
    pub(super) programs: BTreeMap<String, String>,
    pub(super) after_trap: AfterTrap,
    /// Host directory, possibly with the prefix `ro:`, to guest path.
    pub(super) allowed_paths: BTreeMap<String, String>,
}

impl Recipe {
    /// Compiles and links `loaded`, the modules of `manifest`, with code for the memories that this process prefers.
    /// `programs` has the manifest's names of the modules by the names that they are linked by.
    pub(super) fn new(
        manifest: &mut Manifest<'_>,
        loaded: &LoadedModules,
        programs: BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let compiled = loaded.compile(Memories::preferred())?;
        Ok(Self {
            plan: loaded.link(&compiled, &programs)?,
            compiled,
            max_block_pages: manifest.memory.max_block_pages,
            limits: Limits {
                max_pages: manifest.memory.max_pages,
                max_table_elements: manifest.memory.max_table_elements.unwrap_or(Limits::TABLE_ELEMENTS),
            },
            bounds: Bounds { max_log_bytes: manifest.memory.max_log_bytes, fuel: manifest.fuel },
            timeout: loaded.timeout,
            programs,
            after_trap: manifest.after_trap,
            allowed_paths: mem::take(&mut manifest.allowed_paths),
        })
    }

    /// Exchanges the code for code whose memories need no reservation of address space, as one was `refused`.
    pub(super) fn move_memories(&mut self, loaded: &LoadedModules, refused: Error) -> Result<(), Error> {
        let compiled = loaded.compile(&[Memories::Moving]);
        let compiled =
            compiled.map_err(|cause| Error::NoMovingMemories { refused: refused.into(), cause: cause.into() })?;
        // The modules go before the engine that has their code.
        self.plan = loaded.link(&compiled, &self.programs)?;
        self.compiled = compiled;
        Ok(())
    }
}

/// The loaded modules of a manifest, and how to make code of them.
pub(super) struct LoadedModules {
    pub(super) modules: Modules,
    /// The names that they are linked by, in the order of the manifest.
    names: Vec<String>,
    backend: Option<&'static Backend>,
    with_wasi: bool,
    timeout: Option<Timeout>,
    /// When making the plugin must end.
    deadline: Option<Instant>,
}

impl LoadedModules {
    /// Loads the modules of `manifest`, which has none afterwards.
    pub(super) fn load(
        manifest: &mut Manifest<'_>,
        with_wasi: bool,
        timeout: Option<Timeout>,
        deadline: Option<Instant>,
    ) -> Result<Self, Error> {
        let backend = compiler::select(manifest.compiler.as_deref())?;
        let names = manifest.modules.iter().map(|entry| entry.name.clone()).collect();
        let modules = Modules::load(mem::take(&mut manifest.modules), manifest.fuel.is_some(), deadline)?;
        Ok(Self { modules, names, backend, with_wasi, timeout, deadline })
    }

    fn compile(&self, memories: &'static [Memories]) -> Result<Arc<CompiledPlugin>, Error> {
        self.modules.code(self.backend, memories, self.deadline).map_err(|error| match error {
            code::Error::Compiler(compiler::Error::TooLate) => Error::Stopped(Stopped::Timeout, self.timeout),
            other => other.into(),
        })
    }

    fn link(&self, compiled: &CompiledPlugin, programs: &BTreeMap<String, String>) -> Result<Plan, Error> {
        link::plan(&self.names, &compiled.modules, programs, self.with_wasi)
    }
}
