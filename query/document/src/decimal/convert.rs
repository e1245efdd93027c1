//! From and to the other numbers.

use std::cmp::Ordering;

use num_bigint::BigUint;

use super::finish::Rounding;
use super::unpack::{Finite, Unpacked};
use super::wide::power_of_ten_wide;
use crate::Decimal128;

impl From<i32> for Decimal128 {
    fn from(number: i32) -> Self {
        Self::new(number < 0, number.unsigned_abs().into(), 0)
    }
}

impl From<i64> for Decimal128 {
    fn from(number: i64) -> Self {
        Self::new(number < 0, number.unsigned_abs().into(), 0)
    }
}

impl Decimal128 {
    /// The double rounded to exactly 15 digits, as MongoDB converts doubles in arithmetic and in `$toDecimal`: 2.5
    /// becomes 2.50000000000000. Zero keeps its sign and has exponent 0.
    pub fn from_f64(number: f64) -> Self {
        Self::from_f64_digits(number, 15)
    }

    /// The double rounded half to even to this many digits, from 1 to 34.
    pub fn from_f64_digits(number: f64, digits: u32) -> Self {
        let negative = number.is_sign_negative();
        if number.is_nan() {
            return Self::NAN;
        }
        if number.is_infinite() {
            return Self::infinity(negative);
        }
        if number == 0.0 {
            return Self::new(negative, 0, 0);
        }
        let decimals = usize::try_from(digits.clamp(1, 34) - 1).unwrap_or(0);
        Self::parse_rounded(&format!("{number:.decimals$e}")).map_or(Self::NAN, |(decimal, _)| decimal)
    }

    /// The nearest double, ties to even; numbers too large become infinite.
    pub fn to_f64(self) -> f64 {
        match self.unpack() {
            Unpacked::NotANumber { .. } => f64::NAN,
            Unpacked::Infinity { negative: true } => f64::NEG_INFINITY,
            Unpacked::Infinity { negative: false } => f64::INFINITY,
            Unpacked::Finite(Finite { negative, coefficient, exponent }) => {
                let magnitude: f64 = format!("{coefficient}e{exponent}").parse().unwrap_or(f64::NAN);
                if negative { -magnitude } else { magnitude }
            }
        }
    }

    /// The integer after rounding by `rounding`, if it is one that fits. Nothing for infinities and NaN.
    pub fn to_i64(self, rounding: Rounding) -> Option<i64> {
        let parts = self.round_to_place(0, rounding).finite()?;
        let zeros = u32::try_from(parts.exponent).ok();
        let magnitude = match zeros {
            _ if parts.coefficient == 0 => 0,
            Some(zeros) => parts.coefficient.checked_mul(10u128.checked_pow(zeros)?)?,
            None => return None,
        };
        let magnitude = i128::try_from(magnitude).ok()?;
        i64::try_from(if parts.negative { -magnitude } else { magnitude }).ok()
    }

    /// As [`Decimal128::to_i64`], for 32 bits.
    pub fn to_i32(self, rounding: Rounding) -> Option<i32> {
        self.to_i64(rounding).and_then(|number| i32::try_from(number).ok())
    }

    /// The integer of exactly this value, if it is one that fits 64 bits.
    pub fn to_i64_exact(self) -> Option<i64> {
        let parts = self.finite()?.normalized();
        if parts.exponent < 0 { None } else { self.to_i64(Rounding::TowardZero) }
    }

    /// The exact numeric order against a double: nothing is rounded, so that the decimal 0.1 is below the double 0.1,
    /// which is a little more. NaN equals NaN and is below every number.
    pub fn compare_f64(self, number: f64) -> Ordering {
        let nearest = self.to_f64();
        match (nearest.is_nan(), number.is_nan()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        // Rounding is monotonic: unless the nearest double is `number` itself, it lies on the same side of it.
        match nearest.partial_cmp(&number).unwrap_or(Ordering::Equal) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
        let Unpacked::Finite(parts) = self.unpack() else { return Ordering::Equal };
        let magnitude = match () {
            () if number.is_infinite() => Ordering::Less,
            () if parts.coefficient == 0 => return Ordering::Equal,
            () if number == 0.0 => Ordering::Greater,
            () => compare_magnitude(parts, number.abs()),
        };
        if parts.negative { magnitude.reverse() } else { magnitude }
    }
}

/// Exact order of two positive numbers, in integers: both sides are multiplied by the powers that their exponents
/// divide by.
fn compare_magnitude(decimal: Finite, double: f64) -> Ordering {
    let (mantissa, power) = split_double(double);
    let mut left = BigUint::from(decimal.coefficient);
    let mut right = BigUint::from(mantissa);
    match u32::try_from(decimal.exponent) {
        Ok(exponent) => left *= power_of_ten_wide(exponent),
        Err(_) => right *= power_of_ten_wide(decimal.exponent.unsigned_abs()),
    }
    if power >= 0 {
        right <<= power.unsigned_abs();
    } else {
        left <<= power.unsigned_abs();
    }
    left.cmp(&right)
}

/// A positive finite double as `mantissa * 2^power`.
pub(crate) fn split_double(number: f64) -> (u64, i32) {
    let bits = number.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let biased = i32::try_from(bits >> 52 & 0x7FF).unwrap_or(0);
    if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased - 1075) }
}
