//! The values that host functions take and return.

use wasmer::{Type, Value};

/// A number type of WebAssembly. Host functions take and return nothing else: vectors and references have no form that
/// all host languages share.
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

    pub(super) fn to_wasmer(self) -> Type {
        match self {
            Self::I32 => Type::I32,
            Self::I64 => Type::I64,
            Self::F32 => Type::F32,
            Self::F64 => Type::F64,
        }
    }
}

impl Val {
    /// `None` for a vector or a reference.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::I32(number) => Some(Self::I32(*number)),
            Value::I64(number) => Some(Self::I64(*number)),
            Value::F32(number) => Some(Self::F32(number.to_bits())),
            Value::F64(number) => Some(Self::F64(number.to_bits())),
            Value::ExternRef(_) | Value::FuncRef(_) | Value::ExceptionRef(_) | Value::V128(_) => None,
        }
    }

    pub(super) fn to_wasmer(self) -> Value {
        match self {
            Self::I32(number) => Value::I32(number),
            Self::I64(number) => Value::I64(number),
            Self::F32(bits) => Value::F32(f32::from_bits(bits)),
            Self::F64(bits) => Value::F64(f64::from_bits(bits)),
        }
    }
}
