//! From an exact integer to the nearest decimal: the one place that rounds, overflows, underflows and clamps.

use std::cmp::Ordering;

use num_bigint::BigUint;

use super::unpack::digit_count;
use super::wide::{power_of_ten, power_of_ten_wide, wide_digit_count};
use super::{DIGITS_MAX, EXPONENT_MAX, EXPONENT_MIN};
use crate::Decimal128;

/// Which way a number between two neighbours goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest one, ties to the even one.
    HalfEven,
    /// To the one nearer to zero.
    TowardZero,
    /// To the lower one.
    Floor,
    /// To the higher one.
    Ceiling,
}

/// A number still to be rounded: `coefficient * 10^exponent`, plus something smaller than one unit of the coefficient
/// if `sticky`.
pub(super) struct Unrounded {
    pub negative: bool,
    pub coefficient: u128,
    pub exponent: i32,
    pub sticky: bool,
}

/// A decimal and whether it is the very number that was asked for.
pub(super) struct Rounded {
    pub decimal: Decimal128,
    pub exact: bool,
}

/// Drops the last `count` digits. Returns what is left and whether anything nonzero was dropped.
pub(super) fn drop_digits(
    coefficient: u128,
    count: u32,
    sticky: bool,
    negative: bool,
    rounding: Rounding,
) -> (u128, bool) {
    let (kept, dropped, against_half) = match power_of_ten(count) {
        Some(unit) => (coefficient / unit, coefficient % unit, (coefficient % unit).cmp(&(unit / 2))),
        None => (0, coefficient, Ordering::Less),
    };
    let inexact = dropped != 0 || sticky;
    let up = inexact
        && match rounding {
            Rounding::TowardZero => false,
            Rounding::Floor => negative,
            Rounding::Ceiling => !negative,
            Rounding::HalfEven if count == 0 => false,
            Rounding::HalfEven => match against_half {
                Ordering::Less => false,
                Ordering::Greater => true,
                Ordering::Equal => sticky || kept % 2 == 1,
            },
        };
    (kept + u128::from(up), inexact)
}

/// Rounds half to even to 34 digits and the range of exponents.
pub(super) fn finish(number: Unrounded) -> Rounded {
    let Unrounded { negative, coefficient, exponent, sticky } = number;
    let surplus = digit_count(coefficient).saturating_sub(DIGITS_MAX);
    let below = u32::try_from(EXPONENT_MIN.saturating_sub(exponent)).unwrap_or(0);
    let count = surplus.max(below);
    let (mut coefficient, inexact) = drop_digits(coefficient, count, sticky, negative, Rounding::HalfEven);
    let mut exponent = exponent.saturating_add_unsigned(count);
    if digit_count(coefficient) > DIGITS_MAX {
        // Rounding carried: 999..9 became 1000..0, whose last digit is a zero.
        coefficient /= 10;
        exponent += 1;
    }
    if coefficient == 0 {
        exponent = exponent.clamp(EXPONENT_MIN, EXPONENT_MAX);
    }
    if exponent > EXPONENT_MAX {
        let missing = exponent.abs_diff(EXPONENT_MAX);
        if digit_count(coefficient) + missing > DIGITS_MAX {
            return Rounded { decimal: Decimal128::infinity(negative), exact: false };
        }
        coefficient *= power_of_ten(missing).unwrap_or(1);
        exponent = EXPONENT_MAX;
    }
    Rounded { decimal: Decimal128::new(negative, coefficient, exponent), exact: !inexact }
}

/// [`finish`] for an integer that may not fit 128 bits: cuts it to 36 digits and a sticky flag first.
pub(super) fn finish_wide(negative: bool, coefficient: &BigUint, exponent: i32, sticky: bool) -> Rounded {
    let surplus = wide_digit_count(coefficient).saturating_sub(DIGITS_MAX + 2);
    let (coefficient, sticky) = if surplus == 0 {
        (coefficient.clone(), sticky)
    } else {
        let unit = power_of_ten_wide(surplus);
        (coefficient / &unit, sticky || (coefficient % unit) != BigUint::ZERO)
    };
    let coefficient = u128::try_from(coefficient).unwrap_or(u128::MAX);
    finish(Unrounded { negative, coefficient, exponent: exponent.saturating_add_unsigned(surplus), sticky })
}

/// An exact result whose exponent lies below the ideal one: takes trailing zeros away until it is reached.
pub(super) fn toward_ideal(mut coefficient: u128, mut exponent: i32, ideal: i32) -> (u128, i32) {
    while exponent < ideal && coefficient != 0 && coefficient.is_multiple_of(10) {
        coefficient /= 10;
        exponent += 1;
    }
    if coefficient == 0 {
        exponent = ideal;
    }
    (coefficient, exponent)
}
