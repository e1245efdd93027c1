//! `$dateToParts`.

use sheaf_document::{DocumentBuilder, Value};

use super::super::Environment;
use super::super::number::int_or_long;
use super::super::operator::{Arguments, NamedFields, Operator};
use super::calendar::{day_number, iso_week, iso_weekday, parts};
use super::expect_date;
use super::zone::Zone;
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[Operator::named("$dateToParts", &FIELDS, evaluate)];

const FIELDS: NamedFields = NamedFields {
    not_document: 40524,
    unknown: 40520,
    fields: &[("date", Some(40522)), ("timezone", None), ("iso8601", None)],
};

fn evaluate<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let date = arguments.get(0);
    if date.is_nullish() {
        return Ok(Value::Null);
    }
    let Some(zone) = Zone::of_argument(arguments.given(1), arguments.get(1))? else { return Ok(Value::Null) };
    let iso8601 = match arguments.get(2) {
        _ if !arguments.given(2) => false,
        Value::Boolean(iso8601) => *iso8601,
        value if value.is_nullish() => return Ok(Value::Null),
        other => {
            let message = format!("$dateToParts takes a boolean as its iso8601, found {}", other.type_name());
            return Err(Error::location(40521, message));
        }
    };
    let local = zone.to_local(expect_date("$dateToParts", 16006, date)?);
    let clock = parts(local);
    let mut builder = DocumentBuilder::new();
    let mut append = |name: &str, part: i64| {
        builder.append_value(name, &int_or_long(part));
    };
    if iso8601 {
        let days = day_number(local);
        let (year, week) = iso_week(days);
        append("isoWeekYear", year);
        append("isoWeek", week);
        append("isoDayOfWeek", iso_weekday(days));
    } else {
        append("year", clock.year);
        append("month", clock.month);
        append("day", clock.day);
    }
    append("hour", clock.hour);
    append("minute", clock.minute);
    append("second", clock.second);
    append("millisecond", clock.millisecond);
    Ok(Value::from(builder.build()))
}
