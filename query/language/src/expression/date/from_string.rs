//! `$dateFromString`: a date read by a format, or as people write dates.

use sheaf_document::Value;

use super::super::Environment;
use super::super::operator::{Arguments, NamedFields, Operator};
use super::calendar::{date_from_days, days_from_date, days_from_iso_week};
use super::natural::{self, Found, Written, month_by_name};
use super::zone::Zone;
use crate::{Error, ErrorCode, Result};

pub(super) const OPERATORS: &[Operator] = &[Operator::named("$dateFromString", &FIELDS, evaluate)];

const FIELDS: NamedFields = NamedFields {
    not_document: 40540,
    unknown: 40541,
    fields: &[
        ("dateString", Some(40542)),
        ("format", None),
        ("timezone", None),
        ("onError", None),
        ("onNull", None),
    ],
};

/// The moment a text names, in a zone unless it names one itself.
pub(in super::super) fn parse_date_text(text: &str, zone: Option<&Zone>) -> Result<i64> {
    resolve(natural::read(text), text, zone)
}

fn resolve(written: Option<Written>, text: &str, zone: Option<&Zone>) -> Result<i64> {
    let written = written.ok_or_else(|| failure(format!("'{text}' is not read as a date")))?;
    match (&written.zone, zone) {
        (Some(_), Some(_)) => {
            Err(failure(format!("'{text}' names a time zone, so that none can be given as an argument")))
        }
        (Some(zone), None) | (None, Some(zone)) => Ok(zone.to_utc(written.local_millis)),
        (None, None) => Ok(written.local_millis),
    }
}

fn failure(message: String) -> Error {
    Error::new(ErrorCode::CONVERSION_FAILURE, message)
}

fn evaluate<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let format = match arguments.get(1) {
        _ if !arguments.given(1) => None,
        Value::String(format) => {
            check_format(format)?;
            Some(format.clone())
        }
        value if value.is_nullish() => {
            if arguments.get(0).is_nullish() && arguments.given(4) {
                return Ok(arguments.take(4));
            }
            return Ok(Value::Null);
        }
        other => {
            let message =
                format!("$dateFromString takes a string as its format, found {}", other.type_name());
            return Err(Error::location(40684, message));
        }
    };
    if arguments.get(0).is_nullish() {
        return Ok(if arguments.given(4) { arguments.take(4) } else { Value::Null });
    }
    let zone = match Zone::of_argument(arguments.given(2), arguments.get(2))? {
        None => return Ok(Value::Null),
        Some(zone) => arguments.given(2).then_some(zone),
    };
    let result = match arguments.get(0) {
        Value::String(text) => match &format {
            None => parse_date_text(text, zone.as_ref()),
            Some(format) => resolve(by_format(text, format), text, zone.as_ref()),
        },
        other => {
            let found = other.type_name();
            Err(failure(format!("$dateFromString takes a string as its dateString, found {found}")))
        }
    };
    match result {
        Ok(millis) => Ok(Value::DateTime(millis)),
        Err(error) if error.code == ErrorCode::CONVERSION_FAILURE && arguments.given(3) => {
            Ok(arguments.take(3))
        }
        Err(error) => Err(error),
    }
}

/// Checks the letters of a format before there is a text.
fn check_format(format: &str) -> Result<()> {
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter == '%' {
            match letters.next() {
                Some(letter) if "%bBdGHjLmMSuVYzZ".contains(letter) => {}
                None => return Err(Error::location(18535, "the format of a date ends with a single '%'")),
                Some(letter) => {
                    let message = format!("'%{letter}' is nothing that a date is read by");
                    return Err(Error::location(18536, message));
                }
            }
        }
    }
    Ok(())
}

/// The parts that a format names and a plain date does not have.
#[derive(Default)]
struct Scanned {
    found: Found,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_weekday: Option<i64>,
    /// Days after January 1.
    day_of_year: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    millisecond: i64,
}

fn number(text: &str, digits_max: usize) -> Option<(i64, &str)> {
    let count = text.bytes().take(digits_max).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(count)?;
    Some((number.parse().ok()?, rest))
}

/// Reads a text by a format whose letters are known to be valid.
fn by_format(text: &str, format: &str) -> Option<Written> {
    let mut scanned = Scanned::default();
    let mut rest = text;
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        rest = if letter == '%' { scanned.part(letters.next()?, rest)? } else { rest.strip_prefix(letter)? };
    }
    if rest.is_empty() { scanned.finish() } else { None }
}

impl Scanned {
    /// Reads what one letter of the format stands for; returns what follows.
    fn part<'t>(&mut self, letter: char, text: &'t str) -> Option<&'t str> {
        let digits_max = match letter {
            'Y' | 'G' => 4,
            'j' | 'L' => 3,
            'd' | 'm' | 'H' | 'M' | 'S' | 'V' => 2,
            'u' => 1,
            '%' => return text.strip_prefix('%'),
            'b' | 'B' => return self.month_name(text),
            'z' => return self.offset(text),
            'Z' => return self.minutes_offset(text),
            _ => return None,
        };
        let (value, rest) = number(text, digits_max)?;
        match letter {
            'Y' => self.found.year = Some(value),
            'G' => self.iso_year = Some(value),
            'j' => self.day_of_year = Some(value),
            'L' => self.millisecond = value,
            'd' => self.found.day = Some(value),
            'm' => self.found.month = Some(value),
            'H' => self.hour = value,
            'M' => self.minute = value,
            'S' => self.second = value,
            'V' => self.iso_week = Some(value),
            _ => self.iso_weekday = Some(value),
        }
        Some(rest)
    }

    fn month_name<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let count = text.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (name, rest) = text.split_at_checked(count)?;
        self.found.month = Some(month_by_name(name)?);
        Some(rest)
    }

    /// `+hhmm`, `+hh:mm`, `Z`, or a name.
    fn offset<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let count = text.find(char::is_whitespace).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(count)?;
        self.found.zone = Some(if matches!(name, "Z" | "z") { Zone::UTC } else { Zone::parse(name).ok()? });
        Some(rest)
    }

    /// Minutes ahead of UTC.
    fn minutes_offset<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let (minutes, rest) = number(text.strip_prefix(['+', '-'])?, 4)?;
        self.found.zone = Some(Zone::Fixed(sign * minutes * 60_000));
        Some(rest)
    }

    fn finish(mut self) -> Option<Written> {
        if self.hour > 24 || self.minute > 59 || self.second > 59 {
            return None;
        }
        let clock = ((self.hour * 60 + self.minute) * 60 + self.second) * 1000 + self.millisecond;
        self.found.time_millis = Some(clock);
        if let Some(year) = self.iso_year {
            let (week, weekday) = (self.iso_week.unwrap_or(1), self.iso_weekday.unwrap_or(1));
            if !(1..=53).contains(&week) || !(1..=7).contains(&weekday) || self.found.year.is_some() {
                return None;
            }
            self.set_days(days_from_iso_week(year, week, weekday));
        } else if let (Some(year), Some(day_of_year)) = (self.found.year, self.day_of_year) {
            // Counted from 0.
            self.set_days(days_from_date(year, 1, 1) + day_of_year);
        } else {
            self.found.month = self.found.month.or(Some(1));
            self.found.day = self.found.day.or(Some(1));
        }
        self.found.finish()
    }

    fn set_days(&mut self, days: i64) {
        let (year, month, day) = date_from_days(days);
        (self.found.year, self.found.month, self.found.day) = (Some(year), Some(month), Some(day));
    }
}
