//! Changes a module before it is compiled, after checking that it is valid (`validate.rs`) and within limits
//! (`effort/`). Start with `module.rs`, which has the steps in order; `sections.rs` writes the result. The changes are:
//!
//! - The start function is exported under a reserved name instead, so that the host can call it once the host functions
//!   can serve it: WASI, for one, needs the instance's memory first.
//! - Memory 0 is exported under a reserved name, for WASI, whatever name the module exports it by.
//! - Calls of host functions that move bytes become loads and stores of a memory that the module gets: `inline.rs`.
//! - The global that points into the module's own stack, if it can be found, is exported: `stack_pointer.rs`.
//! - If the host cannot intercept libcalls, the module gets yield points instead: `yield_points.rs`.
//! - If fuel is wanted, the module counts its instructions: `meter.rs`.
//! - Tables get a maximum that is one higher; `sandbox/limits.rs` keeps that element from being used.
//! - References to imported functions become references to wrappers in the module: `wrappers.rs`.
//! - A custom section says how much data memory 0 begins with, so that instances need not copy large data.
//! - The module gets the name that the caller chooses; backtraces show it, and the names of functions: `names.rs`.
//! - Custom sections other than `producers` are dropped: most of many plugins is debug data, which nothing here reads.

mod code;
mod effort;
mod error;
mod indices;
mod inline;
mod meter;
mod module;
mod names;
mod options;
mod sections;
mod stack_pointer;
mod survey;
#[cfg(test)]
mod tests;
mod validate;
#[cfg(test)]
mod validate_tests;
mod wrappers;
mod yield_points;

pub(crate) use error::Error;
pub(crate) use module::rewrite;
pub(crate) use options::{EstimatedCompiler, Inlining, Libcalls, RewriteOptions};
