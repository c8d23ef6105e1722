//! Address space that is kept free while a module is worked on, for allocations that the system refuses meanwhile.
//!
//! Each step of making a plugin first maps a [`Reserve`]. If the system refuses memory, `allocator.rs` takes the block
//! from a reserve instead, and the step ends with the error [`NoRoom`] at the next point where it looks
//! ([`RefusalWatch`]). ARCHITECTURE.md has more ("Memory that the system refuses").
//!
//! Reserves are not written to, so they take no memory, but they count for `RLIMIT_AS` and `RLIMIT_DATA`. They serve
//! the whole process: compilers allocate on threads of their own.
//!
//! Start with [`Reserve`].

mod allocator;
mod held;
mod slot;

#[cfg(feature = "compiler")]
pub(crate) use held::RefusalWatch;
pub use held::forked;
pub(crate) use held::{NoRoom, Reserve};
