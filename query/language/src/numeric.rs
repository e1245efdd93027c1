//! Numbers of any type, read as what an argument needs.

use sheaf_document::ValueRef;

/// Any number as a double.
pub fn as_f64(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Double(number) => Some(number),
        ValueRef::Int32(number) => Some(f64::from(number)),
        #[expect(clippy::cast_precision_loss, reason = "asked for as a double")]
        ValueRef::Int64(number) => Some(number as f64),
        ValueRef::Decimal128(decimal) => Some(decimal.to_f64()),
        _ => None,
    }
}

/// Any number that is whole and fits, as a long.
pub fn as_whole(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Int32(number) => Some(i64::from(number)),
        ValueRef::Int64(number) => Some(number),
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range by the guard")]
        ValueRef::Double(number) if number.fract() == 0.0 && number.abs() < 9_223_372_036_854_775_808.0 => {
            Some(number as i64)
        }
        ValueRef::Decimal128(number) => number.to_i64_exact(),
        _ => None,
    }
}
