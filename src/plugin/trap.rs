//! What a trap says to the person who reads the plugin's error.

use std::fmt::Write;

use wasmer::RuntimeError;

use super::link::Linked;

/// How many of the innermost frames are shown. A stack overflow has tens of thousands.
const MAX_FRAMES: usize = 32;

/// The reason of a trap and the functions it happened in. Code knows its module by a hash; `modules` have the names.
pub(super) fn describe(error: &RuntimeError, modules: &[Linked]) -> String {
    let mut text = match error.clone().to_trap() {
        Some(trap) => format!("wasm trap: {}", trap.message()),
        // An error of the host, such as a host function that refused its arguments.
        None => error.message(),
    };
    let frames = error.trace();
    if !frames.is_empty() {
        text.push_str("\nwasm backtrace:");
    }
    for (depth, frame) in frames.iter().take(MAX_FRAMES).enumerate() {
        let function = frame.function_name().unwrap_or("<unnamed>");
        let hash = frame.module_name();
        let module = names(hash, modules);
        // Writing to a String cannot fail.
        let _ = write!(text, "\n    {depth}: {module}!{function} [{}]", frame.func_index());
    }
    if frames.len() > MAX_FRAMES {
        let _ = write!(text, "\n    ... {} more", frames.len() - MAX_FRAMES);
    }
    text
}

/// What the manifest calls the module with this hash. It may have it under several names.
fn names(hash: &str, modules: &[Linked]) -> String {
    let named = modules.iter().filter(|linked| linked.module.name() == Some(hash));
    let names: Vec<_> = named.map(|linked| linked.name.as_str()).collect();
    if names.is_empty() { hash.to_owned() } else { names.join(" or ") }
}
