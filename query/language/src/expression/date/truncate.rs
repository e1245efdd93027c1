//! `$dateTrunc`: the start of the bin a date lies in. Bins are counted from 2000-01-01 in the time zone.

use sheaf_document::Value;

use super::super::Environment;
use super::super::number::Number;
use super::super::operator::{Arguments, NamedFields, Operator};
use super::calendar::{day_number, days_from_date, iso_weekday, millis, parts};
use super::expect_date;
use super::unit::{Unit, start_of_week};
use super::zone::Zone;
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[Operator::named("$dateTrunc", &FIELDS, evaluate)];

const FIELDS: NamedFields = NamedFields {
    not_document: 5_439_007,
    unknown: 5_439_008,
    fields: &[
        ("date", Some(5_439_009)),
        ("unit", Some(5_439_010)),
        ("binSize", None),
        ("timezone", None),
        ("startOfWeek", None),
    ],
};

/// 2000-01-01 as a day number, and in milliseconds.
const REFERENCE_DAY: i64 = 10_957;
const REFERENCE_MILLIS: i64 = REFERENCE_DAY * super::calendar::DAY_MILLIS;

fn evaluate<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let date = arguments.get(0);
    if date.is_nullish() || arguments.get(1).is_nullish() {
        return Ok(Value::Null);
    }
    if (2..5).any(|index| arguments.given(index) && arguments.get(index).is_nullish()) {
        let week_only = arguments.given(4)
            && !(2..4).any(|index| arguments.given(index) && arguments.get(index).is_nullish());
        // Among constants a start of the week that does not matter has been left out.
        let is_week = matches!(arguments.get(1), Value::String(unit) if unit == "week");
        if !week_only || is_week || !arguments.all_constant() {
            return Ok(Value::Null);
        }
    }
    let date = expect_date("$dateTrunc", 5_166_307, date)?;
    let Some(unit) = Unit::of_argument("$dateTrunc", arguments.get(1))? else { return Ok(Value::Null) };
    let bin = if arguments.given(2) { bin_size(arguments.get(2))? } else { 1 };
    let Some(zone) = Zone::of_argument(arguments.given(3), arguments.get(3))? else { return Ok(Value::Null) };
    let first_day = if unit == Unit::Week {
        start_of_week("$dateTrunc", arguments.given(4), arguments.get(4))?
    } else {
        Some(7)
    };
    let Some(first_day) = first_day else { return Ok(Value::Null) };
    truncate(date, unit, bin, &zone, first_day)
        .map(Value::DateTime)
        .ok_or_else(|| Error::location(5_439_005, "the date that $dateTrunc makes does not fit"))
}

fn bin_size(value: &Value<'_>) -> Result<i64> {
    let size = Number::of(value).and_then(Number::to_i64_exact).ok_or_else(|| {
        let message = format!("$dateTrunc takes a whole number as its binSize, found {}", value.type_name());
        Error::location(5_439_017, message)
    })?;
    if size <= 0 {
        return Err(Error::location(5_439_018, "$dateTrunc takes a binSize greater than 0"));
    }
    Ok(size)
}

/// The multiple of `bin` at or below a distance.
fn floor_to(distance: i64, bin: i64) -> Option<i64> {
    distance.div_euclid(bin).checked_mul(bin)
}

fn truncate(date: i64, unit: Unit, bin: i64, zone: &Zone, first_day: i64) -> Option<i64> {
    if let Some(unit_millis) = unit.fixed_millis() {
        let bin = bin.checked_mul(unit_millis)?;
        let reference = REFERENCE_MILLIS - zone.offset_millis(date);
        return reference.checked_add(floor_to(date.checked_sub(reference)?, bin)?);
    }
    let local = zone.to_local(date);
    let days = if let Some(unit_months) = unit.months() {
        let parts = parts(local);
        let months = floor_to((parts.year - 2000) * 12 + parts.month - 1, bin.checked_mul(unit_months)?)?;
        days_from_date(2000, months.checked_add(1)?, 1)
    } else {
        let reference = match unit {
            Unit::Week => REFERENCE_DAY + (first_day - iso_weekday(REFERENCE_DAY)).rem_euclid(7),
            _ => REFERENCE_DAY,
        };
        reference.checked_add(floor_to(day_number(local) - reference, bin.checked_mul(unit.days()?)?)?)?
    };
    Some(zone.to_utc(millis(days, 0)?))
}
