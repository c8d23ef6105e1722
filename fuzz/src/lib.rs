//! Parts that the fuzz targets share: their processes' environment, the model of the guest ABIs, and generated modules.

pub mod environment;
pub mod model;
pub mod module;
