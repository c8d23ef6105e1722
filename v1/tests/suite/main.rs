//! The integration tests of the C interface of Extism 1.x, one binary: the main paths of each function, through the
//! functions of the header. Each file has one subject.

#![cfg(feature = "compiler")]

mod arguments;
mod calls;
mod cancel;
mod creation;
mod forks;
mod front_door;
mod functions;
mod host;
mod logs;
mod outputs;
mod reentry;
mod thread_end;
mod user_data;
