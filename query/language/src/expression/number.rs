//! Numbers among values: promotion and exact integers.
//!
//! The types are ordered int, long, double, decimal; an operation takes the widest of its operands. A double becomes
//! a decimal of 15 digits, as people wrote it, not as binary stores it.

use sheaf_document::{Decimal128, Value};

/// A numeric value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Int32(i32),
    Int64(i64),
    Double(f64),
    Decimal(Decimal128),
}

impl Number {
    /// The number, if the value is one.
    pub(crate) const fn of(value: &Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Int32(number) => Self::Int32(*number),
            Value::Int64(number) => Self::Int64(*number),
            Value::Double(number) => Self::Double(*number),
            Value::Decimal128(number) => Self::Decimal(*number),
            _ => return None,
        })
    }

    /// The nearest double.
    #[expect(clippy::cast_precision_loss, reason = "promotion to double rounds, as everywhere")]
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Int32(number) => number.into(),
            Self::Int64(number) => number as f64,
            Self::Double(number) => number,
            Self::Decimal(number) => number.to_f64(),
        }
    }

    /// The decimal of up to 34 digits; a double is taken at 15.
    pub(crate) fn to_decimal(self) -> Decimal128 {
        match self {
            Self::Int32(number) => Decimal128::from(number),
            Self::Int64(number) => Decimal128::from(number),
            Self::Double(number) => Decimal128::from_f64(number),
            Self::Decimal(number) => number,
        }
    }

    /// The integer, if the number is exactly one that fits 64 bits.
    pub(crate) fn to_i64_exact(self) -> Option<i64> {
        match self {
            Self::Int32(number) => Some(number.into()),
            Self::Int64(number) => Some(number),
            Self::Double(number) => f64_to_i64_exact(number),
            Self::Decimal(number) => number.to_i64_exact(),
        }
    }
}

impl From<Number> for Value<'_> {
    fn from(number: Number) -> Self {
        match number {
            Number::Int32(number) => Self::Int32(number),
            Number::Int64(number) => Self::Int64(number),
            Number::Double(number) => Self::Double(number),
            Number::Decimal(number) => Self::Decimal128(number),
        }
    }
}

/// Bounds of the doubles whose integer part fits 64 bits: -2^63 fits, 2^63 does not.
const I64_DOUBLE_MIN: f64 = -9_223_372_036_854_775_808.0;
const I64_DOUBLE_END: f64 = 9_223_372_036_854_775_808.0;

/// The double as an integer, if it is exactly one that fits 64 bits.
pub(crate) fn f64_to_i64_exact(number: f64) -> Option<i64> {
    if number.trunc() == number { f64_to_i64_truncated(number) } else { None }
}

/// The integer part of a double, if it fits 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(crate) fn f64_to_i64_truncated(number: f64) -> Option<i64> {
    let number = number.trunc();
    (I64_DOUBLE_MIN..I64_DOUBLE_END).contains(&number).then_some(number as i64)
}

/// The integer, if the value is a number that is exactly an integer of 32 bits.
pub(crate) fn integral_i32(value: &Value<'_>) -> Option<i32> {
    i32::try_from(Number::of(value)?.to_i64_exact()?).ok()
}

/// An int if it fits, else a long.
pub(crate) fn int_or_long(number: i64) -> Value<'static> {
    match i32::try_from(number) {
        Ok(number) => Value::Int32(number),
        Err(_) => Value::Int64(number),
    }
}

/// A position or count as an int.
pub(crate) fn int_from_count(count: usize) -> Value<'static> {
    int_or_long(i64::try_from(count).unwrap_or(i64::MAX))
}
