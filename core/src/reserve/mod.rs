//! Address space that is kept free while a module is worked on, for allocations that the system refuses meanwhile.
//!
//! Rust ends the process when an allocation fails, and the compilers are full of allocations. Therefore each step of
//! making a plugin first maps a [`Reserve`] that is large enough for the rest of the step. If the system refuses
//! memory, `allocator.rs` takes the block from a reserve instead, and notes it. The step goes on to the next point
//! where it looks ([`RefusalWatch`]), and ends with the error [`NoRoom`]. If the reserve itself cannot be mapped, the
//! step is refused with the same error.
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
