//! Copies bytes from an address of this process that a manifest gives. Nothing is known about the address: it may be
//! wrong, and another thread may unmap or change what is there. The address is therefore never dereferenced. The kernel
//! copies (`process_vm_readv`) and reports what cannot be read, where an ordinary read would end the process. A copy is
//! made once, and only the copy is hashed and compiled.
#![cfg_attr(target_os = "linux", expect(unsafe_code, reason = "process_vm_readv is C's"))]

use std::io;

use thiserror::Error;

use crate::manifest::AddressRange;
use crate::read::CHUNK;

/// Why the bytes could not be copied.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("no room for its {0} bytes")]
    NoRoom(u64),
    #[error(
        "its {} bytes at address {:#x} cannot be read, from byte {from} on: `ptr` and `len` must be of this process's memory",
        .range.length, .range.address
    )]
    Unreadable { range: AddressRange, from: usize },
    #[error("its {} bytes at address {:#x} would go on after the highest address", .0.length, .0.address)]
    TooHigh(AddressRange),
    #[error("its bytes are not copied from memory (process_vm_readv), give them as base64: {0}")]
    Refused(io::Error),
}

/// A copy of the bytes in `range`. None are read if it is empty. The caller bounds its length.
///
/// # Errors
/// Not all of the range is readable, the system refuses to copy at all, or there is no memory for the copy.
pub(super) fn copy(range: AddressRange) -> Result<Vec<u8>, Error> {
    let (Ok(address), Ok(length)) = (usize::try_from(range.address), usize::try_from(range.length)) else {
        return Err(Error::TooHigh(range));
    };
    if address.checked_add(length).is_none() {
        return Err(Error::TooHigh(range));
    }
    let mut bytes: Vec<u8> = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Error::NoRoom(range.length))?;
    while bytes.len() < length {
        let from = bytes.len();
        bytes.resize(length.min(from + CHUNK), 0);
        // Fewer bytes are copied if an unreadable page follows them; the next turn reports it.
        let copied = read(address + from, &mut bytes[from..]).map_err(|cause| match cause.raw_os_error() {
            Some(libc::EFAULT) => Error::Unreadable { range, from },
            _ => Error::Refused(cause),
        })?;
        if copied == 0 {
            return Err(Error::Unreadable { range, from });
        }
        bytes.truncate(from + copied);
    }
    Ok(bytes)
}

/// Copies bytes from `address` on into `into`; returns how many.
#[cfg(target_os = "linux")]
fn read(address: usize, into: &mut [u8]) -> io::Result<usize> {
    let process = rustix::process::getpid().as_raw_nonzero().get();
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: into.len() };
    // SAFETY: the kernel writes to `into` alone, which is borrowed for that. It checks the other address as if it were
    // another process's.
    let copied = unsafe { libc::process_vm_readv(process, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(copied).map_err(|_| io::Error::last_os_error())
}

#[cfg(not(target_os = "linux"))]
fn read(_: usize, _: &mut [u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::ffi::c_long;
    use std::ptr;
    use std::thread;

    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

    use super::{Error, copy};
    use crate::manifest::AddressRange;
    use crate::read::CHUNK;

    /// Bytes: a multiple of the size of pages, which is at most this on Linux.
    const PAGE: usize = 64 << 10;

    /// Pages of zeros, in each of which reading can be forbidden.
    struct Mapping {
        start: *mut std::ffi::c_void,
        length: usize,
    }

    impl Mapping {
        fn new(pages: usize) -> Self {
            let (length, access) = (pages * PAGE, ProtFlags::READ | ProtFlags::WRITE);
            // SAFETY: a mapping at a place that the kernel chooses.
            let start = unsafe { mmap_anonymous(ptr::null_mut(), length, access, MapFlags::PRIVATE) };
            Self { start: start.expect("address space"), length }
        }

        /// Forbids to read one page.
        fn close(&self, page: usize) {
            assert!(page * PAGE < self.length);
            // SAFETY: the page is of this mapping, which nothing in Rust points to.
            unsafe { mprotect(self.start.wrapping_byte_add(page * PAGE), PAGE, MprotectFlags::empty()) }
                .expect("it is ours");
        }

        fn range(&self, offset: usize, length: usize) -> AddressRange {
            range(self.start.addr() + offset, length)
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            // SAFETY: nothing points to the mapping.
            unsafe { munmap(self.start, self.length) }.expect("it is ours");
        }
    }

    fn range(address: usize, length: usize) -> AddressRange {
        AddressRange { address: address as u64, length: length as u64 }
    }

    fn refusal(range: AddressRange) -> String {
        copy(range).expect_err("it cannot be read").to_string()
    }

    #[test]
    fn bytes_of_this_process_are_copied() {
        for length in [0, 1, 4095, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
            let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let copied = copy(range(bytes.as_ptr().addr(), length)).expect("it is there");
            assert!(copied == bytes, "{length}");
        }
    }

    #[test]
    fn no_bytes_are_no_bytes_wherever_they_are() {
        for address in [0, 1, usize::MAX] {
            assert_eq!(copy(range(address, 0)).expect("nothing is read"), b"", "{address:#x}");
        }
    }

    #[test]
    fn a_page_that_cannot_be_read_is_an_error() {
        const PAGES: usize = 10;
        for closed in [0, 1, 4, PAGES - 1] {
            let mapping = Mapping::new(PAGES);
            assert_eq!(copy(mapping.range(0, PAGES * PAGE)).expect("all is open").len(), PAGES * PAGE);
            mapping.close(closed);
            let text = refusal(mapping.range(0, PAGES * PAGE));
            let address = mapping.start.addr();
            let all = format!("its {} bytes at address {address:#x} cannot be read, from byte ", PAGES * PAGE);
            assert!(text.starts_with(&all), "{text}");
            assert!(text.contains(&format!(" {} on", closed * PAGE)), "{closed}: {text}");
            // Up to that page, and from the next on.
            assert_eq!(copy(mapping.range(0, closed * PAGE)).expect("open").len(), closed * PAGE);
            let after = (closed + 1) * PAGE;
            assert_eq!(copy(mapping.range(after, PAGES * PAGE - after)).expect("open").len(), PAGES * PAGE - after);
            assert!(matches!(copy(mapping.range(after - 1, 1)), Err(Error::Unreadable { from: 0, .. })), "{closed}");
        }
    }

    #[test]
    fn addresses_that_nothing_is_at_are_errors() {
        let kernel = usize::MAX & !0xffff;
        for range in [range(0, 1), range(1, 16), range(kernel, 16), range(1 << 50, PAGE)] {
            assert!(matches!(copy(range), Err(Error::Unreadable { from: 0, .. })), "{range:?}: {:?}", copy(range));
        }
        for range in [range(usize::MAX, 1), range(usize::MAX, usize::MAX), range(PAGE, usize::MAX)] {
            assert!(refusal(range).contains("after the highest address"), "{range:?}: {}", refusal(range));
        }
        assert!(refusal(range(PAGE, usize::MAX / 2)).contains("no room"), "more than any allocation");
    }

    /// Makes `process_vm_readv` fail with `error` on this thread, for good.
    fn refuse(error: i32) {
        let line = |code: u32, yes: u8, no: u8, k: u32| libc::sock_filter { code: code as u16, jt: yes, jf: no, k };
        let answer = libc::BPF_RET | libc::BPF_K;
        let mut code = [
            line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            line(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_process_vm_readv as u32),
            line(answer, 0, 0, libc::SECCOMP_RET_ERRNO | error as u32),
            line(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
        let (on, off): (c_long, c_long) = (1, 0);
        // SAFETY: takes numbers only.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, on, off, off, off) }, 0);
        // SAFETY: reads the program, which outlives the call.
        let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    #[test]
    fn a_system_that_refuses_to_copy_is_named() {
        for (error, reason) in [(libc::EPERM, "Operation not permitted"), (libc::ENOSYS, "Function not implemented")] {
            let refused = thread::spawn(move || {
                let bytes = [1_u8; 16];
                refuse(error);
                (refusal(range(bytes.as_ptr().addr(), bytes.len())), copy(range(0, 0)).is_ok())
            });
            let (text, nothing_is_read) = refused.join().expect("no panic");
            assert!(text.contains("process_vm_readv") && text.contains(reason), "{text}");
            assert!(nothing_is_read);
        }
    }
}
