//! Numbers plugins as Extism 0.1.0 did: ids count up from 0. The ids of freed plugins wait in a queue and are given out
//! again, oldest first, once 25 of them wait.

use std::collections::VecDeque;

/// A plugin's id. Negative ids are never given.
pub(crate) type PluginId = i32;

/// The number of freed ids that must wait before one is used again, so that a stale id stays invalid for a while.
const WAITING: usize = 25;

/// The next ids.
#[derive(Debug, Default)]
pub(super) struct Ids {
    next: PluginId,
    freed: VecDeque<PluginId>,
}

impl Ids {
    /// The next id, new or reused; `None` if all are in use.
    pub(super) fn take(&mut self) -> Option<PluginId> {
        if self.freed.len() < WAITING && self.next < PluginId::MAX {
            let id = self.next;
            self.next += 1;
            return Some(id);
        }
        self.freed.pop_front()
    }

    /// Gives back the id of a plugin that was freed.
    pub(super) fn give_back(&mut self, id: PluginId) {
        self.freed.push_back(id);
    }
}

#[cfg(test)]
mod tests {
    use super::{Ids, PluginId};

    #[test]
    fn freed_ids_come_back_after_25() {
        let mut ids = Ids::default();
        let mut seen = Vec::new();
        for _ in 0..26 {
            let id = ids.take().expect("many are left");
            ids.give_back(id);
            seen.push(id);
        }
        assert_eq!(seen, (0..25).chain([0]).collect::<Vec<_>>());
        let next: Vec<_> = (0..4).map(|_| ids.take().expect("many are left")).collect();
        assert_eq!(next, [1, 25, 26, 27]);
    }

    #[test]
    fn at_the_end_only_freed_ids_are_left() {
        let mut ids = Ids { next: PluginId::MAX, freed: [3].into() };
        assert_eq!(ids.take(), Some(3));
        assert_eq!(ids.take(), None);
    }
}
