//! The outputs of a plugin's calls, one for each thread that calls it.
//!
//! Threads that share a plugin call it one after the other, and each then reads its output, while the next call is
//! already clearing the plugin's memory. Small outputs are therefore copied at the end of their call, for the thread that
//! called. A larger one stays in the plugin's memory until the next call; if that is another thread's, it is copied at
//! its begin. A thread that has called nothing gets the newest output: some languages ask on another thread than the one
//! that called.
//!
//! Asking does not wait for a running call: the list has a lock of its own, which is held for moments.

use std::cell::RefCell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use extism_capi::handle::Unusable;
use extism_capi::thread_number::thread_number;
use extism_core::plugin::Plugin;
use extism_core::sync::{Lost, ReentrantMutex};

/// The most bytes of an output that is copied at the end of its call.
const SMALL: usize = 4 << 10;

/// The most threads whose outputs are kept. Beyond it the oldest is dropped: threads end, but their outputs stay.
const MOST: usize = 256;

/// An address for empty output: not null, and its byte may be read.
static NOTHING: u8 = 0;

/// The outputs of one plugin.
#[derive(Default)]
pub(crate) struct Outputs {
    /// The number of the thread whose call is running, or 0. Written by that thread, and of use to no other.
    running: AtomicU64,
    /// The number of the thread whose output lies in the plugin's memory, or 0. Changed by threads that have the plugin.
    in_place: AtomicU64,
    /// Not one of the locks that a fork waits for, as each call takes it.
    list: ReentrantMutex<RefCell<List>>,
}

#[derive(Default)]
struct List {
    outputs: Vec<Output>,
    /// The index of the newest.
    newest: usize,
    /// The number of calls so far.
    count: u64,
}

/// The output of a thread's last call.
struct Output {
    thread: u64,
    /// The call's number: newer ones have higher ones.
    age: u64,
    /// A copy, with one more byte. Empty if there is no output, or if it is in place.
    copy: Vec<u8>,
    /// Address and length in the plugin's memory, for C.
    in_place: Option<(usize, u64)>,
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
        if self.in_place.load(Ordering::Relaxed) != 0 {
            self.leave_place(thread, plugin)?;
        }
        self.running.store(thread, Ordering::Relaxed);
        Ok(Running { outputs: self, thread })
    }

    /// Forgets the output that lies in the memory of `plugin`; another thread's is copied.
    #[cold]
    fn leave_place(&self, thread: u64, plugin: &mut Plugin) -> Result<(), Unusable> {
        let list = self.list.lock().map_err(|Lost| Unusable::Lost)?;
        let owner = self.in_place.swap(0, Ordering::Relaxed);
        if let Some(output) = list.borrow_mut().outputs.iter_mut().find(|output| output.thread == owner) {
            output.in_place = None;
            if owner != thread {
                output.keep(plugin.output_in_place());
            }
        }
        Ok(())
    }

    /// Address and length of the output of this thread's last call; of the newest call if this thread has called nothing,
    /// or too long ago. Not null. Empty while a call of this thread is running.
    pub(crate) fn get(&self) -> (*const u8, u64) {
        let nothing = (&raw const NOTHING, 0);
        let thread = thread_number();
        if self.running.load(Ordering::Relaxed) == thread {
            return nothing;
        }
        let Ok(list) = self.list.lock() else { return nothing };
        let list = list.borrow();
        let own = || list.outputs.iter().find(|output| output.thread == thread);
        let newest = list.outputs.get(list.newest);
        let output = newest.filter(|output| output.thread == thread).or_else(own).or(newest);
        output.and_then(Output::place).unwrap_or(nothing)
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.in_place.store(0, Ordering::Relaxed);
        if let Ok(list) = self.list.lock() {
            list.take();
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
            output.in_place = Some((address.addr(), length));
            self.outputs.in_place.store(self.thread, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.outputs.running.store(0, Ordering::Relaxed);
    }
}

impl List {
    /// The place for a new output of this thread, which is the newest from here on.
    fn output_of(&mut self, thread: u64) -> &mut Output {
        self.count += 1;
        if self.outputs.get(self.newest).is_none_or(|newest| newest.thread != thread) {
            let own = self.outputs.iter().position(|output| output.thread == thread);
            self.newest = own.unwrap_or_else(|| self.add(thread));
        }
        let output = &mut self.outputs[self.newest];
        (output.age, output.in_place) = (self.count, None);
        output
    }

    fn add(&mut self, thread: u64) -> usize {
        let new = Output { thread, age: 0, copy: Vec::new(), in_place: None };
        let oldest = self.outputs.iter().enumerate().min_by_key(|(_, output)| output.age);
        match oldest.filter(|_| self.outputs.len() == MOST).map(|(index, _)| index) {
            Some(index) => {
                self.outputs[index] = new;
                index
            }
            None => {
                self.outputs.push(new);
                self.outputs.len() - 1
            }
        }
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
        match self.in_place {
            Some((address, length)) => Some((ptr::without_provenance(address), length)),
            None => Some((self.copy.as_ptr(), self.copy.len().checked_sub(1)? as u64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{List, MOST, SMALL};

    #[test]
    fn the_outputs_of_many_threads_are_bounded() {
        let mut list = List::default();
        list.output_of(1).keep(b"first");
        for thread in 2..=MOST as u64 {
            list.output_of(thread).keep(b"other");
        }
        list.output_of(1).keep(b"first again");
        list.output_of(1000).keep(b"newest");
        assert_eq!(list.outputs.len(), MOST);
        let threads: Vec<_> = list.outputs.iter().map(|output| output.thread).collect();
        assert!(threads.contains(&1) && threads.contains(&3) && !threads.contains(&2), "the oldest went");
        assert_eq!(list.outputs[list.newest].thread, 1000);
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
