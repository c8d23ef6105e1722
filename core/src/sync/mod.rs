//! The library's locks, atomics and other shared types. The models in `models/`, which try thread orders, replace them.
//!
//! Start with [`Mutex`].

mod lock;
mod once;
mod reentrant;

pub use std::sync::Arc;
pub use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
pub use std::thread::{LocalKey, Thread, current};
pub use std::thread_local;

pub(crate) use lock::InnerMutex;
pub use lock::{Guard, Mutex, RwLock};
#[cfg(any(feature = "compiler", feature = "http"))]
pub(crate) use once::PerProcess;
pub use once::{Lazy, get_or_make};
pub use reentrant::{Lost, ReentrantMutex};
