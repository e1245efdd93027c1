//! `$mod`: the value, cut to an integer, leaves the remainder when divided.

use sheaf_document::{RawArray, ValueRef};

use crate::{Error, ErrorCode, Result};

/// A division and the remainder it must leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modulo {
    /// Divisor, never 0.
    pub divisor: i64,
    /// Remainder; has the sign of the value that is divided.
    pub remainder: i64,
}

impl Modulo {
    pub(super) fn parse(path: &str, operand: ValueRef<'_>) -> Result<Self> {
        let invalid = |message: String| Error::new(ErrorCode::BAD_VALUE, message);
        let list = operand.as_array().unwrap_or(RawArray::EMPTY);
        let (Some(divisor), Some(remainder), 2) = (list.get(0), list.get(1), list.count()) else {
            return Err(invalid(format!("$mod at '{path}' needs an array of a divisor and a remainder")));
        };
        let number = |what: &str, value: ValueRef<'_>| {
            truncated(value).ok_or_else(|| {
                let kind = value.kind().name();
                invalid(format!(
                    "the {what} of $mod at '{path}' must be a number in the range of a long, not {kind}"
                ))
            })
        };
        let (divisor, remainder) = (number("divisor", divisor)?, number("remainder", remainder)?);
        if divisor == 0 {
            return Err(invalid(format!("the divisor of $mod at '{path}' must not be 0")));
        }
        Ok(Self { divisor, remainder })
    }

    /// Whether `value` (`None`: missing) fulfils it.
    pub fn matches(self, value: Option<ValueRef<'_>>) -> bool {
        value
            .and_then(truncated)
            .is_some_and(|number| number.checked_rem(self.divisor).unwrap_or(0) == self.remainder)
    }
}

/// A number without its fraction; nothing for what is no number or outside the range of a long.
pub(crate) fn truncated(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Int32(number) => Some(i64::from(number)),
        ValueRef::Int64(number) => Some(number),
        ValueRef::Double(number) => double_to_long(number.trunc()),
        ValueRef::Decimal128(number) => number.truncate().to_i64_exact(),
        _ => None,
    }
}

/// A number that has no fraction and fits a long.
pub(crate) fn integral(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Double(number) => double_to_long(number),
        ValueRef::Decimal128(number) => number.to_i64_exact(),
        other => truncated(other),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked: both borders are exact doubles")]
pub(crate) fn double_to_long(number: f64) -> Option<i64> {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    (fits && number.fract() == 0.0).then_some(number as i64)
}
