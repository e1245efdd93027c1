//! The text of a decimal, as the Decimal128 specification of BSON has it.

use std::fmt;

use super::unpack::{Finite, Unpacked};
use crate::Decimal128;

impl fmt::Display for Decimal128 {
    /// Plain digits while the exponent is at most zero and the first digit is not too far behind the point, scientific
    /// notation otherwise. Trailing zeros and the exponent of zero are kept, so that parsing gives the same bits back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unpack() {
            Unpacked::NotANumber { .. } => f.write_str("NaN"),
            Unpacked::Infinity { negative } => f.write_str(if negative { "-Infinity" } else { "Infinity" }),
            Unpacked::Finite(parts) => format_finite(parts, f),
        }
    }
}

fn format_finite(parts: Finite, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Finite { negative, coefficient, exponent } = parts;
    if negative {
        f.write_str("-")?;
    }
    let digits = coefficient.to_string();
    let adjusted = parts.adjusted_exponent();
    if exponent > 0 || adjusted < -6 {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((&digits, ""));
        let point = if rest.is_empty() { "" } else { "." };
        return write!(f, "{first}{point}{rest}E{adjusted:+}");
    }
    let decimals = usize::try_from(-exponent).unwrap_or(0);
    if decimals == 0 {
        return f.write_str(&digits);
    }
    match digits.len().checked_sub(decimals).filter(|&whole| whole > 0) {
        Some(whole) => {
            let (whole, fraction) = digits.split_at_checked(whole).unwrap_or((&digits, ""));
            write!(f, "{whole}.{fraction}")
        }
        None => write!(f, "0.{digits:0>decimals$}"),
    }
}
