//! Reserves that threads hold, and the slots that these are in; how a step finds out that the system refuses memory.

use std::cell::Cell;
use std::marker::PhantomData;

use thiserror::Error;

use super::slot::{FOR_OTHERS, SLOTS, Slot, refusals};
use crate::sync::Mutex;

/// There is no memory for the work, or there was none in the middle of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum NoRoom {
    #[error("{} MB must be free for that, and the system refuses them ({SETTINGS})", .0.div_ceil(1_000_000))]
    Before(usize),
    #[error("the system has refused memory in the middle of it ({SETTINGS})")]
    Meanwhile,
}

/// The settings that limit the memory of a process, for errors.
const SETTINGS: &str = "RLIMIT_AS, RLIMIT_DATA, `ulimit -v`, vm.overcommit_memory";

/// Tells whether the system has refused memory since a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusalWatch(u64);

impl RefusalWatch {
    fn begin() -> Self {
        Self(refusals())
    }

    /// Fails if the system has refused memory since then. Every later check fails too.
    pub(crate) fn check(self) -> Result<(), NoRoom> {
        if refusals() == self.0 { Ok(()) } else { Err(NoRoom::Meanwhile) }
    }
}

/// In bytes: the least reserve of a step. It is enough for what does not depend on the size of a module.
const LEAST: usize = 16 << 20;

/// The slot of the reserve that all threads share for work that does not depend on the size of a module. It stays
/// mapped, so that making another plugin of the same code needs no system call.
const SHARED: usize = 0;

/// The use of one slot by those who hold a reserve.
#[derive(Debug, Clone, Copy)]
struct SlotUse {
    /// The number of reserves that hold it: at most one, except for [`SHARED`].
    users: usize,
    /// The thread that holds it, by [`here`].
    owner: usize,
    /// The address of the first free byte when the slot was closed.
    free: usize,
}

static USES: Mutex<[SlotUse; SLOTS.len()]> = Mutex::new([SlotUse { users: 0, owner: 0, free: 0 }; SLOTS.len()]);

thread_local! {
    /// The number of times that this thread holds the shared reserve. Its address identifies the thread.
    static SHARES: Cell<usize> = const { Cell::new(0) };
}

fn here() -> usize {
    SHARES.with(|shares| std::ptr::from_ref(shares).addr())
}

/// A reserve, held until it is dropped, on the thread that made it.
#[derive(Debug)]
pub(crate) struct Reserve {
    /// `None` if all slots are taken: the reserves of other work are enough then.
    slot: Option<usize>,
    watch: RefusalWatch,
    /// Does not move to another thread, as `SHARES` counts.
    _here: PhantomData<*const ()>,
}

impl Reserve {
    fn of(slot: Option<usize>, watch: RefusalWatch) -> Self {
        Self { slot, watch, _here: PhantomData }
    }

    /// Keeps `bytes` bytes free, and some more for what every step needs.
    pub(crate) fn hold(bytes: usize) -> Result<Self, NoRoom> {
        let watch = RefusalWatch::begin();
        let bytes = bytes.saturating_add(LEAST);
        let mut uses = USES.lock();
        for (index, (slot, slot_use)) in SLOTS.iter().zip(&mut *uses).enumerate() {
            if index != SHARED && slot_use.users == 0 && open(slot, slot_use, bytes)? {
                (slot_use.users, slot_use.owner) = (1, here());
                return Ok(Self::of(Some(index), watch));
            }
        }
        Ok(Self::of(None, watch))
    }

    /// Keeps memory free for work that does not depend on the size of a module.
    pub(crate) fn share() -> Result<Self, NoRoom> {
        let watch = RefusalWatch::begin();
        let mut uses = USES.lock();
        let (slot, slot_use) = (&SLOTS[SHARED], &mut uses[SHARED]);
        if slot_use.users == 0 && !open(slot, slot_use, LEAST)? {
            drop(uses);
            // Blocks that other work took from it are still in use.
            return Self::hold(0);
        }
        slot_use.users += 1;
        SHARES.set(SHARES.get() + 1);
        Ok(Self::of(Some(SHARED), watch))
    }

    /// Fails if the system has refused memory since the reserve was made, to this work or another.
    pub(crate) fn check(&self) -> Result<(), NoRoom> {
        self.watch.check()
    }

    #[cfg(feature = "compiler")]
    pub(crate) fn watch(&self) -> RefusalWatch {
        self.watch
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        let Some(index) = self.slot else { return };
        let mut uses = USES.lock();
        let slot_use = &mut uses[index];
        slot_use.users -= 1;
        if index == SHARED {
            SHARES.set(SHARES.get() - 1);
        }
        if slot_use.users == 0 {
            close(index, slot_use);
        }
    }
}

/// Opens a closed slot with at least `bytes` free bytes. False if blocks in it are still in use.
fn open(slot: &Slot, slot_use: &mut SlotUse, bytes: usize) -> Result<bool, NoRoom> {
    let bounds = slot.bounds();
    if slot.is_unused() && (slot_use.free != bounds.start || bounds.len() < bytes) {
        slot.unmap();
        slot_use.free = slot.map(bytes).ok_or(NoRoom::Before(bytes.saturating_add(FOR_OTHERS)))?;
    }
    let fits = slot.bounds().end.saturating_sub(slot_use.free) >= bytes;
    if fits {
        slot.open(slot_use.free);
    }
    Ok(fits)
}

fn close(index: usize, slot_use: &mut SlotUse) {
    let slot = &SLOTS[index];
    slot_use.free = slot.close();
    if !slot.is_unused() {
        slot.shrink(slot_use.free);
    } else if index != SHARED || slot_use.free != slot.bounds().start {
        slot.unmap();
        slot_use.free = 0;
    }
}

/// In a new process, before it has a second thread: closes the reserves of the threads that are gone.
///
/// Only for the steps around a fork (`capi/src/fork.rs`): in a process with other threads it takes state from under
/// them.
pub fn forked() {
    let mut uses = USES.lock();
    for (index, slot_use) in uses.iter_mut().enumerate().filter(|(_, slot_use)| slot_use.users > 0) {
        let kept = if index == SHARED { SHARES.get() } else { usize::from(slot_use.owner == here()) };
        slot_use.users = kept;
        if kept == 0 {
            close(index, slot_use);
        }
    }
}
