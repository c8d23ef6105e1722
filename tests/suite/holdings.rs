//! The resources of this process, in order to find leaks.

use std::fmt::{self, Display, Formatter};
use std::fs;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Holdings {
    /// Bytes in memory.
    pub(crate) resident: u64,
    /// Bytes that the allocator has given out and not got back.
    pub(crate) allocated: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
    pub(crate) mappings: usize,
}

impl Holdings {
    /// Reads the resources as they are, which only Linux tells.
    pub(crate) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").expect("Linux");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).expect("it is there");
            line.split_whitespace().nth(1).expect("a value").parse::<u64>().expect("a number")
        };
        Self {
            resident: field("VmRSS:") << 10,
            allocated: allocated(),
            descriptors: fs::read_dir("/proc/self/fd").expect("Linux").count(),
            threads: field("Threads:"),
            mappings: fs::read_to_string("/proc/self/maps").expect("Linux").lines().count(),
        }
    }

    /// Fails if `later` has more than `self`, beyond what the allocator keeps in pieces for reuse.
    pub(crate) fn assert_kept(&self, later: &Self) {
        println!("early: {self}\nlater: {later}");
        self.assert_counts_kept(later);
        assert!(later.allocated <= self.allocated + (128 << 10));
        assert!(later.resident <= self.resident + (8 << 20));
    }

    /// The same for resources other than memory.
    pub(crate) fn assert_counts_kept(&self, later: &Self) {
        assert!(later.descriptors <= self.descriptors && later.threads <= self.threads);
        assert!(later.mappings <= self.mappings + 100);
    }
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library's")]
fn allocated() -> u64 {
    // SAFETY: may be called at any time, on any thread.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

#[cfg(not(target_env = "gnu"))]
fn allocated() -> u64 {
    0
}

impl Display for Holdings {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { resident, allocated, descriptors, threads, mappings } = self;
        let [resident, allocated] = [resident, allocated].map(|bytes| *bytes as f64 / f64::from(1 << 20));
        write!(
            f,
            "{resident:.1} MiB resident, {allocated:.2} allocated, {descriptors} descriptors, {threads} threads, {mappings} mappings"
        )
    }
}
