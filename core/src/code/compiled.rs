//! Machine code of a plugin.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmer::Module;

use crate::fork::{EnterWhenDropped, LeaveWhenDropped};
use crate::sandbox::StoreTemplate;
use crate::stop::CodeRanges;

/// The modules of one manifest as machine code, with the engine that owns it. Modules must be dropped before the
/// engine, and are declared first for that. Wasmer finds traps by the addresses of code: as soon as the engine is gone,
/// the system may give these addresses to other code.
#[derive(Debug)]
pub(crate) struct PluginCode {
    /// Enters the fork gate: code is unloaded inside it, as it was loaded.
    pub(super) _going: EnterWhenDropped,
    /// In the order of the manifest.
    pub(crate) modules: Vec<Module>,
    /// Has the engine, which owns the code.
    pub(crate) template: StoreTemplate,
    /// The address ranges of the modules' own functions.
    pub(crate) code: Arc<CodeRanges>,
    /// An estimate of the memory that the code takes, in bytes.
    pub(super) size: usize,
    pub(crate) compiler: &'static str,
    pub(super) origin: Origin,
    /// Set when [`origin`](Self::origin) is first called.
    pub(super) is_known: AtomicBool,
    /// Leaves the fork gate: declared last, so dropped last.
    pub(super) _gone: LeaveWhenDropped,
}

/// The source of a plugin's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Another plugin of this process uses or used it.
    Process,
    /// All of it was in the cache on disk.
    Cache,
    /// At least one module was compiled.
    Compiled,
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "which this process had",
            Self::Cache => "from the cache",
            Self::Compiled => "compiled",
        })
    }
}

impl PluginCode {
    /// The source of the code, as a new plugin reports it. The first plugin gets the source itself. Each later one gets
    /// [`Origin::Process`], as the process had the code already.
    pub(crate) fn origin(&self) -> Origin {
        if self.is_known.swap(true, Ordering::Relaxed) { Origin::Process } else { self.origin }
    }
}
