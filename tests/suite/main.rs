//! The integration tests, one binary. They use the library as C does, through the functions of `extism.h`, which
//! `testkit/src/host.rs` wraps. Each file has one subject.

#![expect(clippy::type_complexity, reason = "the types of test tables are read where the tables are")]

mod big_plugins;
mod bounds;
#[cfg(feature = "compiler")]
mod cache;
mod child;
mod compilers;
mod crowd;
mod environment;
mod error_texts;
mod faults;
#[cfg(target_os = "linux")]
mod forks;
mod front_door;
mod fuel;
mod full_stack;
mod guest_abi;
#[cfg(not(feature = "compiler"))]
mod headless;
mod holdings;
mod host_functions;
#[cfg(feature = "http")]
mod http;
#[cfg(not(feature = "http"))]
mod http_absent;
#[cfg(feature = "compiler")]
mod inline;
mod latency;
mod layers;
mod linking;
mod log;
mod memory_use;
mod noise;
mod official_plugins;
#[cfg(feature = "cranelift")]
mod rewrite_cost;
mod shared_code;
mod soak;
mod startup;
mod stop;
mod threads;
mod traps;
#[cfg(feature = "wasi")]
mod wasi;

use extism_testkit::host;
use extism_testkit::pdk;
#[cfg(feature = "http")]
use extism_testkit::server;
