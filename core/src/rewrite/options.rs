//! Options of the rewrite, which depend on the compiler and on the plugin.

use wasmer::sys::Features;

/// The calls of host functions that the rewrite replaces by inline code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inlining {
    /// All that can be inlined: the module is the plugin's only one and owns the I/O memory.
    Alone,
    /// All but those about the output: several modules share the I/O memory, and only the host knows which of them has
    /// set the output last.
    Linked,
}

/// Says if the host can intercept libcalls and stop the plugin there. Libcalls are functions of Wasmer's that compiled
/// code calls, to fill or copy memories or tables and for much else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Libcalls {
    Seen,
    /// The compiler's code makes libcalls in a fixed way, and the host can intercept only the growing of a memory.
    Unseen,
}

/// The compiler whose time is estimated for a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EstimatedCompiler {
    /// Also for compilers that take less time.
    Cranelift,
    Llvm,
}

impl EstimatedCompiler {
    /// The one for a compiler that takes as long as LLVM, or at most as long as Cranelift.
    pub(crate) fn of(optimises_at_length: bool) -> Self {
        if optimises_at_length { Self::Llvm } else { Self::Cranelift }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct RewriteOptions<'a> {
    /// The proposals that the compiler supports; the module may use no others.
    pub(crate) features: &'a Features,
    pub(crate) inlining: Inlining,
    pub(crate) libcalls: Libcalls,
    /// The compiler that the module must not take too long.
    pub(crate) estimated: EstimatedCompiler,
    /// The module shall count its instructions, in the global [`FUEL_IMPORT`](crate::module::reserved::FUEL_IMPORT).
    pub(crate) fuel: bool,
}
