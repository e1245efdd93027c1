//! Quotient.

use num_bigint::BigUint;

use super::DIGITS_MAX;
use super::finish::{Unrounded, finish, toward_ideal};
use super::unpack::{Finite, Unpacked};
use super::wide::{power_of_ten, power_of_ten_wide};
use crate::Decimal128;

impl std::ops::Div for Decimal128 {
    type Output = Self;

    /// The quotient, rounded half to even. Dividing a number by zero makes infinity; zero by zero and infinity by
    /// infinity make NaN. The ideal exponent is the difference of both.
    fn div(self, other: Self) -> Self {
        let negative = self.is_negative() != other.is_negative();
        match (self.unpack(), other.unpack()) {
            (Unpacked::NotANumber { .. }, _) | (_, Unpacked::NotANumber { .. }) => Self::NAN,
            (Unpacked::Infinity { .. }, Unpacked::Infinity { .. }) => Self::NAN,
            (Unpacked::Infinity { .. }, _) => Self::infinity(negative),
            (_, Unpacked::Infinity { .. }) => Self::new(negative, 0, super::EXPONENT_MIN),
            (Unpacked::Finite(left), Unpacked::Finite(right)) => divide_finite(negative, left, right),
        }
    }
}

fn divide_finite(negative: bool, left: Finite, right: Finite) -> Decimal128 {
    let ideal = left.exponent - right.exponent;
    if right.coefficient == 0 {
        return if left.coefficient == 0 { Decimal128::NAN } else { Decimal128::infinity(negative) };
    }
    // Enough zeros behind the dividend that an inexact quotient has 36 or 37 digits.
    let shift = (DIGITS_MAX + 2 + right.digits()).saturating_sub(left.digits());
    let (quotient, sticky) = divide_scaled(left.coefficient, shift, right.coefficient);
    let exponent = ideal.saturating_sub_unsigned(shift);
    let (coefficient, exponent) =
        if sticky { (quotient, exponent) } else { toward_ideal(quotient, exponent, ideal) };
    finish(Unrounded { negative, coefficient, exponent, sticky }).decimal
}

/// `dividend * 10^shift / divisor`, and whether a remainder is left.
fn divide_scaled(dividend: u128, shift: u32, divisor: u128) -> (u128, bool) {
    if let Some(scaled) = power_of_ten(shift).and_then(|unit| dividend.checked_mul(unit)) {
        return (scaled / divisor, scaled % divisor != 0);
    }
    let scaled = dividend * power_of_ten_wide(shift);
    let quotient = u128::try_from(&scaled / divisor).unwrap_or(u128::MAX);
    (quotient, scaled % divisor != BigUint::ZERO)
}
