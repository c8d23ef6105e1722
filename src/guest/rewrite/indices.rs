//! Where references to functions and globals lead in the rewritten module.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode};

use super::meter::Meter;
use super::wrappers::Wrappers;

/// Copies what refers to functions and globals, with the indices that they have then.
#[derive(Clone, Copy)]
pub(super) struct Indices<'a> {
    /// Imported functions are referred to by these.
    pub(super) wrappers: &'a Wrappers,
    /// The module counts in another global, before its own.
    pub(super) meter: Option<Meter>,
}

impl Indices<'_> {
    pub(super) fn function(self, function: u32) -> u32 {
        self.wrappers.function(function)
    }

    pub(super) fn global(self, global: u32) -> u32 {
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
