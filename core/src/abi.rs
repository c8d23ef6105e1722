//! The generations of Extism's C interface.

/// The generation of Extism's C interface that a plugin is made for.
///
/// It decides what a manifest means where the generations differ: defaults, the names of modules, and whether `data`
/// may be an address in this process. It decides nothing about what plugins may import: plugins of both guest ABIs run
/// in either generation.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Abi {
    /// Extism 0.1.0, with contexts and plugin ids.
    #[default]
    V0,
    /// Extism 1.x, with pointers to plugins.
    V1,
}
