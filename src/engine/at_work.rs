//! The compilers that threads are in at the moment. A fork does not wait for them, as for the gate of `crate::fork`: the locks that
//! they hold are lost in the new process.

use std::thread::{self, ThreadId};

use super::Backend;
use crate::sync::Mutex;

#[derive(Debug)]
struct Compilers {
    at_work: Vec<(ThreadId, &'static Backend)>,
    /// The names of those that have compiled a module in this process: what they make once is made.
    ready: Vec<&'static str>,
    /// The names of those that cannot be used any more.
    lost: Vec<&'static str>,
}

static COMPILERS: Mutex<Compilers> = Mutex::new(Compilers { at_work: Vec::new(), ready: Vec::new(), lost: Vec::new() });

/// This thread is in a compiler as long as this lives.
#[derive(Debug)]
pub(super) struct AtWork(&'static Backend);

impl AtWork {
    /// `None` if a thread was in the compiler when this process was forked, and may have held a lock that the compiler needs.
    pub(super) fn begin(backend: &'static Backend) -> Option<Self> {
        let mut compilers = COMPILERS.lock();
        if compilers.lost.contains(&backend.name()) {
            return None;
        }
        compilers.at_work.push((thread::current().id(), backend));
        Some(Self(backend))
    }

    /// The compiler has done its work.
    pub(super) fn succeed(self) {
        let mut compilers = COMPILERS.lock();
        if !compilers.ready.contains(&self.0.name()) {
            compilers.ready.push(self.0.name());
        }
        // Before `self`, which takes it again.
        drop(compilers);
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut compilers = COMPILERS.lock();
        let here = thread::current().id();
        let own = |(thread, backend): &(ThreadId, &Backend)| *thread == here && backend.name() == self.0.name();
        if let Some(index) = compilers.at_work.iter().position(own) {
            compilers.at_work.swap_remove(index);
        }
    }
}

/// In a process that was forked off: other threads are not there any more.
pub(super) fn forked() {
    let mut compilers = COMPILERS.lock();
    let here = thread::current().id();
    let Compilers { at_work, ready, lost } = &mut *compilers;
    for (_, backend) in at_work.extract_if(.., |(thread, _)| *thread != here) {
        let name = backend.name();
        if (backend.has_locks || !ready.contains(&name)) && !lost.contains(&name) {
            lost.push(name);
        }
    }
}
