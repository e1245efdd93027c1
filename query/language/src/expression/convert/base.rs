//! Numbers as text in base 2, 8, 10 or 16: digits with a sign or none, no prefix, letters in either case.

use sheaf_document::Value;

use super::failure;
use crate::expression::number::{Number, integral_i32};
use crate::{Error, ErrorCode, Result};

/// What the digits of a number count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Two,
    Eight,
    Ten,
    Sixteen,
}

impl Base {
    /// The base of this number; nothing if it is null.
    pub(super) fn read(value: &Value<'_>) -> Result<Option<Self>> {
        if value.is_nullish() {
            return Ok(None);
        }
        if Number::of(value).is_none() {
            let message = format!("$convert takes a number as its base, found {}", value.type_name());
            return Err(Error::new(ErrorCode::TYPE_MISMATCH, message));
        }
        match integral_i32(value) {
            Some(2) => Ok(Some(Self::Two)),
            Some(8) => Ok(Some(Self::Eight)),
            Some(10) => Ok(Some(Self::Ten)),
            Some(16) => Ok(Some(Self::Sixteen)),
            _ => {
                let message = format!("{value:?} is no base of $convert: 2, 8, 10 and 16 are");
                Err(Error::new(ErrorCode::BAD_VALUE, message))
            }
        }
    }

    const fn radix(self) -> u32 {
        match self {
            Self::Two => 2,
            Self::Eight => 8,
            Self::Ten => 10,
            Self::Sixteen => 16,
        }
    }

    /// The number that text stands for in this base.
    pub(super) fn number_of(self, text: &str) -> Result<i64> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let are_digits = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(self.radix()));
        let number = if are_digits { i64::from_str_radix(text, self.radix()).ok() } else { None };
        number.ok_or_else(|| failure(format!("'{text}' is no number of 64 bits in base {}", self.radix())))
    }

    /// A whole number as text in this base.
    pub(super) fn text_of(self, number: Number) -> Result<String> {
        let whole = number.to_i64_exact().ok_or_else(|| {
            failure(format!("only whole numbers of 64 bits are written in base {}", self.radix()))
        })?;
        let radix = u64::from(self.radix());
        let mut rest = whole.unsigned_abs();
        let mut digits = Vec::new();
        loop {
            // A remainder is below 16.
            let digit = u32::try_from(rest % radix).ok().and_then(|digit| char::from_digit(digit, 16));
            digits.extend(digit.map(|digit| digit.to_ascii_uppercase()));
            rest /= radix;
            if rest == 0 {
                break;
            }
        }
        digits.extend((whole < 0).then_some('-'));
        Ok(digits.into_iter().rev().collect())
    }
}
