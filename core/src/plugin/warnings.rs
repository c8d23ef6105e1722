//! Warnings about settings that cannot have their full effect in a plugin.

use std::collections::BTreeMap;
use std::fmt::Arguments;

use log::Level;

use super::link::Plan;
use super::stack;
use crate::error::Excerpt;
use crate::log as sink;
use crate::wasi;

/// Logs a warning for each module whose stack pointer cannot be put back after a trap.
pub(super) fn untold_stacks(plan: &Plan) {
    for module in stack::untold(plan) {
        let module = Excerpt::of(module);
        let line = format_args!(
            "module `{module}`: its stack pointer cannot be told; with after_trap = \"keep\", a trap leaves it where it was"
        );
        sink::record(Level::Warn, sink::TARGET, line);
    }
}

/// Says what is wrong with directories of `allowed_paths`, in a plugin that does not import WASI: else it is an error.
pub(super) fn unused_paths(allowed_paths: &BTreeMap<String, String>, with_wasi: bool) {
    let warn = |line: Arguments<'_>| sink::record(Level::Warn, sink::TARGET, format_args!("manifest: {line}"));
    if !sink::is_enabled(Level::Warn) {
        return;
    }
    if !with_wasi {
        warn(format_args!("`allowed_paths` has no effect, the plugin was created without WASI"));
    }
    wasi::check(allowed_paths).for_each(|error| warn(format_args!("{error}")));
}
