//! `$dateToString`: a date in words of the user's format.

use std::fmt::Write;

use sheaf_document::Value;

use super::super::Environment;
use super::super::operator::{Arguments, NamedFields, Operator};
use super::calendar::{day_number, day_of_year, iso_week, iso_weekday, parts, week};
use super::expect_date;
use super::zone::Zone;
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[Operator::named("$dateToString", &FIELDS, evaluate)];

const FIELDS: NamedFields = NamedFields {
    not_document: 18629,
    unknown: 18534,
    fields: &[("date", Some(18628)), ("format", None), ("timezone", None), ("onNull", None)],
};

/// ISO 8601 in UTC, and in another zone.
const FORMAT_UTC: &str = "%Y-%m-%dT%H:%M:%S.%LZ";
const FORMAT_LOCAL: &str = "%Y-%m-%dT%H:%M:%S.%L";

/// The English names of the months.
pub(in super::super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn evaluate<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let format = match arguments.get(1) {
        _ if !arguments.given(1) => None,
        Value::String(format) => Some(format.clone()),
        value if value.is_nullish() => return Ok(Value::Null),
        other => {
            let message = format!("$dateToString takes a string as its format, found {}", other.type_name());
            return Err(Error::location(18533, message));
        }
    };
    if let Some(format) = &format {
        check_format(format)?;
    }
    if arguments.get(0).is_nullish() {
        return Ok(if arguments.given(3) { arguments.take(3) } else { Value::Null });
    }
    let Some(zone) = Zone::of_argument(arguments.given(2), arguments.get(2))? else { return Ok(Value::Null) };
    let date = expect_date("$dateToString", 16006, arguments.get(0))?;
    let default = if zone.is_utc() { FORMAT_UTC } else { FORMAT_LOCAL };
    format_date(date, format.as_deref().unwrap_or(default), &zone).map(Value::from)
}

/// A date as `$toString` writes it.
pub(in super::super) fn format_date_iso(date: i64) -> Result<String> {
    format_date(date, FORMAT_UTC, &Zone::UTC)
}

/// Formats a date. Only the years 0 to 9999 can be written.
fn format_date(date: i64, format: &str, zone: &Zone) -> Result<String> {
    let offset = zone.offset_millis(date);
    let local = date.saturating_add(offset);
    let clock = parts(local);
    if !(0..=9999).contains(&clock.year) {
        return Err(Error::location(18537, format!("a date of the year {} cannot be formatted", clock.year)));
    }
    let days = day_number(local);
    let mut text = String::with_capacity(format.len() + 16);
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let month =
            || usize::try_from(clock.month - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
        let written = match letters.next() {
            Some('%') => write!(text, "%"),
            Some('b') => write!(text, "{}", month().get(..3).unwrap_or_default()),
            Some('B') => write!(text, "{}", month()),
            Some('d') => write!(text, "{:02}", clock.day),
            Some('G') => write!(text, "{:04}", iso_week(days).0),
            Some('H') => write!(text, "{:02}", clock.hour),
            Some('j') => write!(text, "{:03}", day_of_year(days)),
            Some('L') => write!(text, "{:03}", clock.millisecond),
            Some('m') => write!(text, "{:02}", clock.month),
            Some('M') => write!(text, "{:02}", clock.minute),
            Some('S') => write!(text, "{:02}", clock.second),
            Some('u') => write!(text, "{}", iso_weekday(days)),
            Some('U') => write!(text, "{:02}", week(days)),
            Some('V') => write!(text, "{:02}", iso_week(days).1),
            Some('w') => write!(text, "{}", iso_weekday(days) % 7 + 1),
            Some('Y') => write!(text, "{:04}", clock.year),
            Some('z') => write_offset(&mut text, offset),
            Some('Z') => write!(text, "{:+}", offset / 60_000),
            other => return Err(unknown_letter(other)),
        };
        // Writing to a string cannot fail.
        written.unwrap_or_default();
    }
    Ok(text)
}

fn write_offset(text: &mut String, offset_millis: i64) -> std::fmt::Result {
    let sign = if offset_millis < 0 { '-' } else { '+' };
    let minutes = (offset_millis / 60_000).abs();
    write!(text, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
}

fn unknown_letter(letter: Option<char>) -> Error {
    match letter {
        None => Error::location(18535, "the format of a date ends with a single '%'"),
        Some(letter) => Error::location(18536, format!("'%{letter}' is nothing that a date is formatted by")),
    }
}

/// Checks the letters of a format before there is a date.
fn check_format(format: &str) -> Result<()> {
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter == '%' {
            match letters.next() {
                Some(letter) if "%bBdGHjLmMSuUVwYzZ".contains(letter) => {}
                other => return Err(unknown_letter(other)),
            }
        }
    }
    Ok(())
}
