//! Square root.

use num_bigint::BigUint;

use super::DIGITS_MAX;
use super::finish::{Unrounded, finish, toward_ideal};
use super::unpack::Unpacked;
use super::wide::power_of_ten_wide;
use crate::Decimal128;

impl Decimal128 {
    /// The square root, rounded half to even; NaN below zero. The ideal exponent is half of the operand's.
    #[must_use]
    pub fn square_root(self) -> Self {
        let parts = match self.unpack() {
            Unpacked::Finite(parts) => parts,
            Unpacked::Infinity { negative: false } => return self,
            _ => return Self::NAN,
        };
        let ideal = parts.exponent.div_euclid(2);
        if parts.coefficient == 0 {
            return Self::new(parts.negative, 0, ideal);
        }
        if parts.negative {
            return Self::NAN;
        }
        // A radicand of 72 or 73 digits with an even exponent has a root of 36 or 37 digits.
        let shift = 2 * (DIGITS_MAX + 2) + 1 - parts.digits();
        let shift = if (parts.exponent - shift.cast_signed()) % 2 == 0 { shift } else { shift - 1 };
        let radicand: BigUint = parts.coefficient * power_of_ten_wide(shift);
        let root = radicand.sqrt();
        let sticky = &root * &root != radicand;
        let root = u128::try_from(root).unwrap_or(u128::MAX);
        let exponent = parts.exponent.saturating_sub_unsigned(shift) / 2;
        let (coefficient, exponent) =
            if sticky { (root, exponent) } else { toward_ideal(root, exponent, ideal) };
        finish(Unrounded { negative: false, coefficient, exponent, sticky }).decimal
    }
}
