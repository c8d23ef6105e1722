//! Writing without the signals that a failed write raises.
//!
//! The kernel raises SIGPIPE for a write to a pipe or socket whose reader is gone, and SIGXFSZ for one beyond
//! `RLIMIT_FSIZE`. Both end a process that does not handle them. Their handling belongs to the host, so the library
//! does not change it. Instead, it blocks both on the writing thread during the write, and removes a signal that the
//! write raised before it restores the mask. The write itself then returns EPIPE or EFBIG.
//!
//! Only the calling thread is affected, because the kernel directs these signals at the writing thread. On systems
//! other than Linux the signals are not blocked; a host has to ignore them there.
//!
//! Start with [`held`].

#[cfg(not(target_os = "linux"))]
mod absent;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
pub(crate) use absent::held;
#[cfg(target_os = "linux")]
pub(crate) use linux::held;

#[cfg(all(test, target_os = "linux"))]
mod tests;
