//! The integration tests of the C interface of Extism 1.x, one binary: the main paths of each function, through the
//! functions of the header. Each file has one subject.

#![cfg(feature = "compiler")]

mod arguments;
mod calls;
mod cancel;
mod creation;
mod crowd;
mod forks;
mod front_door;
mod functions;
#[path = "../../../tests/suite/holdings.rs"]
mod holdings;
mod host;
mod logs;
#[path = "../../../tests/suite/noise.rs"]
mod noise;
mod outputs;
mod reentry;
mod thread_end;
mod user_data;
