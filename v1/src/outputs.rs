//! The outputs of a plugin's calls, one for each thread that calls it.
//!
//! Threads that share a plugin call it one after the other, and each then reads its output, while the next call is
//! already clearing the plugin's memory. Small outputs are therefore copied at the end of their call, for the thread that
//! called. A larger one stays in the plugin's memory until the next call; if that is another thread's, it is copied at
//! its begin. A thread that has called nothing gets the newest output: some languages ask on another thread than the one
//! that called.
//!
//! The output of a thread is kept as long as the thread lives. Those of ended threads go when others call.
//!
//! Asking does not wait for a running call: the list has a lock of its own, which is held for moments.

use std::cell::RefCell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use extism_capi::handle::Unusable;
use extism_capi::thread_life::ThreadLife;
use extism_capi::thread_number::thread_number;
use extism_core::plugin::Plugin;
use extism_core::sync::{Lost, ReentrantMutex};

/// The most bytes of an output that is copied at the end of its call.
const SMALL: usize = 4 << 10;

/// Up to so many outputs are kept without a look at whether their threads have ended.
const FEW: usize = 16;

/// An address for empty output: not null, and its byte may be read.
static NOTHING: u8 = 0;

/// The outputs of one plugin.
#[derive(Default)]
pub(crate) struct Outputs {
    /// The number of the thread whose call is running, or 0. Written by that thread, and of use to no other.
    caller: AtomicU64,
    /// The number of the thread whose output lies in the plugin's memory, or 0. Changed by threads that have the plugin.
    uncopied: AtomicU64,
    /// Not one of the locks that a fork waits for, as each call takes it.
    list: ReentrantMutex<RefCell<List>>,
}

#[derive(Default)]
struct List {
    /// Sorted by thread.
    outputs: Vec<Output>,
    /// The index of the newest.
    newest: usize,
    /// The number of outputs that were left when those of ended threads were last dropped.
    left: usize,
}

/// The output of a thread's last call.
struct Output {
    thread: u64,
    life: ThreadLife,
    /// A copy, with one more byte. Empty if there is no output, or if it is not copied.
    copy: Vec<u8>,
    /// Address and length in the plugin's memory, for C, if it is not copied.
    uncopied: Option<(usize, u64)>,
}

/// A call that is running.
pub(crate) struct Running<'a> {
    outputs: &'a Outputs,
    thread: u64,
}

impl Outputs {
    /// Begins a call of `plugin`, which may change its memory from here on: this thread has no output until it ends.
    ///
    /// # Errors
    /// The lock is lost.
    #[inline]
    pub(crate) fn begin(&self, plugin: &mut Plugin) -> Result<Running<'_>, Unusable> {
        let thread = thread_number();
        if self.uncopied.load(Ordering::Relaxed) != 0 {
            self.copy_out(thread, plugin)?;
        }
        self.caller.store(thread, Ordering::Relaxed);
        Ok(Running { outputs: self, thread })
    }

    /// Forgets the output that lies in the memory of `plugin`; another thread's is copied.
    #[cold]
    fn copy_out(&self, thread: u64, plugin: &mut Plugin) -> Result<(), Unusable> {
        let list = self.list.lock().map_err(|Lost| Unusable::Lost)?;
        let owner = self.uncopied.swap(0, Ordering::Relaxed);
        let mut list = list.borrow_mut();
        if let Ok(index) = list.find(owner) {
            let output = &mut list.outputs[index];
            output.uncopied = None;
            if owner != thread {
                output.keep(plugin.output_in_place());
            }
        }
        Ok(())
    }

    /// Address and length of the output of this thread's last call; of the newest call if this thread has called nothing.
    /// Not null. Empty while a call of this thread is running.
    pub(crate) fn get(&self) -> (*const u8, u64) {
        let nothing = (&raw const NOTHING, 0);
        let thread = thread_number();
        if self.caller.load(Ordering::Relaxed) == thread {
            return nothing;
        }
        let Ok(list) = self.list.lock() else { return nothing };
        let list = list.borrow();
        let index = list.find(thread).unwrap_or(list.newest);
        list.outputs.get(index).and_then(Output::place).unwrap_or(nothing)
    }

    /// Empties all. Threads that have called have no output then, whatever others call.
    pub(crate) fn clear(&self) {
        self.uncopied.store(0, Ordering::Relaxed);
        if let Ok(list) = self.list.lock() {
            for output in &mut list.borrow_mut().outputs {
                (output.copy, output.uncopied) = (Vec::new(), None);
            }
        }
    }

    /// In a forked process, before it has a second thread.
    pub(crate) fn forked(&self) {
        self.list.forked();
    }
}

impl Running<'_> {
    /// Ends the call, whose output `plugin` has.
    ///
    /// # Errors
    /// The lock is lost.
    #[inline]
    pub(crate) fn end(self, plugin: &mut Plugin) -> Result<(), Unusable> {
        let list = self.outputs.list.lock().map_err(|Lost| Unusable::Lost)?;
        let mut list = list.borrow_mut();
        let output = list.output_of(self.thread);
        let bytes = plugin.output_in_place();
        if bytes.len() <= SMALL {
            output.keep(bytes);
            return Ok(());
        }
        output.copy = Vec::new();
        // It can only fail if there is no memory for a copy of output at the very end of the plugin's memory.
        if let Ok((address, length)) = plugin.output() {
            output.uncopied = Some((address.addr(), length));
            self.outputs.uncopied.store(self.thread, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.outputs.caller.store(0, Ordering::Relaxed);
    }
}

impl List {
    /// The index of this thread's output; else where it belongs.
    #[inline]
    fn find(&self, thread: u64) -> Result<usize, usize> {
        match self.outputs.get(self.newest) {
            Some(newest) if newest.thread == thread => Ok(self.newest),
            _ => self.outputs.binary_search_by_key(&thread, |output| output.thread),
        }
    }

    /// The place for a new output of this thread, which is the newest from here on.
    #[inline]
    fn output_of(&mut self, thread: u64) -> &mut Output {
        self.newest = self.find(thread).unwrap_or_else(|_| self.add(thread));
        let output = &mut self.outputs[self.newest];
        output.uncopied = None;
        output
    }

    /// Adds an output of this thread, whose index is returned. Drops those of ended threads if they may be half of all.
    #[cold]
    fn add(&mut self, thread: u64) -> usize {
        if self.outputs.len() >= FEW.max(2 * self.left) {
            self.outputs.retain(|output| !output.life.is_over());
            self.left = self.outputs.len();
        }
        let index = self.outputs.partition_point(|output| output.thread < thread);
        let new = Output { thread, life: ThreadLife::of_this(), copy: Vec::new(), uncopied: None };
        self.outputs.insert(index, new);
        index
    }
}

impl Output {
    /// Copies `bytes`, as far as there is memory: else there is no output.
    fn keep(&mut self, bytes: &[u8]) {
        self.copy.clear();
        if self.copy.capacity() > 2 * SMALL {
            self.copy = Vec::new();
        }
        if !bytes.is_empty() && self.copy.try_reserve(bytes.len() + 1).is_ok() {
            self.copy.extend_from_slice(bytes);
            // The byte after any output may be read.
            self.copy.push(0);
        }
    }

    fn place(&self) -> Option<(*const u8, u64)> {
        match self.uncopied {
            Some((address, length)) => Some((ptr::without_provenance(address), length)),
            None => Some((self.copy.as_ptr(), self.copy.len().checked_sub(1)? as u64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{FEW, List, SMALL};

    #[test]
    fn outputs_of_ended_threads_go_and_no_others() {
        let mut list = List::default();
        list.output_of(5).keep(b"lives");
        let address = list.outputs[0].place();
        for number in 10..1000 {
            thread::scope(|scope| scope.spawn(|| list.output_of(number).keep(b"ended")).join().expect("no panic"));
            assert!(list.outputs.len() <= FEW, "{}", list.outputs.len());
            assert_eq!(list.outputs[list.newest].thread, number);
        }
        assert_eq!(list.find(5).map(|index| list.outputs[index].place()), Ok(address));
        for number in (2000..3000).rev() {
            list.output_of(number).keep(b"lives");
        }
        assert!((2000..3000).chain([5]).all(|number| list.find(number).is_ok()));
        assert_eq!((list.outputs[list.newest].thread, list.find(5)), (2000, Ok(0)));
    }

    #[test]
    fn copies_have_one_byte_more_and_large_ones_do_not_stay() {
        let mut list = List::default();
        let output = list.output_of(1);
        assert_eq!(output.place(), None);
        output.keep(&vec![7; 10 * SMALL]);
        assert_eq!(output.place().map(|(_, length)| length), Some(10 * SMALL as u64));
        output.keep(b"small");
        assert_eq!((output.copy.as_slice(), output.place().map(|(_, length)| length)), (&b"small\0"[..], Some(5)));
        assert!(output.copy.capacity() < 2 * SMALL);
        output.keep(b"");
        assert_eq!(output.place(), None);
    }
}
