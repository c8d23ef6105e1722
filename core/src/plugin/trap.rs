//! The text of a trap, for the reader of the plugin's error.

use std::fmt::Write;

use wasmer::RuntimeError;

use super::link::Linked;
use crate::error::Excerpt;
use crate::module::demangle::{self, Cpp};

/// The most frames that are shown, innermost first. A stack overflow has tens of thousands.
const MAX_FRAMES: usize = 32;

/// The reason of a trap and its backtrace.
pub(super) fn describe(error: &RuntimeError, modules: &[Linked]) -> String {
    let mut text = reason(error);
    let frames = backtrace(error, modules);
    if !frames.is_empty() {
        text.push_str("\nwasm backtrace:");
    }
    frames.lines().for_each(|frame| text.extend(["\n    ", frame]));
    text
}

/// True if the plugin's code trapped; false if a function that it imports failed.
pub(super) fn is_in_code(error: &RuntimeError) -> bool {
    error.clone().to_trap().is_some()
}

/// The reason of a trap, or the error of a function that the plugin imports.
pub(super) fn reason(error: &RuntimeError) -> String {
    match error.clone().to_trap() {
        Some(trap) => format!("wasm trap: {}", trap.message()),
        None => error.message(),
    }
}

/// The functions that were running, innermost first, one a line. Code names a module by its hash; `modules` gives the
/// names.
pub(super) fn backtrace(error: &RuntimeError, modules: &[Linked]) -> String {
    let mut text = String::new();
    let frames = error.trace();
    let mut cpp = Cpp::new();
    for (depth, frame) in frames.iter().take(MAX_FRAMES).enumerate() {
        let function = readable(frame.function_name().unwrap_or("<unnamed>"), &mut cpp);
        let hash = frame.module_name();
        let module = names(hash, modules);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{depth}: {module}!{function} [{}]", frame.func_index());
    }
    if frames.len() > MAX_FRAMES {
        let _ = writeln!(text, "... {} more", frames.len() - MAX_FRAMES);
    }
    text
}

/// The name of a function as in its source, if it can be demangled.
fn readable(name: &str, cpp: &mut Cpp) -> Excerpt {
    let source = demangle::rust(name).or_else(|| cpp.name(name));
    Excerpt::of(source.as_deref().unwrap_or(name))
}

/// The manifest's name for the module with this hash. There may be several.
fn names(hash: &str, modules: &[Linked]) -> Excerpt {
    let named = modules.iter().filter(|linked| linked.module.name() == Some(hash));
    let names: Vec<_> = named.map(|linked| Excerpt::of(&linked.name).to_string()).collect();
    if names.is_empty() { Excerpt::of(hash) } else { Excerpt::of(names.join(" or ")) }
}
