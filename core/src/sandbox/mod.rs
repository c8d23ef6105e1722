//! The sandbox of a running plugin: its memories and tables and their limits, and Wasmer's libcalls and locks that its
//! code uses.
//!
//! Start with [`StoreTemplate`]. This room does not know what a plugin is, or how code is made.

mod address_space;
mod common_memory;
pub mod fork;
mod host_stack;
mod image;
#[cfg(feature = "llvm")]
mod libcall_thunks;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod libcalls;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod libcalls_absent;
mod limits;
mod moving_memory;
mod plugin_memory;
#[cfg(any(all(target_os = "linux", target_arch = "x86_64"), feature = "llvm"))]
mod stack_probe;
mod stacks;
mod store_template;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod trace_lock;
mod tunables;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
use libcalls_absent as libcalls;

pub(crate) use address_space::Memories;
#[cfg(feature = "compiler")]
pub(crate) use address_space::{COMPILING_STACK, compiling_threads, is_small};
pub(crate) use host_stack::{NoStack, check as check_host_stack};
#[cfg(feature = "llvm")]
pub(crate) use libcall_thunks::WithStackProbe;
pub(crate) use libcalls::replace as make_stoppable;
pub(crate) use limits::{Allowance, Limits, Tables, without_prefix};
pub(crate) use moving_memory::DYNAMIC_GUARD;
pub(crate) use stacks::{give_up_spare, prepare_thread};
pub(crate) use store_template::StoreTemplate;
#[cfg(feature = "compiler")]
pub(crate) use tunables::compile_time;
