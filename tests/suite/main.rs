//! The integration tests, one binary. They use the library as C does, through the functions of `extism.h`; `host.rs`
//! wraps those for the tests, the other files are one subject each.

mod big_plugins;
mod host;

mod house;
