//! The values that functions of the host program take and return.

use wasmer::Type;

/// A number type of WebAssembly. Functions of the host program take and return nothing else: vectors and references
/// have no form that all languages share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
    /// A 32-bit float.
    F32,
    /// A 64-bit float.
    F64,
}

/// So many arguments and results of a call together need no allocation.
pub const FEW_VALUES: usize = 8;

/// A number. Floats are kept as their bits, so that each NaN arrives as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Val {
    /// A 32-bit integer.
    I32(i32),
    /// A 64-bit integer.
    I64(i64),
    /// The bits of a 32-bit float.
    F32(u32),
    /// The bits of a 64-bit float.
    F64(u64),
}

impl ValType {
    /// The number 0 of this type.
    pub fn zero(self) -> Val {
        match self {
            Self::I32 => Val::I32(0),
            Self::I64 => Val::I64(0),
            Self::F32 => Val::F32(0),
            Self::F64 => Val::F64(0),
        }
    }

    pub(crate) fn to_wasmer(self) -> Type {
        match self {
            Self::I32 => Type::I32,
            Self::I64 => Type::I64,
            Self::F32 => Type::F32,
            Self::F64 => Type::F64,
        }
    }
}
