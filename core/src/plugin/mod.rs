//! A plugin from manifest to running instance: parse, load, rewrite, compile, link, instantiate, call.
//!
//! Start with `plugin.rs`. `recipe.rs` is all that an instance is made of: `link.rs` finds the provider of each import,
//! `instance.rs` and `imports.rs` make a live instance of the result. `call.rs` is one call. This room does not know
//! ids, contexts or C.

mod call;
mod call_error;
mod command;
mod complaint;
mod error;
mod function;
mod imports;
mod instance;
mod link;
#[cfg(feature = "compiler")]
mod options;
#[expect(clippy::module_inception, reason = "a room is named after its subject")]
mod plugin;
mod recipe;
mod report;
mod stack;
mod timeout;
mod trap;

pub use complaint::Complaint;
pub use error::PluginError;
#[cfg(feature = "compiler")]
pub use options::Options;
pub use plugin::Plugin;
