//! Sum and difference.

use num_bigint::{BigInt, Sign};

use super::finish::{Unrounded, finish, finish_wide};
use super::unpack::{Finite, Unpacked};
use super::wide::{power_of_ten, power_of_ten_wide};
use crate::Decimal128;

/// Operands whose exponents differ by more than this do not overlap, not even in a guard digit: the coefficient of
/// the larger one moves up by this much and the smaller one becomes a single unit far below.
const SHIFT_MAX: u32 = 72;

impl std::ops::Add for Decimal128 {
    type Output = Self;

    /// The sum, rounded half to even. Infinities of opposite signs make NaN. The ideal exponent is the smaller one.
    fn add(self, other: Self) -> Self {
        match (self.unpack(), other.unpack()) {
            (Unpacked::NotANumber { .. }, _) | (_, Unpacked::NotANumber { .. }) => Self::NAN,
            (Unpacked::Infinity { negative: left }, Unpacked::Infinity { negative: right }) => {
                if left == right { Self::infinity(left) } else { Self::NAN }
            }
            (Unpacked::Infinity { negative }, _) | (_, Unpacked::Infinity { negative }) => {
                Self::infinity(negative)
            }
            (Unpacked::Finite(left), Unpacked::Finite(right)) => add_finite(left, right),
        }
    }
}

impl std::ops::Sub for Decimal128 {
    type Output = Self;

    /// The difference: the sum with the other one negated.
    fn sub(self, other: Self) -> Self {
        std::ops::Add::add(self, -other)
    }
}

impl std::ops::Neg for Decimal128 {
    type Output = Self;

    fn neg(self) -> Self {
        self.negate()
    }
}

fn add_finite(left: Finite, right: Finite) -> Decimal128 {
    let (high, low) = if left.exponent >= right.exponent { (left, right) } else { (right, left) };
    let distance = high.exponent.abs_diff(low.exponent);
    if let Some(sum) = add_narrow(high, low, distance) {
        return sum;
    }
    if high.coefficient == 0 {
        // A zero takes nothing away from a number below it, and of two zeros the lower exponent stays.
        let both_negative = high.negative && low.negative;
        return finish(Unrounded {
            negative: if low.coefficient == 0 { both_negative } else { low.negative },
            coefficient: low.coefficient,
            exponent: low.exponent,
            sticky: false,
        })
        .decimal;
    }
    // A zero decides about the exponent alone, however far below it lies: then nothing may be rounded away.
    let shift = if low.coefficient == 0 { distance.min(super::DIGITS_MAX) } else { distance.min(SHIFT_MAX) };
    let low_coefficient = if shift == distance { low.coefficient } else { low.coefficient.min(1) };
    let exponent = high.exponent.saturating_sub_unsigned(shift);
    let (high_coefficient, exponent) = if low.coefficient == 0 {
        pad_toward(high, exponent)
    } else {
        (high.coefficient * power_of_ten_wide(shift), exponent)
    };
    let sign = |negative| if negative { Sign::Minus } else { Sign::Plus };
    let sum = BigInt::from_biguint(sign(high.negative), high_coefficient)
        + BigInt::from_biguint(sign(low.negative), low_coefficient.into());
    let negative = match sum.sign() {
        Sign::NoSign => high.negative && low.negative,
        sign => sign == Sign::Minus,
    };
    finish_wide(negative, sum.magnitude(), exponent, false).decimal
}

/// The common case: both aligned coefficients fit 128 bits.
fn add_narrow(high: Finite, low: Finite, distance: u32) -> Option<Decimal128> {
    let aligned = high.coefficient.checked_mul(power_of_ten(distance)?)?;
    let (negative, coefficient) = if high.negative == low.negative {
        (high.negative, aligned.checked_add(low.coefficient)?)
    } else {
        match aligned.cmp(&low.coefficient) {
            std::cmp::Ordering::Equal => (false, 0),
            std::cmp::Ordering::Greater => (high.negative, aligned - low.coefficient),
            std::cmp::Ordering::Less => (low.negative, low.coefficient - aligned),
        }
    };
    Some(finish(Unrounded { negative, coefficient, exponent: low.exponent, sticky: false }).decimal)
}

/// As many zeros as fit in 34 digits, to come as near to `exponent` as possible.
fn pad_toward(number: Finite, exponent: i32) -> (num_bigint::BigUint, i32) {
    let room = super::DIGITS_MAX.saturating_sub(number.digits());
    let pad = number.exponent.abs_diff(exponent).min(room);
    (number.coefficient * power_of_ten_wide(pad), number.exponent.saturating_sub_unsigned(pad))
}
