//! A module as a WASI program.

/// The facts that a module learns about itself from WASI.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "wasi"), expect(dead_code, reason = "there is no WASI"))]
pub(crate) struct Program<'a> {
    /// Its only argument, up to the first NUL.
    pub(crate) name: &'a str,
    /// Whether the plugin's configuration is its environment, as in Extism 0.x; otherwise the environment is empty, as
    /// in 1.x.
    pub(crate) config_is_environment: bool,
}
