//! Dates: milliseconds since the Unix epoch, read in a time zone.
//!
//! [`calendar`] is the proleptic Gregorian calendar over any millisecond that 64 bits hold; [`zone`] knows offsets from
//! UTC by name. The operators are a file each: parts of a date, arithmetic, differences, truncation, and the ways from
//! and to text. Calendar units (day and longer) follow the wall clock of the zone, shorter ones the time that passes.

pub(crate) mod arithmetic;
pub(super) mod calendar;
mod difference;
mod from_parts;
mod from_string;
mod natural;
mod parts;
mod to_parts;
mod to_string;
mod truncate;
pub(crate) mod unit;
pub(crate) mod zone;

pub(super) use from_string::parse_date_text;
pub(super) use to_string::{MONTHS, format_date_iso};

use sheaf_document::Value;

use super::operator::Operator;
use crate::{Error, Result};

pub(super) const OPERATORS: &[&[Operator]] = &[
    arithmetic::OPERATORS,
    difference::OPERATORS,
    from_parts::OPERATORS,
    from_string::OPERATORS,
    parts::OPERATORS,
    to_parts::OPERATORS,
    to_string::OPERATORS,
    truncate::OPERATORS,
];

/// The milliseconds of what counts as a date: a date, a timestamp, the time in an object id.
pub(super) fn date_millis(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::DateTime(millis) => Some(*millis),
        Value::Timestamp(timestamp) => Some(i64::from(timestamp.seconds) * 1000),
        // The seconds of an object id are signed.
        Value::ObjectId(id) => Some(i64::from(id.seconds().cast_signed()) * 1000),
        _ => None,
    }
}

/// [`date_millis`], or an error with the operator's code.
fn expect_date(operator: &str, code: i32, value: &Value<'_>) -> Result<i64> {
    date_millis(value)
        .ok_or_else(|| Error::location(code, format!("{operator} takes a date, found {}", value.type_name())))
}
