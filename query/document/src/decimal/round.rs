//! Rounding to a decimal place.

use super::finish::{Rounding, drop_digits};
use super::unpack::{Finite, Unpacked, digit_count};
use super::wide::power_of_ten;
use super::{DIGITS_MAX, EXPONENT_MAX, EXPONENT_MIN};
use crate::Decimal128;

impl Decimal128 {
    /// The number nearest to this one (by `rounding`) whose last digit has this exponent. Nothing if it would need
    /// more than 34 digits or the exponent is out of range. Infinities and NaN stay.
    pub fn quantize(self, exponent: i32, rounding: Rounding) -> Option<Self> {
        let Unpacked::Finite(parts) = self.unpack() else { return Some(self) };
        if !(EXPONENT_MIN..=EXPONENT_MAX).contains(&exponent) {
            return None;
        }
        let Finite { negative, coefficient, .. } = parts;
        let distance = parts.exponent.abs_diff(exponent);
        let coefficient = if parts.exponent >= exponent {
            if coefficient == 0 { 0 } else { coefficient.checked_mul(power_of_ten(distance)?)? }
        } else {
            drop_digits(coefficient, distance, false, negative, rounding).0
        };
        (digit_count(coefficient) <= DIGITS_MAX).then(|| Self::new(negative, coefficient, exponent))
    }

    /// Rounds to this many digits after the decimal point (before it, if negative). A number that has no more digits
    /// than that stays as it is, trailing zeros included.
    #[must_use]
    pub fn round_to_place(self, place: i32, rounding: Rounding) -> Self {
        let exponent = place.saturating_neg();
        match self.unpack() {
            Unpacked::Finite(parts) if parts.exponent < exponent => {
                self.quantize(exponent.min(EXPONENT_MAX), rounding).unwrap_or(self)
            }
            _ => self,
        }
    }

    /// The nearest integer, ties to even.
    #[must_use]
    pub fn round(self) -> Self {
        self.round_to_place(0, Rounding::HalfEven)
    }

    /// The integer nearest toward zero.
    #[must_use]
    pub fn truncate(self) -> Self {
        self.round_to_place(0, Rounding::TowardZero)
    }

    /// The largest integer that is not above this number.
    #[must_use]
    pub fn floor(self) -> Self {
        self.round_to_place(0, Rounding::Floor)
    }

    /// The smallest integer that is not below this number.
    #[must_use]
    pub fn ceiling(self) -> Self {
        self.round_to_place(0, Rounding::Ceiling)
    }
}
