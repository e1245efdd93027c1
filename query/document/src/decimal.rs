//! Decimal128: IEEE 754-2008 decimal floating point of 34 digits, in the binary integer encoding that BSON stores.
//!
//! A number is `(-1)^sign * coefficient * 10^exponent` with `coefficient < 10^34` and `-6176 <= exponent <= 6111`.
//! The same value has several encodings (`1`, `1.0`, `1.00`): they compare equal and are still kept apart, because
//! trailing zeros say how exact a number was meant to be. Every operation therefore has an *ideal exponent* (the
//! smaller one for sums, the sum of both for products, ...): an exact result gets the representable exponent nearest
//! to it, a rounded result has all 34 digits.
//!
//! How the pieces work together: an operation unpacks its operands, computes an exact integer (or an integer of at
//! least 36 digits and a *sticky* flag that says whether anything nonzero was cut off below it), and hands it to
//! [`finish`], the only place that rounds to 34 digits, handles overflow to infinity, gradual underflow and the
//! clamping of exponents.
//!
//! Arithmetic rounds half to even, as MongoDB's does. Signalling NaNs are read and kept as values but never signalled.

mod add;
mod convert;
mod divide;
mod finish;
mod format;
mod multiply;
mod order;
mod parse;
mod remainder;
mod round;
mod square_root;
mod transcendental;
mod unpack;
mod wide;

pub use finish::Rounding;
pub use unpack::{Finite, Unpacked};

use crate::Decimal128;

/// Digits of the coefficient.
pub(crate) const DIGITS_MAX: u32 = 34;
/// Largest coefficient: 34 nines.
pub(crate) const COEFFICIENT_MAX: u128 = 10u128.pow(DIGITS_MAX) - 1;
/// Smallest exponent of the last digit.
pub(crate) const EXPONENT_MIN: i32 = -6176;
/// Largest exponent of the last digit.
pub(crate) const EXPONENT_MAX: i32 = 6111;

impl Decimal128 {
    /// Zero with exponent 0.
    pub const ZERO: Self = Self::new(false, 0, 0);
    /// Positive infinity.
    pub const INFINITY: Self = Self::special(false, 0b11110);
    /// Negative infinity.
    pub const NEGATIVE_INFINITY: Self = Self::special(true, 0b11110);
    /// The quiet NaN without payload.
    pub const NAN: Self = Self::special(false, 0b11111);

    /// Whether this is a NaN of any kind.
    pub fn is_nan(self) -> bool {
        matches!(self.unpack(), Unpacked::NotANumber { .. })
    }

    /// Whether this is positive or negative infinity.
    pub fn is_infinite(self) -> bool {
        matches!(self.unpack(), Unpacked::Infinity { .. })
    }

    /// Whether this is neither a NaN nor infinite.
    pub fn is_finite(self) -> bool {
        matches!(self.unpack(), Unpacked::Finite(_))
    }

    /// Whether this is a zero of any sign and exponent.
    pub fn is_zero(self) -> bool {
        matches!(self.unpack(), Unpacked::Finite(Finite { coefficient: 0, .. }))
    }

    /// Whether the sign bit is set; true for -0 too.
    pub const fn is_negative(self) -> bool {
        self.0[15] & 0x80 != 0
    }

    /// The same number with the sign bit cleared.
    #[must_use]
    pub const fn abs(self) -> Self {
        let mut bytes = self.0;
        bytes[15] &= 0x7F;
        Self(bytes)
    }

    /// The same number with the sign bit turned around.
    #[must_use]
    pub const fn negate(self) -> Self {
        let mut bytes = self.0;
        bytes[15] ^= 0x80;
        Self(bytes)
    }
}

#[cfg(test)]
mod tests;
