//! Product.

use num_bigint::BigUint;

use super::finish::{Unrounded, finish, finish_wide};
use super::unpack::{Finite, Unpacked};
use crate::Decimal128;

impl std::ops::Mul for Decimal128 {
    type Output = Self;

    /// The product, rounded half to even. Zero times infinity is NaN. The ideal exponent is the sum of both.
    fn mul(self, other: Self) -> Self {
        let negative = self.is_negative() != other.is_negative();
        match (self.unpack(), other.unpack()) {
            (Unpacked::NotANumber { .. }, _) | (_, Unpacked::NotANumber { .. }) => Self::NAN,
            (Unpacked::Infinity { .. }, Unpacked::Finite(Finite { coefficient: 0, .. }))
            | (Unpacked::Finite(Finite { coefficient: 0, .. }), Unpacked::Infinity { .. }) => Self::NAN,
            (Unpacked::Infinity { .. }, _) | (_, Unpacked::Infinity { .. }) => Self::infinity(negative),
            (Unpacked::Finite(left), Unpacked::Finite(right)) => {
                let exponent = left.exponent + right.exponent;
                match left.coefficient.checked_mul(right.coefficient) {
                    Some(coefficient) => {
                        finish(Unrounded { negative, coefficient, exponent, sticky: false }).decimal
                    }
                    None => {
                        let product = BigUint::from(left.coefficient) * right.coefficient;
                        finish_wide(negative, &product, exponent, false).decimal
                    }
                }
            }
        }
    }
}
