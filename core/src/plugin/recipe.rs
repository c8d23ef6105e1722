//! Everything that instances of a plugin are made of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::error::Error;
use super::host_function::HostFunction;
use super::link::Plan;
use super::loaded::LoadedModules;
use super::timeout::Timeout;
use crate::code::PluginCode;
use crate::host::Bounds;
use crate::manifest::AfterTrap;
use crate::sandbox::{Limits, Memories};

/// Everything needed to make an instance.
pub(super) struct Recipe {
    // Declared before `compiled`: its modules must be dropped before the engine that owns their code.
    pub(super) plan: Plan,
    pub(super) compiled: Arc<PluginCode>,
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
    /// The plugin's name in log lines.
    pub(super) label: Option<Arc<str>>,
    /// Whether WASI shows the configuration as variables of the environment.
    pub(super) config_is_environment: bool,
    /// Providers are indices into them. Declared last: they may call this library when they are dropped, and must find no
    /// code half unloaded.
    pub(super) functions: Arc<[HostFunction]>,
}

impl Recipe {
    /// Exchanges the code for code whose memories need no reservation of address space, as one was `refused`.
    pub(super) fn move_memories(
        &mut self,
        loaded: &LoadedModules,
        deadline: Option<Instant>,
        refused: Error,
    ) -> Result<(), Error> {
        let compiled = loaded.compile(&[Memories::Moving], deadline);
        let compiled =
            compiled.map_err(|cause| Error::NoMovingMemories { refused: refused.into(), cause: cause.into() })?;
        // The modules go before the engine that has their code.
        self.plan = loaded.link(&compiled, &self.programs, &self.functions)?;
        self.compiled = compiled;
        Ok(())
    }
}
