//! Parts of the fuzz targets: their processes' environment, the model of the guest ABIs, generated modules, and callers
//! in C with their arguments.

pub mod arguments;
pub mod callers;
pub mod environment;
pub mod model;
pub mod module;
