//! Values as text: what the string operators read where they take more than strings, and what `$toString` gives.

use std::borrow::Cow;

use sheaf_document::Value;

use super::date::MONTHS;
use super::date::calendar::{iso_text, parts};
use crate::{Error, Result};

/// The text of a value for `$toLower`, `$substrBytes` and their kind: numbers and dates are written out, null and
/// missing are empty.
pub(super) fn coerce<'a>(operator: &str, value: Value<'a>) -> Result<Cow<'a, str>> {
    Ok(match value {
        Value::String(text) | Value::JavaScript(text) | Value::Symbol(text) => text,
        Value::Int32(number) => number.to_string().into(),
        Value::Int64(number) => number.to_string().into(),
        Value::Double(number) => short_double_text(number).into(),
        Value::Decimal128(number) => number.to_string().into(),
        Value::DateTime(millis) => iso_text(millis).into(),
        Value::Timestamp(timestamp) => {
            let at = parts(i64::from(timestamp.seconds) * 1000);
            let month = usize::try_from(at.month - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
            let clock = format!("{:02}:{:02}:{:02}", at.hour, at.minute, at.second);
            format!("{} {:2} {clock}:{}", month.get(..3).unwrap_or_default(), at.day, timestamp.increment)
                .into()
        }
        value if value.is_nullish() => Cow::Borrowed(""),
        other => {
            let message = format!("{operator} takes a string, found {}", other.type_name());
            return Err(Error::location(16007, message));
        }
    })
}

/// The shortest text that reads back as the same double; an exponent below 0.0001 and from 1e16 on.
pub(crate) fn double_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        return format!("{number}");
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// The text with six significant digits that the string operators give a double, as C's `%g` does.
fn short_double_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let text = format!("{number:.5e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(digits), exponent.unsigned_abs());
    }
    let decimals = usize::try_from(5 - exponent).unwrap_or(0);
    trimmed(&format!("{number:.decimals$}"))
}
