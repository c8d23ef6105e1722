//! The door to WASI. Four verbs serve a plugin that imports it: [`Wasi::new`], [`Wasi::import`], [`Wasi::attach`] and
//! [`exit_code`]; [`check`] is for one that does not. No other room knows which implementation is behind them.

#[cfg(not(feature = "wasi"))]
mod absent;
#[cfg(feature = "wasi")]
mod preview1;
mod program;

#[cfg(not(feature = "wasi"))]
use absent as preview1;
pub(crate) use preview1::{Error, Wasi, check, exit_code};
pub(crate) use program::Program;
