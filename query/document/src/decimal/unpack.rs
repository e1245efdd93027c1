//! The bits of a decimal128 (IEEE 754-2008, 3.5.2, binary integer encoding), taken apart and put together.
//!
//! ```text
//! bit 127   sign
//! bits 126..113   exponent + 6176, unless bits 126..125 are both set
//! bits 112..0     coefficient
//!
//! bits 126..122   11110 infinity, 11111 NaN (bit 121: signalling)
//! bits 126..125   11 and not one of those: a coefficient of 10^34 or more, which is not canonical and means zero
//! ```

use super::{COEFFICIENT_MAX, EXPONENT_MAX, EXPONENT_MIN};
use crate::Decimal128;

const EXPONENT_BIAS: i32 = 6176;
const COEFFICIENT_BITS: u32 = 113;

/// A finite decimal taken apart: `coefficient * 10^exponent`, negated if `negative`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finite {
    /// The sign bit; zeros have one too.
    pub negative: bool,
    /// The digits as an integer, below 10^34.
    pub coefficient: u128,
    /// The power of ten of the last digit, from -6176 to 6111.
    pub exponent: i32,
}

impl Finite {
    /// The number of digits of the coefficient; 0 for zero.
    pub fn digits(self) -> u32 {
        digit_count(self.coefficient)
    }

    /// The power of ten of the first digit.
    pub fn adjusted_exponent(self) -> i32 {
        self.exponent + self.digits().saturating_sub(1).cast_signed()
    }

    /// The same value without trailing zeros in the coefficient; zero gets exponent 0.
    #[must_use]
    pub fn normalized(self) -> Self {
        let Self { negative, mut coefficient, mut exponent } = self;
        if coefficient == 0 {
            return Self { negative, coefficient, exponent: 0 };
        }
        while coefficient.is_multiple_of(10) {
            coefficient /= 10;
            exponent += 1;
        }
        Self { negative, coefficient, exponent }
    }
}

/// What the bits of a decimal say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpacked {
    /// A number.
    Finite(Finite),
    /// An infinity.
    Infinity {
        /// Whether it is the negative one.
        negative: bool,
    },
    /// No number.
    NotANumber {
        /// The sign bit.
        negative: bool,
        /// Whether it is a signalling NaN.
        signaling: bool,
    },
}

/// The number of decimal digits; 0 for zero.
pub(crate) fn digit_count(number: u128) -> u32 {
    number.checked_ilog10().map_or(0, |log| log + 1)
}

impl Decimal128 {
    /// The decimal of these parts. They must be in range (see [`Finite`]); use arithmetic or parsing where rounding
    /// or clamping may be needed.
    pub(crate) const fn new(negative: bool, coefficient: u128, exponent: i32) -> Self {
        debug_assert!(coefficient <= COEFFICIENT_MAX);
        debug_assert!(exponent >= EXPONENT_MIN && exponent <= EXPONENT_MAX);
        let biased = (exponent + EXPONENT_BIAS).cast_unsigned() as u128;
        Self(((negative as u128) << 127 | biased << COEFFICIENT_BITS | coefficient).to_le_bytes())
    }

    /// The decimal of these parts, if they are in range.
    pub fn from_finite(parts: Finite) -> Option<Self> {
        let Finite { negative, coefficient, exponent } = parts;
        (coefficient <= COEFFICIENT_MAX && (EXPONENT_MIN..=EXPONENT_MAX).contains(&exponent))
            .then(|| Self::new(negative, coefficient, exponent))
    }

    pub(crate) const fn special(negative: bool, combination: u128) -> Self {
        Self(((negative as u128) << 127 | combination << 122).to_le_bytes())
    }

    /// Infinity of this sign.
    pub(crate) const fn infinity(negative: bool) -> Self {
        if negative { Self::NEGATIVE_INFINITY } else { Self::INFINITY }
    }

    /// Takes the bits apart. Every bit pattern means something; those that are not canonical mean zero.
    pub fn unpack(self) -> Unpacked {
        let bits = u128::from_le_bytes(self.0);
        let negative = bits >> 127 != 0;
        match bits >> 122 & 0b11111 {
            0b11110 => return Unpacked::Infinity { negative },
            0b11111 => return Unpacked::NotANumber { negative, signaling: bits >> 121 & 1 != 0 },
            _ => {}
        }
        let large = bits >> 125 & 0b11 == 0b11;
        let exponent_shift = if large { COEFFICIENT_BITS - 2 } else { COEFFICIENT_BITS };
        let biased = bits >> exponent_shift & 0x3FFF;
        let coefficient = if large { 0 } else { bits & ((1 << COEFFICIENT_BITS) - 1) };
        let coefficient = if coefficient > COEFFICIENT_MAX { 0 } else { coefficient };
        let exponent = i32::try_from(biased).unwrap_or(0) - EXPONENT_BIAS;
        Unpacked::Finite(Finite { negative, coefficient, exponent })
    }

    /// The parts, if this is a number.
    pub fn finite(self) -> Option<Finite> {
        match self.unpack() {
            Unpacked::Finite(parts) => Some(parts),
            _ => None,
        }
    }
}
