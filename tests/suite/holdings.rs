//! What a process has: what it keeps is what it leaks.

use std::fs;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Holdings {
    /// Bytes in memory.
    pub(crate) resident: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
    pub(crate) mappings: usize,
}

impl Holdings {
    /// Linux alone tells.
    pub(crate) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").expect("Linux");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).expect("it is there");
            line.split_whitespace().nth(1).expect("a value").parse::<u64>().expect("a number")
        };
        Self {
            resident: field("VmRSS:") << 10,
            descriptors: fs::read_dir("/proc/self/fd").expect("Linux").count(),
            threads: field("Threads:"),
            mappings: fs::read_to_string("/proc/self/maps").expect("Linux").lines().count(),
        }
    }

    /// There is no more `later` than there is here, but for what an allocator keeps.
    pub(crate) fn assert_kept(&self, later: &Self) {
        println!("early: {self:?}\nlater: {later:?}");
        assert!(later.descriptors <= self.descriptors && later.threads <= self.threads);
        assert!(later.mappings <= self.mappings + self.mappings / 20 + 50);
        assert!(later.resident <= self.resident + self.resident / 10 + (16 << 20));
    }
}
