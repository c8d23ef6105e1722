//! What a plugin may take: the pages of its memories, the address space for them, and the elements of its tables, counted
//! together.

use std::fmt::Display;
use std::hint;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use wasmer::{MemoryError, TableType};
use wasmer_types::ModuleInfo;

/// What one plugin may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Pages of 64 KiB, in all memories together, if that is bounded.
    pub(crate) max_pages: Option<u32>,
    /// Elements, in all tables together. An element takes up 8 bytes.
    pub(crate) max_table_elements: u32,
}

impl Limits {
    /// [`max_table_elements`](Self::max_table_elements) where nobody says another number.
    pub(crate) const TABLE_ELEMENTS: u32 = 10_000_000;
}

/// The text of `error`, without the words that Wasmer puts before what [`Budget`] and others here say.
pub(crate) fn without_prefix(error: &impl Display) -> String {
    error.to_string().replace("A user-defined error occurred: ", "")
}

/// How many pages a plugin's memories have, and how many they may have.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicU64,
    max_pages: u32,
}

impl Budget {
    pub(super) fn new(max_pages: u32) -> Self {
        Self { used: AtomicU64::new(0), max_pages }
    }

    /// Takes `pages`, or says how many there may be.
    pub(super) fn take(&self, pages: u32) -> Result<(), MemoryError> {
        let max = u64::from(self.max_pages);
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(u64::from(pages)).filter(|total| *total <= max)
            })
            .map(drop)
            .map_err(|used| {
                let wanted = used.saturating_add(u64::from(pages));
                MemoryError::Generic(format!(
                    "its memories, that for input and output included, would have {wanted} pages of 64 KiB, more than \
                     memory.max_pages, which is {max}"
                ))
            })
    }

    pub(super) fn give_back(&self, pages: u32) {
        self.used.fetch_sub(u64::from(pages), Ordering::Relaxed);
    }
}

/// The address space that a plugin's memories take.
#[derive(Debug)]
pub(super) struct Reservations {
    /// How many more there may be.
    left: AtomicU32,
    /// How many more memories there may be that are not reservations.
    moving_left: AtomicU32,
}

impl Reservations {
    /// How many of a plugin's memories may be reservations, of 8 GiB of address space each, of which a process can have some
    /// 16,000; others are [`Spare`].
    const OWN: u32 = 8;

    /// How many of those a plugin may have: as many as a command library has instances.
    const SPARE: u32 = 256;

    /// How many memories that move a plugin may have: each takes two of the mappings that the system counts, 65,530 if nobody says
    /// otherwise.
    const MOVING: u32 = 1024;

    pub(super) fn new() -> Self {
        let [left, moving_left] = [Self::OWN + Self::SPARE, Self::MOVING].map(AtomicU32::new);
        Self { left, moving_left }
    }

    /// Counts a memory that moves.
    pub(super) fn take_moving(&self) -> Result<(), MemoryError> {
        let most = Self::MOVING;
        take_one(&self.moving_left)
            .map(drop)
            .ok_or_else(|| MemoryError::Region(format!("a plugin has at most {most} memories")))
    }

    /// Takes one, which may be a spare one.
    pub(super) fn take(&self) -> Result<Option<Spare>, MemoryError> {
        let left = take_one(&self.left).ok_or_else(|| {
            let most = Self::OWN + Self::SPARE;
            MemoryError::Region(format!("each takes 8 GiB of address space, and a plugin has at most {most}"))
        })?;
        if left > Self::SPARE { Ok(None) } else { Spare::take().map(Some) }
    }
}

/// One of the reservations that all plugins together may have beyond their own: with many empty memories, a plugin could take up the
/// address space of all.
#[derive(Debug)]
pub(super) struct Spare(());

static SPARE_LEFT: AtomicU32 = AtomicU32::new(4096);

impl Spare {
    fn take() -> Result<Self, MemoryError> {
        take_one(&SPARE_LEFT).map(|_| Self(())).ok_or_else(|| {
            let own = Reservations::OWN;
            MemoryError::Region(format!(
                "each takes 8 GiB of address space, and beyond {own} of a plugin there is no more for any plugin"
            ))
        })
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        SPARE_LEFT.fetch_add(1, Ordering::Relaxed);
    }
}

/// What there was before, if there was any.
fn take_one(left: &AtomicU32) -> Option<u32> {
    left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()
}

/// The tables that an instance of a plugin may come to have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tables {
    pub(crate) count: u32,
    /// What all of them have in the beginning.
    pub(crate) elements: u32,
}

impl Tables {
    /// These, and those of `number` instances of another `module`, all but one of which may never be made.
    pub(crate) fn and(self, module: &ModuleInfo, number: u32) -> Self {
        let own = || module.tables.values().skip(module.num_imported_tables);
        let count = u32::try_from(own().count()).unwrap_or(u32::MAX).saturating_mul(number);
        let elements = own().fold(0_u32, |sum, table| sum.saturating_add(table.minimum));
        Self { count: self.count.saturating_add(count), elements: self.elements.saturating_add(elements) }
    }
}

/// The elements that Wasmer lets a table have, its maximum included.
const LARGEST_TABLE: u32 = 128 << 20;

/// The elements of a plugin's tables. None are given back: a table lives as long as its store.
#[derive(Debug)]
pub(super) struct TableElements {
    max: u32,
    /// What a table may grow by that does not say. Wasmer bounds a table by its declared maximum only.
    share: u32,
    left: AtomicU32,
}

impl TableElements {
    /// At most `max`, split over `tables`.
    pub(super) fn new(max: u32, tables: Tables) -> Self {
        let share = max.saturating_sub(tables.elements) / tables.count.max(1);
        Self { max, share, left: AtomicU32::new(max) }
    }

    /// Gives a table a maximum that all tables together can reach, and takes that from what is left. Says no if there is no room
    /// for what the table begins with: Wasmer would end the process.
    pub(super) fn bounded(&self, ty: &TableType) -> Result<TableType, String> {
        let mut bounded = *ty;
        let taken = self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            let share = ty.minimum.saturating_add(self.share);
            // The rewrite has made the maximum one higher (`add_tables`).
            let declared = ty.maximum.map_or(u32::MAX, |maximum| maximum.saturating_sub(1));
            let most = declared.min(share).min(left).min(LARGEST_TABLE).max(ty.minimum);
            bounded.maximum = Some(most);
            left.checked_sub(most)
        });
        if taken.is_err() {
            let max = self.max;
            return Err(format!("tables of more than {max} elements together (memory.max_table_elements)"));
        }
        match find_room(u64::from(ty.minimum) * size_of::<usize>() as u64) {
            Ok(()) => Ok(bounded),
            Err(error) => Err(format!("no room for a table of {} elements: {error}", ty.minimum)),
        }
    }
}

/// Finds out whether so many bytes can be allocated at once, where Wasmer would end the process if not.
pub(super) fn find_room(bytes: u64) -> Result<(), String> {
    let mut room: Vec<u8> = Vec::new();
    let bytes = usize::try_from(bytes).map_err(|error| error.to_string())?;
    room.try_reserve_exact(bytes).map_err(|error| error.to_string())?;
    // An allocation that nobody uses could be left out.
    hint::black_box(&room);
    Ok(())
}
