//! Address space that is kept free while a module is worked on, for allocations that the system refuses meanwhile.
//!
//! Rust ends the process when an allocation fails, and the compilers are full of allocations. Therefore each step of
//! making a plugin first maps a [`Reserve`] that is large enough for the rest of the step. If the system refuses
//! memory, `allocator.rs` takes the block from a reserve instead, and notes it. The step goes on to the next point
//! where it looks ([`Watch`]), and ends with the error [`NoRoom`]. If the reserve itself cannot be mapped, the step is
//! refused with the same error.
//!
//! Reserves are not written to, so they take no memory, but they count for `RLIMIT_AS` and `RLIMIT_DATA`. They serve
//! the whole process: compilers allocate on threads of their own.

mod allocator;
mod slot;

use std::cell::Cell;
use std::marker::PhantomData;

use thiserror::Error;

use crate::sync::Mutex;
use slot::{FOR_OTHERS, SLOTS, Slot};

/// In bytes: the least reserve of a step. It is enough for what does not depend on the size of a module.
const LEAST: usize = 16 << 20;

/// The slot of the reserve that all threads share for work that does not depend on the size of a module. It stays
/// mapped, so that making another plugin of the same code needs no system call.
const SHARED: usize = 0;

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

/// The use of one slot by those who hold a reserve.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The number of reserves that hold it: at most one, except for [`SHARED`].
    users: usize,
    /// The thread that holds it, by [`here`].
    owner: usize,
    /// The address of the first free byte when the slot was closed.
    free: usize,
}

static PLACES: Mutex<[Place; SLOTS.len()]> = Mutex::new([Place { users: 0, owner: 0, free: 0 }; SLOTS.len()]);

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
    watch: Watch,
    /// Does not move to another thread, as `SHARES` counts.
    _here: PhantomData<*const ()>,
}

impl Reserve {
    fn of(slot: Option<usize>, watch: Watch) -> Self {
        Self { slot, watch, _here: PhantomData }
    }

    /// Keeps `bytes` bytes free, and some more for what every step needs.
    ///
    /// # Errors
    /// The system refuses them.
    pub(crate) fn hold(bytes: usize) -> Result<Self, NoRoom> {
        let watch = Watch::begin();
        let bytes = bytes.saturating_add(LEAST);
        let mut places = PLACES.lock();
        for (index, (slot, place)) in SLOTS.iter().zip(&mut *places).enumerate() {
            if index != SHARED && place.users == 0 && open(slot, place, bytes)? {
                (place.users, place.owner) = (1, here());
                return Ok(Self::of(Some(index), watch));
            }
        }
        Ok(Self::of(None, watch))
    }

    /// Keeps memory free for work that does not depend on the size of a module.
    ///
    /// # Errors
    /// The system refuses it.
    pub(crate) fn share() -> Result<Self, NoRoom> {
        let watch = Watch::begin();
        let mut places = PLACES.lock();
        let (slot, place) = (&SLOTS[SHARED], &mut places[SHARED]);
        if place.users == 0 && !open(slot, place, LEAST)? {
            drop(places);
            // Blocks that other work took from it are still in use.
            return Self::hold(0);
        }
        place.users += 1;
        SHARES.set(SHARES.get() + 1);
        Ok(Self::of(Some(SHARED), watch))
    }

    /// Fails if the system has refused memory since the reserve was made, to this work or another.
    pub(crate) fn check(&self) -> Result<(), NoRoom> {
        self.watch.check()
    }

    #[cfg(feature = "compiler")]
    pub(crate) fn watch(&self) -> Watch {
        self.watch
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        let Some(index) = self.slot else { return };
        let mut places = PLACES.lock();
        let place = &mut places[index];
        place.users -= 1;
        if index == SHARED {
            SHARES.set(SHARES.get() - 1);
        }
        if place.users == 0 {
            close(index, place);
        }
    }
}

/// Tells whether the system has refused memory since a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch(u64);

impl Watch {
    fn begin() -> Self {
        Self(slot::refusals())
    }

    /// Fails if the system has refused memory since then. Every later check fails too.
    pub(crate) fn check(self) -> Result<(), NoRoom> {
        if slot::refusals() == self.0 { Ok(()) } else { Err(NoRoom::Meanwhile) }
    }
}

/// Opens a closed slot with at least `bytes` free bytes. False if blocks in it are still in use.
///
/// # Errors
/// The system refuses the memory.
fn open(slot: &Slot, place: &mut Place, bytes: usize) -> Result<bool, NoRoom> {
    let bounds = slot.bounds();
    if slot.is_unused() && (place.free != bounds.start || bounds.len() < bytes) {
        slot.unmap();
        place.free = slot.map(bytes).ok_or(NoRoom::Before(bytes.saturating_add(FOR_OTHERS)))?;
    }
    let fits = slot.bounds().end.saturating_sub(place.free) >= bytes;
    if fits {
        slot.open(place.free);
    }
    Ok(fits)
}

fn close(index: usize, place: &mut Place) {
    let slot = &SLOTS[index];
    place.free = slot.close();
    if !slot.is_unused() {
        slot.shrink(place.free);
    } else if index != SHARED || place.free != slot.bounds().start {
        slot.unmap();
        place.free = 0;
    }
}

/// In a new process, before it has a second thread: closes the reserves of the threads that are gone.
pub fn forked() {
    let mut places = PLACES.lock();
    for (index, place) in places.iter_mut().enumerate().filter(|(_, place)| place.users > 0) {
        let kept = if index == SHARED { SHARES.get() } else { usize::from(place.owner == here()) };
        place.users = kept;
        if kept == 0 {
            close(index, place);
        }
    }
}
