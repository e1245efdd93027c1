//! Reading a decimal from text.
//!
//! ```text
//! [+-] ( digits [. digits*] | . digits ) [ e|E [+-] digits ]   or   [+-] inf | infinity | nan   in any case
//! ```

use super::finish::{Unrounded, finish};
use crate::{Decimal128, Error, Result};

/// Digits that are kept while reading; the rest only makes the number sticky.
const DIGITS_KEPT: u32 = 37;
/// Exponents beyond this are as good as infinite.
const EXPONENT_CAP: i64 = 1_000_000;

impl Decimal128 {
    /// Reads a decimal that must be representable exactly: what extended JSON and drivers ask for.
    pub fn parse(text: &str) -> Result<Self> {
        let (decimal, exact) = read(text)?;
        if exact { Ok(decimal) } else { Err(invalid("it has no exact representation in 34 digits")) }
    }

    /// Reads a decimal and rounds it half to even to 34 digits: what `$toDecimal` does. Says whether it was exact.
    pub fn parse_rounded(text: &str) -> Result<(Self, bool)> {
        read(text)
    }
}

impl std::str::FromStr for Decimal128 {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

fn invalid(reason: &str) -> Error {
    Error::Invalid { what: "decimal", reason: reason.to_owned() }
}

fn read(text: &str) -> Result<(Decimal128, bool)> {
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..).unwrap_or_default()),
        [b'+', ..] => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
        return Ok((Decimal128::infinity(negative), true));
    }
    if unsigned.eq_ignore_ascii_case("nan") {
        return Ok((Decimal128::NAN, true));
    }
    let (digits, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => {
            let (digits, exponent) = unsigned.split_at_checked(at).unwrap_or_default();
            (digits, read_exponent(exponent.get(1..).unwrap_or_default())?)
        }
        None => (unsigned, 0),
    };
    let mantissa = read_digits(digits)?;
    let exponent = (exponent + mantissa.exponent).clamp(-2 * EXPONENT_CAP, 2 * EXPONENT_CAP);
    let rounded = finish(Unrounded {
        negative,
        coefficient: mantissa.coefficient,
        exponent: i32::try_from(exponent).unwrap_or(0),
        sticky: mantissa.sticky,
    });
    Ok((rounded.decimal, rounded.exact))
}

fn read_exponent(text: &str) -> Result<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return Err(invalid("the exponent has no digits"));
    }
    let mut exponent = 0i64;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return Err(invalid("the exponent has a character that is no digit"));
        }
        exponent = (exponent * 10 + i64::from(byte - b'0')).min(EXPONENT_CAP);
    }
    Ok(if negative { -exponent } else { exponent })
}

#[derive(Default)]
struct Mantissa {
    coefficient: u128,
    exponent: i64,
    sticky: bool,
}

fn read_digits(text: &str) -> Result<Mantissa> {
    let mut mantissa = Mantissa::default();
    let (mut seen_point, mut seen_digit, mut kept) = (false, false, 0u32);
    for byte in text.bytes() {
        match byte {
            b'.' if !seen_point => seen_point = true,
            b'0'..=b'9' => {
                seen_digit = true;
                let digit = u128::from(byte - b'0');
                if kept < DIGITS_KEPT {
                    mantissa.coefficient = mantissa.coefficient * 10 + digit;
                    kept += u32::from(mantissa.coefficient != 0);
                    mantissa.exponent -= i64::from(seen_point);
                } else {
                    mantissa.sticky |= digit != 0;
                    mantissa.exponent += i64::from(!seen_point);
                }
            }
            _ => return Err(invalid("it has a character that belongs to no number")),
        }
    }
    if seen_digit { Ok(mantissa) } else { Err(invalid("it has no digits")) }
}
