//! Decides when pages of a memory that calls have used are given back to the operating system.

/// The part of a memory that recent calls have used. Bytes that the next calls will probably use are zeroed, which is
/// cheaper than fresh pages from the system; pages that they will not use are given back.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Bytes that a call usually uses. A larger call raises it at once, a smaller one lowers it by an eighth at most.
    usual: u64,
    /// High-water mark since pages were last given back: bytes below it may be in physical memory.
    resident: u64,
}

impl Usage {
    /// Records a call that used the first `used` bytes; returns how many bytes, from 0 on, to give back, if any.
    pub(crate) fn note(&mut self, used: u64) -> Option<u64> {
        /// Giving back less gains nothing.
        const LARGE: u64 = 1 << 20;
        /// From this size on, zeroing takes longer than fresh pages do.
        const HUGE: u64 = 64 << 20;
        let is_unusual = used / 4 > self.usual;
        self.usual = used.max(self.usual - self.usual / 8);
        self.resident = self.resident.max(used);
        let is_left = self.resident / 8 > self.usual;
        let gives_back = self.resident >= LARGE && (is_unusual || is_left || used >= HUGE);
        gives_back.then(|| std::mem::take(&mut self.resident))
    }
}

#[cfg(test)]
mod tests {
    use super::Usage;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_is_used_again_is_kept() {
        let mut usage = Usage::default();
        assert_eq!(usage.note(100), None);
        assert_eq!(usage.note(4 * MIB), Some(4 * MIB), "one large call among small ones");
        assert_eq!((0..100).filter(|_| usage.note(4 * MIB).is_some()).count(), 0, "the next are not unusual");
        assert_eq!((0..100).filter(|_| usage.note(2 * MIB).is_some()).count(), 0, "nor are somewhat smaller ones");
    }

    #[test]
    fn what_is_no_longer_used_is_given_back_once() {
        let mut usage = Usage::default();
        for _ in 0..3 {
            usage.note(8 * MIB);
        }
        let given: Vec<_> = (0..100).filter_map(|call| Some((call, usage.note(100)?))).collect();
        assert_eq!(given.len(), 1, "{given:?}");
        assert!((5..30).contains(&given[0].0) && given[0].1 == 8 * MIB, "{given:?}");
    }

    #[test]
    fn what_is_huge_is_always_given_back_and_what_is_small_never() {
        let mut usage = Usage::default();
        assert_eq!((0..10).filter(|_| usage.note(100 * MIB) == Some(100 * MIB)).count(), 10);
        let mut usage = Usage::default();
        assert_eq!((0..1000).filter(|call| usage.note(call % 7 * 100_000).is_some()).count(), 0);
    }
}
