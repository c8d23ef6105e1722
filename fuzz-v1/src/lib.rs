//! Parts of the fuzz target of the C library for Extism 1.x: generated steps, their arguments, and a model of what the
//! library must answer. Start with `steps.rs`.

#[path = "../../fuzz/src/environment.rs"]
pub mod environment;

pub mod arguments;
mod callbacks;
mod calls;
mod making;
pub mod steps;
mod texts;
pub mod world;
