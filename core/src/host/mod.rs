//! The host's side of a running plugin: the functions that a plugin may import (two guest ABIs over one I/O memory) and
//! their state: configuration, variables, logs, HTTP.
//!
//! Start with `abi.rs`, the one table of imports; `calls/` has the functions, [`Guest`] their state. This room does not
//! know how modules are loaded, compiled or linked; it makes functions for a store that its caller owns.

pub(crate) mod abi;
mod blocks;
mod calls;
mod capacity;
mod direct;
mod direct_function;
mod fault;
mod fuel;
mod guest;
mod io_memory;
mod logs;
mod network;
mod output;
mod registers;
mod shared_blocks;
mod slices;
mod state;
mod usage;
mod vars;
mod watched;

pub(crate) use abi::{HOST_MODULE, can_be_replaced, import, is_known};
pub(crate) use capacity::Capacity;
pub(crate) use direct_function::make as direct_function;
pub(crate) use fault::Fault;
pub(crate) use guest::{Bounds, Guest};
#[cfg(feature = "wasi")]
pub(crate) use logs::Logs;
pub(crate) use network::Network;
pub(crate) use slices::{copy, yield_point};
pub(crate) use state::{PluginState, SharedState, hold};
pub(crate) use vars::Vars;
