//! Numbers in commands arrive as any numeric type: clients write 1, 1.0 or a long as they please.

use sheaf_document::ValueRef;
use sheaf_document::decimal::Rounding;

/// The number as a 64-bit integer: a double is cut towards zero, a decimal is rounded half to even, NaN is 0, and
/// what does not fit becomes the nearest that does. Nothing for other types.
pub(crate) fn to_integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Int32(number) => Some(i64::from(number)),
        ValueRef::Int64(number) => Some(number),
        #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates, NaN becomes 0")]
        ValueRef::Double(number) => Some(number as i64),
        ValueRef::Decimal128(number) if number.is_nan() => Some(0),
        ValueRef::Decimal128(number) => {
            Some(number.to_i64(Rounding::HalfEven).unwrap_or(if number.is_negative() {
                i64::MIN
            } else {
                i64::MAX
            }))
        }
        _ => None,
    }
}

/// The number if it is a whole one that fits into 64 bits.
pub(crate) fn to_exact_integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Double(number) => {
            let whole = to_integer(value)?;
            #[expect(clippy::cast_precision_loss, reason = "the comparison is about exactly that loss")]
            let back = whole as f64;
            let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
            (fits && back == number).then_some(whole)
        }
        ValueRef::Decimal128(number) => number.to_i64_exact(),
        other => to_integer(other),
    }
}

/// The number as a double.
#[expect(clippy::cast_precision_loss, reason = "a double is what the caller asked for")]
pub(crate) fn to_double(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Int32(number) => Some(f64::from(number)),
        ValueRef::Int64(number) => Some(number as f64),
        ValueRef::Double(number) => Some(number),
        ValueRef::Decimal128(number) => Some(number.to_f64()),
        _ => None,
    }
}

/// Whether a value counts as true: a boolean, or a number that is not zero. Nothing for other types.
pub(crate) fn to_truth(value: ValueRef<'_>) -> Option<bool> {
    match value {
        ValueRef::Boolean(truth) => Some(truth),
        ValueRef::Decimal128(number) => Some(!number.is_zero()),
        other => to_double(other).map(|number| number != 0.0),
    }
}

/// Whether this is the number 1 of any type.
pub(crate) fn is_one(value: ValueRef<'_>) -> bool {
    to_double(value) == Some(1.0)
}
