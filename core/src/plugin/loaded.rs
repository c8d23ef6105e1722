//! The loaded modules of a manifest.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::error::Error;
use super::host_function::HostFunction;
use super::link::{self, Linking, Plan};
use super::timeout::Timeout;
use crate::code::{self, Modules, PluginCode};
use crate::compiler::{self, Backend};
use crate::manifest::Manifest;
use crate::module::digest::Digest;
use crate::sandbox::Memories;
use crate::stop::Stopped;

/// The loaded modules of a manifest, and how to make code of them.
pub(super) struct LoadedModules {
    modules: Modules,
    /// The names that they are linked by, in the order of the manifest.
    names: Vec<String>,
    backend: Option<&'static Backend>,
    with_wasi: bool,
    timeout: Option<Timeout>,
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
        Ok(Self { modules, names, backend, with_wasi, timeout })
    }

    /// The modules' code, for the first of `memories` for which there can be code.
    pub(super) fn compile(
        &self,
        memories: &'static [Memories],
        deadline: Option<Instant>,
    ) -> Result<Arc<PluginCode>, Error> {
        self.modules.code(self.backend, memories, deadline).map_err(|error| match error {
            code::Error::Compiler(compiler::Error::TooLate) => Error::Stopped(Stopped::Timeout, self.timeout),
            other => other.into(),
        })
    }

    /// Closes the modules' files. They are opened again if their bytes are needed, and must be the same then.
    pub(super) fn close_files(&mut self) {
        self.modules.close_files();
    }

    /// The SHA-256 of the module that is linked as `name`, for the log.
    pub(super) fn sha256(&self, name: &str) -> Option<Digest> {
        self.modules.sha256(name)
    }

    /// Links the modules with each other and with `functions`. `programs` has the manifest's names of the modules by the
    /// names that they are linked by.
    pub(super) fn link(
        &self,
        code: &PluginCode,
        programs: &BTreeMap<String, String>,
        functions: &[HostFunction],
    ) -> Result<Plan, Error> {
        let linking = Linking { names: &self.names, modules: &code.modules, programs, functions };
        link::plan(&linking, self.with_wasi)
    }
}
