//! The client's limits on time and size.

use std::time::Duration;

/// The maximum duration of a request, unless its deadline is earlier.
pub(super) const TOTAL: Duration = Duration::from_secs(600);

/// The timeout for looking up a server's address, and for connecting to it.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// The timeout for each read and write.
pub(super) const STALL: Duration = Duration::from_secs(30);

pub(super) const MAX_REDIRECTS: usize = 10;

/// The maximum length of a request's URL, and of all its headers together, in bytes.
pub(super) const MAX_HEAD: usize = 64 << 10;

/// The stack size of threads that send requests and look up hosts, in bytes. Given explicitly, because the standard
/// library would read its default from the environment.
pub(crate) const STACK: usize = 2 << 20;
