//! The indices of functions and globals in the rewritten module.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode};

use super::meter::Meter;
use super::wrappers::Wrappers;

/// Maps old indices to new ones, and copies sections that contain them.
#[derive(Clone, Copy)]
pub(crate) struct Indices<'a> {
    /// Wrappers of imported functions, which references lead to.
    pub(crate) wrappers: &'a Wrappers,
    /// The counter of instructions, a global that shifts the module's own.
    pub(crate) meter: Option<Meter>,
}

impl Indices<'_> {
    pub(crate) fn function(self, function: u32) -> u32 {
        self.wrappers.function(function)
    }

    pub(crate) fn global(self, global: u32) -> u32 {
        self.meter.map_or(global, |meter| meter.shifted(global))
    }
}

type Result<T> = std::result::Result<T, Error<Infallible>>;

impl Reencode for Indices<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32> {
        Ok(self.function(function))
    }

    fn global_index(&mut self, global: u32) -> Result<u32> {
        Ok(self.global(global))
    }
}
