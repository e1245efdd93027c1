//! `$dateDiff`: how many boundaries of a unit lie between two dates.

use sheaf_document::Value;

use super::super::Environment;
use super::super::operator::{Arguments, NamedFields, Operator};
use super::calendar::{DAY_MILLIS, day_number, iso_weekday, parts};
use super::expect_date;
use super::unit::{Unit, start_of_week};
use super::zone::Zone;
use crate::{Error, ErrorCode, Result};

pub(super) const OPERATORS: &[Operator] = &[Operator::named("$dateDiff", &FIELDS, evaluate)];

const FIELDS: NamedFields = NamedFields {
    not_document: 5_166_301,
    unknown: 5_166_302,
    fields: &[
        ("startDate", Some(5_166_303)),
        ("endDate", Some(5_166_304)),
        ("unit", Some(5_166_305)),
        ("timezone", None),
        ("startOfWeek", None),
    ],
};

fn evaluate<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let (start, end) = (arguments.get(0), arguments.get(1));
    if start.is_nullish() || end.is_nullish() {
        return Ok(Value::Null);
    }
    let start = expect_date("$dateDiff", 5_166_307, start)?;
    let end = expect_date("$dateDiff", 5_166_307, end)?;
    let Some(unit) = Unit::of_argument("$dateDiff", arguments.get(2))? else { return Ok(Value::Null) };
    let Some(zone) = Zone::of_argument(arguments.given(3), arguments.get(3))? else { return Ok(Value::Null) };
    let first_day = if unit == Unit::Week {
        start_of_week("$dateDiff", arguments.given(4), arguments.get(4))?
    } else {
        Some(7)
    };
    let Some(first_day) = first_day else { return Ok(Value::Null) };
    difference(start, end, unit, &zone, first_day)
        .map(Value::Int64)
        .ok_or_else(|| Error::new(ErrorCode::OVERFLOW, "the difference of $dateDiff does not fit"))
}

fn difference(start: i64, end: i64, unit: Unit, zone: &Zone, first_day: i64) -> Option<i64> {
    if unit == Unit::Millisecond {
        return end.checked_sub(start);
    }
    let (local_start, local_end) = (zone.to_local(start), zone.to_local(end));
    if let Some(unit_months) = unit.months() {
        let count = |local: i64| {
            let parts = parts(local);
            parts.year * (12 / unit_months) + (parts.month - 1) / unit_months
        };
        return Some(count(local_end) - count(local_start));
    }
    let (start_day, end_day) = (day_number(local_start), day_number(local_end));
    match unit {
        Unit::Day => Some(end_day - start_day),
        Unit::Week => {
            let week = |day: i64| (day - (iso_weekday(day) - first_day).rem_euclid(7)).div_euclid(7);
            // Both lie on the first day of their weeks, so the quotient is exact.
            Some(week(end_day) - week(start_day))
        }
        _ => {
            let unit_millis = unit.fixed_millis()?;
            // Hours that the clock jumped over did not pass.
            let jumped = (zone.offset_millis(start) - zone.offset_millis(end)) / 3_600_000 * 3_600_000;
            let boundaries = |local: i64| local.rem_euclid(DAY_MILLIS).div_euclid(unit_millis);
            let days = (end_day - start_day).checked_mul(DAY_MILLIS / unit_millis)?;
            days.checked_add(boundaries(local_end) - boundaries(local_start))?
                .checked_add(jumped / unit_millis)
        }
    }
}
