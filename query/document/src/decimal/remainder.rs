//! Remainder of a division that rounds toward zero, as C's `fmod` and MongoDB's `$mod` have it.

use num_bigint::BigUint;

use super::finish::{Unrounded, finish};
use super::unpack::{Finite, Unpacked};
use super::wide::power_of_ten;
use crate::Decimal128;

impl std::ops::Rem for Decimal128 {
    type Output = Self;

    /// The remainder, which is exact and has the sign of `self`. Dividing by zero or dividing infinity makes NaN. The
    /// ideal exponent is the smaller one.
    fn rem(self, other: Self) -> Self {
        match (self.unpack(), other.unpack()) {
            (Unpacked::Finite(_), Unpacked::Infinity { .. }) => self,
            (Unpacked::Finite(left), Unpacked::Finite(right)) if right.coefficient != 0 => {
                remainder_finite(left, right)
            }
            _ => Self::NAN,
        }
    }
}

fn remainder_finite(left: Finite, right: Finite) -> Decimal128 {
    let (coefficient, exponent) = if left.exponent >= right.exponent {
        // Only the power of ten modulo the divisor matters, so that its thousands of digits are never written out.
        let distance = left.exponent.abs_diff(right.exponent);
        let modulus = BigUint::from(right.coefficient);
        let power = BigUint::from(10u8).modpow(&BigUint::from(distance), &modulus);
        let remainder = BigUint::from(left.coefficient) * power % modulus;
        (u128::try_from(remainder).unwrap_or(0), right.exponent)
    } else {
        let distance = right.exponent.abs_diff(left.exponent);
        let divisor = power_of_ten(distance).and_then(|unit| right.coefficient.checked_mul(unit));
        // A divisor that does not fit is larger than any dividend.
        (divisor.map_or(left.coefficient, |divisor| left.coefficient % divisor), left.exponent)
    };
    finish(Unrounded { negative: left.negative, coefficient, exponent, sticky: false }).decimal
}
