//! What threads meet in. The models of `models/`, which try the orders that threads may run in, put their own in its place.

pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
pub(crate) use std::thread::{LocalKey, Thread, current};
pub(crate) use std::thread_local;

pub(crate) use parking_lot::{Mutex, ReentrantMutex};
