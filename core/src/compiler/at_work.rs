//! Records which compilers threads are in. Compiling happens outside the fork gate (`crate::fork`), so a fork does not
//! wait for it: locks that a compiler holds in another thread at that moment stay locked in the new process.

use std::thread::{self, ThreadId};

use super::backend::Backend;
use crate::sync::Mutex;

#[derive(Debug)]
struct Compilers {
    at_work: Vec<(ThreadId, &'static Backend)>,
    /// Names of compilers that have compiled a module in this process, so that their one-time initialisation is done.
    ready: Vec<&'static str>,
    /// Names of compilers that this process cannot use, as their locks may be lost.
    lost: Vec<&'static str>,
}

static COMPILERS: Mutex<Compilers> = Mutex::new(Compilers { at_work: Vec::new(), ready: Vec::new(), lost: Vec::new() });

/// Marks this thread as being in a compiler, until it is dropped.
#[derive(Debug)]
pub(crate) struct AtWork(&'static Backend);

impl AtWork {
    /// `None` if the process was forked while a thread was in the compiler, which may have held a lock that it needs.
    pub(crate) fn begin(backend: &'static Backend) -> Option<Self> {
        let mut compilers = COMPILERS.lock();
        if compilers.lost.contains(&backend.name()) {
            return None;
        }
        compilers.at_work.push((thread::current().id(), backend));
        Some(Self(backend))
    }

    /// Notes that the compiler has compiled a module.
    pub(crate) fn succeed(self) {
        let mut compilers = COMPILERS.lock();
        if !compilers.ready.contains(&self.0.name()) {
            compilers.ready.push(self.0.name());
        }
        // Unlocked before `self` is dropped, which takes the lock again.
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

/// In a forked process: drops the entries of threads that are gone, and notes the compilers whose locks may be lost.
pub(crate) fn forked() {
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
