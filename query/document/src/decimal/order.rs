//! The numeric order of decimals.

use std::cmp::Ordering;

use super::unpack::{Finite, Unpacked};
use super::wide::power_of_ten;
use crate::Decimal128;

impl Decimal128 {
    /// Numeric order: NaN equals NaN and is below every number, -0 equals 0, trailing zeros do not count.
    pub fn compare(self, other: Self) -> Ordering {
        let (left, right) = (self.unpack(), other.unpack());
        rank(left).cmp(&rank(right)).then_with(|| match (left, right) {
            (Unpacked::Finite(left), Unpacked::Finite(right)) if left.coefficient != 0 => {
                compare_finite(left, right)
            }
            _ => Ordering::Equal,
        })
    }
}

/// NaN, -infinity, negative, zero, positive, infinity.
fn rank(number: Unpacked) -> i8 {
    match number {
        Unpacked::NotANumber { .. } => -3,
        Unpacked::Infinity { negative: true } => -2,
        Unpacked::Finite(Finite { coefficient: 0, .. }) => 0,
        Unpacked::Finite(Finite { negative: true, .. }) => -1,
        Unpacked::Finite(_) => 1,
        Unpacked::Infinity { negative: false } => 2,
    }
}

/// Both of the same sign, neither zero.
fn compare_finite(left: Finite, right: Finite) -> Ordering {
    let magnitude = left.adjusted_exponent().cmp(&right.adjusted_exponent()).then_with(|| {
        // The first digits have the same weight, so that padding the shorter one to the same count of digits aligns
        // the last ones, and still fits: it has at most 34 digits then.
        let (left_digits, right_digits) = (left.digits(), right.digits());
        let pad =
            |coefficient: u128, count| coefficient.saturating_mul(power_of_ten(count).unwrap_or(u128::MAX));
        let left_padded = pad(left.coefficient, right_digits.saturating_sub(left_digits));
        let right_padded = pad(right.coefficient, left_digits.saturating_sub(right_digits));
        left_padded.cmp(&right_padded)
    });
    if left.negative { magnitude.reverse() } else { magnitude }
}
