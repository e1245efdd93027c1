//! Numbers in keys: exact across int, long, double and decimal.
//!
//! Integers and doubles are binary fractions, decimals are decimal ones; neither kind contains the other. So a number
//! is cut down to a binary fraction that fits, and what is cut off (of decimals only) is ordered by the decimal digits
//! of the whole number: two numbers with the same binary part differ only there, and then both are decimals, or one is
//! exactly the binary part.

use num_bigint::BigUint;

use super::tag;
use crate::Decimal128;
use crate::decimal::{Finite, Unpacked};

/// Tag of numbers in (0, 1).
pub(super) const BELOW_ONE: u8 = 0x31;
/// Tag of numbers from 2^63 up.
pub(super) const HUGE: u8 = 0x3A;
/// Tag of a negative number is this less the tag of its absolute value.
pub(super) const MIRROR: u8 = 0x60;
/// Nothing follows.
pub(super) const EXACT: u8 = 0x00;
/// Something follows.
pub(super) const MORE: u8 = 0x01;
/// Added to the power of ten of a first digit, to be positive.
pub(super) const POWER_BIAS: i32 = 8192;
/// Digits of the coefficient in a rest.
const DIGITS: u32 = 34;
/// First integer that does not fit the integer part.
const INTEGER_PART_END: f64 = 9_223_372_036_854_775_808.0;

/// Writes tag and payload of a number other than zero and NaN: the absolute value's, mirrored if negative.
fn write(negative: bool, positive_tag: u8, payload: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    out.push(if negative { MIRROR - positive_tag } else { positive_tag });
    let start = out.len();
    payload(out);
    if negative {
        for byte in out.iter_mut().skip(start) {
            *byte = !*byte;
        }
    }
}

/// Tag and bytes of an integer part of at least 1.
fn integer_part(part: u64) -> (u8, usize) {
    let zero_bytes = part.leading_zeros() / 8;
    let bytes = 8 - u8::try_from(zero_bytes).unwrap_or(0).min(7);
    (BELOW_ONE + bytes, usize::from(bytes))
}

fn write_integer_part(part: u64, bytes: usize, out: &mut Vec<u8>) {
    let all = part.to_be_bytes();
    out.extend_from_slice(all.get(8 - bytes..).unwrap_or(&all));
}

/// Encodes an int or a long.
pub(super) fn encode_integer(number: i64, out: &mut Vec<u8>) {
    let magnitude = number.unsigned_abs();
    if magnitude == 0 {
        out.push(tag::ZERO);
    } else if magnitude < 1 << 63 {
        let (positive_tag, bytes) = integer_part(magnitude);
        let payload = |out: &mut Vec<u8>| {
            write_integer_part(magnitude, bytes, out);
            out.push(EXACT);
        };
        write(number < 0, positive_tag, payload, out);
    } else {
        // Only -2^63, which is a double.
        encode_double(-INTEGER_PART_END, out);
    }
}

/// Encodes a double.
pub(super) fn encode_double(number: f64, out: &mut Vec<u8>) {
    let magnitude = number.abs();
    if number.is_nan() {
        out.push(tag::NAN);
    } else if magnitude == 0.0 {
        out.push(tag::ZERO);
    } else if (1.0..INTEGER_PART_END).contains(&magnitude) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range by the guard")]
        let part = magnitude as u64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a fraction below 1 times 2^64"
        )]
        let fraction = (magnitude.fract() * 18_446_744_073_709_551_616.0) as u64;
        let (positive_tag, bytes) = integer_part(part);
        let payload = |out: &mut Vec<u8>| {
            write_integer_part(part, bytes, out);
            if fraction == 0 {
                out.push(EXACT);
            } else {
                out.push(MORE);
                out.extend_from_slice(&fraction.to_be_bytes());
                out.push(EXACT);
            }
        };
        write(number < 0.0, positive_tag, payload, out);
    } else {
        let payload = |out: &mut Vec<u8>| {
            out.extend_from_slice(&magnitude.to_bits().to_be_bytes());
            out.push(EXACT);
        };
        write(number < 0.0, if magnitude < 1.0 { BELOW_ONE } else { HUGE }, payload, out);
    }
}

/// Encodes a decimal.
pub(super) fn encode_decimal(number: Decimal128, out: &mut Vec<u8>) {
    let parts = match number.unpack() {
        Unpacked::NotANumber { .. } => return out.push(tag::NAN),
        Unpacked::Infinity { negative } => {
            return encode_double(if negative { f64::NEG_INFINITY } else { f64::INFINITY }, out);
        }
        Unpacked::Finite(parts) => parts.normalized(),
    };
    if parts.coefficient == 0 {
        return out.push(tag::ZERO);
    }
    let magnitude = Finite { negative: false, ..parts };
    match split(magnitude) {
        Some(Split { part, fraction, exact }) if part > 0 => {
            let (positive_tag, bytes) = integer_part(part);
            let payload = |out: &mut Vec<u8>| {
                write_integer_part(part, bytes, out);
                if fraction == 0 && exact {
                    out.push(EXACT);
                } else {
                    out.push(MORE);
                    out.extend_from_slice(&fraction.to_be_bytes());
                    write_rest(magnitude, exact, out);
                }
            };
            write(parts.negative, positive_tag, payload, out);
        }
        below_one => {
            let (double, exact) = cut_to_double(number.abs());
            let payload = |out: &mut Vec<u8>| {
                out.extend_from_slice(&double.to_bits().to_be_bytes());
                write_rest(magnitude, exact, out);
            };
            write(parts.negative, if below_one.is_some() { BELOW_ONE } else { HUGE }, payload, out);
        }
    }
}

/// A decimal below 2^63 as integer part and fraction.
struct Split {
    part: u64,
    /// What is behind the point times 2^64, rounded down.
    fraction: u64,
    /// Whether nothing was rounded away.
    exact: bool,
}

/// Splits a positive decimal; nothing if it is 2^63 or more.
fn split(number: Finite) -> Option<Split> {
    if number.exponent >= 0 {
        let scale = 10u128.checked_pow(u32::try_from(number.exponent).ok()?)?;
        let whole = number.coefficient.checked_mul(scale)?;
        let part = u64::try_from(whole).ok().filter(|part| *part < 1 << 63)?;
        return Some(Split { part, fraction: 0, exact: true });
    }
    let places = number.exponent.unsigned_abs();
    let Some(scale) = 10u128.checked_pow(places) else {
        // More places than digits by far: below 1. The fraction is not asked for there.
        return Some(Split { part: 0, fraction: 0, exact: false });
    };
    let part = u64::try_from(number.coefficient / scale).ok().filter(|part| *part < 1 << 63)?;
    let scaled = BigUint::from(number.coefficient % scale) << 64u32;
    let fraction = &scaled / scale;
    let exact = &fraction * scale == scaled;
    Some(Split { part, fraction: u64::try_from(fraction).unwrap_or(u64::MAX), exact })
}

/// The largest double that is not above a positive decimal, and whether it is the decimal.
fn cut_to_double(number: Decimal128) -> (f64, bool) {
    let nearest = number.to_f64();
    match number.compare_f64(nearest) {
        std::cmp::Ordering::Equal => (nearest, true),
        std::cmp::Ordering::Greater => (nearest, false),
        std::cmp::Ordering::Less => (nearest.next_down(), false),
    }
}

/// What orders decimals with the same binary part: their digits.
fn write_rest(number: Finite, exact: bool, out: &mut Vec<u8>) {
    if exact {
        return out.push(EXACT);
    }
    out.push(MORE);
    let power = u16::try_from(number.adjusted_exponent() + POWER_BIAS).unwrap_or(0);
    out.extend_from_slice(&power.to_be_bytes());
    let filled = 10u128.checked_pow(DIGITS.saturating_sub(number.digits()));
    let digits = filled.and_then(|scale| number.coefficient.checked_mul(scale)).unwrap_or(number.coefficient);
    out.extend_from_slice(&digits.to_be_bytes());
}
