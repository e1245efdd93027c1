//! The exact order of numbers across the four types.

use std::cmp::Ordering;

use crate::ValueRef;

/// Compares two numbers; values of which one is no number are equal (the caller compared their places before).
pub(super) fn compare(left: ValueRef<'_>, right: ValueRef<'_>) -> Ordering {
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => return left.cmp(&right),
        (Some(integer), None) => return compare_integer(integer, right),
        (None, Some(integer)) => return compare_integer(integer, left).reverse(),
        (None, None) => {}
    }
    match (left, right) {
        (ValueRef::Double(left), ValueRef::Double(right)) => compare_doubles(left, right),
        (ValueRef::Double(left), ValueRef::Decimal128(right)) => right.compare_f64(left).reverse(),
        (ValueRef::Decimal128(left), ValueRef::Double(right)) => left.compare_f64(right),
        (ValueRef::Decimal128(left), ValueRef::Decimal128(right)) => left.compare(right),
        _ => Ordering::Equal,
    }
}

fn integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Int32(number) => Some(number.into()),
        ValueRef::Int64(number) => Some(number),
        _ => None,
    }
}

fn compare_integer(integer: i64, other: ValueRef<'_>) -> Ordering {
    match other {
        ValueRef::Double(double) => compare_integer_with_double(integer, double),
        ValueRef::Decimal128(decimal) => crate::Decimal128::from(integer).compare(decimal),
        _ => Ordering::Equal,
    }
}

fn compare_doubles(left: f64, right: f64) -> Ordering {
    // NaN is below everything, so that comparing "is a number" decides wherever one of them is not.
    left.partial_cmp(&right).unwrap_or_else(|| (!left.is_nan()).cmp(&!right.is_nan()))
}

fn compare_integer_with_double(integer: i64, double: f64) -> Ordering {
    /// 2 to the power of 63: the first double above every `i64`.
    const ABOVE: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() || double < -ABOVE {
        return Ordering::Greater;
    }
    if double >= ABOVE {
        return Ordering::Less;
    }
    let whole = double.trunc();
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked and the fraction cut off")]
    let order = integer.cmp(&(whole as i64));
    order.then_with(|| whole.partial_cmp(&double).unwrap_or(Ordering::Equal))
}
