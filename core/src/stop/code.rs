//! The addresses of a plugin's code, which tell the signal's handler whether a thread may trap where it is.

use std::ops::Range;

/// The addresses of a plugin's own functions, without anything else that the compiler puts beside them.
#[derive(Debug)]
pub(crate) struct CodeRanges {
    /// Sorted by address, disjoint.
    functions: Vec<Range<usize>>,
    /// Called on each thread before it runs such code for the first time.
    pub(super) prepare_thread: fn(),
}

impl CodeRanges {
    pub(crate) fn new(mut functions: Vec<Range<usize>>) -> Self {
        /// Gaps of fewer bytes than this are padding, and count as code.
        const PADDING: usize = 32;
        functions.sort_unstable_by_key(|function| function.start);
        functions.dedup_by(|next, previous| {
            let is_near = next.start >= previous.end && next.start - previous.end < PADDING;
            if is_near {
                previous.end = next.end;
            }
            is_near
        });
        functions.shrink_to_fit();
        Self { functions, prepare_thread: || () }
    }

    /// Sets the function that each thread calls before it runs such code for the first time.
    pub(crate) fn for_threads(self, prepare: fn()) -> Self {
        Self { prepare_thread: prepare, ..self }
    }

    pub(super) fn contains(&self, address: usize) -> bool {
        let after = self.functions.partition_point(|function| function.start <= address);
        let before = after.checked_sub(1).and_then(|index| self.functions.get(index));
        before.is_some_and(|function| address < function.end)
    }
}

#[cfg(test)]
mod tests {
    use super::CodeRanges;

    #[test]
    fn code_is_where_the_functions_are() {
        let code = CodeRanges::new(vec![100..110, 500..600, 112..200]);
        assert_eq!(code.functions, [100..200, 500..600]);
        let inside: Vec<usize> = (0..700).filter(|address| code.contains(*address)).collect();
        assert_eq!(inside, (100..200).chain(500..600).collect::<Vec<_>>());
        assert!(!CodeRanges::new(Vec::new()).contains(0));
    }
}
