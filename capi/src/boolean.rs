//! C's `bool` in the signatures of C functions, where Rust's may not stand.
//!
//! Hosts disagree about its size. C and most bindings read one byte of a result, .NET reads four, and the calling
//! conventions of x86-64 leave all but the lowest byte to chance. A parameter has only one byte that counts, and a
//! faulty host may pass any value in it, which would be undefined behaviour as a Rust `bool`.

/// The result of a C function, `bool` in the header: a number of 32 bits that is 0 or 1, and so the same in one byte
/// and in four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bool(u32);

impl Bool {
    /// C's `false`.
    pub const FALSE: Self = Self(0);
    /// C's `true`.
    pub const TRUE: Self = Self(1);
}

impl From<bool> for Bool {
    #[inline]
    fn from(value: bool) -> Self {
        Self(u32::from(value))
    }
}

impl From<Bool> for bool {
    #[inline]
    fn from(value: Bool) -> Self {
        value.0 != 0
    }
}

/// A parameter of a C function, `bool` in the header: a byte that is true unless it is 0.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct BoolArg(u8);

impl From<bool> for BoolArg {
    #[inline]
    fn from(value: bool) -> Self {
        Self(u8::from(value))
    }
}

impl From<BoolArg> for bool {
    #[inline]
    fn from(value: BoolArg) -> Self {
        value.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Bool, BoolArg};

    #[test]
    fn results_are_0_or_1() {
        assert_eq!((Bool::from(false).0, Bool::from(true).0), (0, 1));
        assert_eq!((Bool::FALSE, Bool::TRUE), (Bool::from(false), Bool::from(true)));
        assert!(bool::from(Bool::TRUE) && !bool::from(Bool::FALSE));
    }

    #[test]
    fn each_byte_but_0_is_true() {
        for byte in 0..=u8::MAX {
            assert_eq!(bool::from(BoolArg(byte)), byte != 0);
        }
        assert!(bool::from(BoolArg::from(true)) && !bool::from(BoolArg::from(false)));
    }
}
