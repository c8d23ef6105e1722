//! A plugin from manifest to running instance: parse, load, rewrite, compile, link, instantiate, call.
//!
//! Start with `plugin.rs`, and `compiled_plugin.rs`, which makes plugins. `recipe.rs` is all that an instance is made of: `link.rs` finds the provider of each import,
//! `instance.rs` and `imports.rs` make a live instance of the result. `call.rs` is one call. This room does not know
//! ids, contexts or C.

mod call;
mod call_error;
mod call_failure;
mod command;
mod compiled_plugin;
mod current_plugin;
mod error;
mod facts;
mod function;
mod host_function;
#[cfg(all(test, feature = "compiler"))]
mod host_function_tests;
mod imports;
mod instance;
mod link;
mod loaded;
mod options;
#[expect(clippy::module_inception, reason = "a room is named after its subject")]
mod plugin;
mod recipe;
mod report;
mod stack;
mod timeout;
mod trap;
mod warnings;

pub use call_failure::{CallFailure, FailureKind, HostFailure};
pub use compiled_plugin::CompiledPlugin;
pub use current_plugin::CurrentPlugin;
pub use error::PluginError;
pub use facts::Facts;
pub use host_function::{HostFunction, HostFunctionBody};
pub use options::Options;
pub use plugin::Plugin;

pub use crate::value::{FEW_VALUES, Val, ValType};
