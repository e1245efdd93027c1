//! `$dateFromParts`.

use sheaf_document::{Value, ValueRef};

use super::super::number::Number;
use super::super::operator::{Arguments, NamedFields, Operator};
use super::super::{Environment, Expression, Node, Scope};
use super::calendar::{days_from_date, days_from_iso_week, millis};
use super::zone::Zone;
use crate::{Error, ErrorCode, Result};

pub(super) const OPERATORS: &[Operator] = &[Operator::special("$dateFromParts", parse)];

static FUNCTION: Operator = Operator::named("$dateFromParts", &FIELDS, evaluate);

const FIELDS: NamedFields = NamedFields {
    not_document: 40519,
    unknown: 40518,
    fields: &[
        ("year", None),
        ("month", None),
        ("day", None),
        ("isoWeekYear", None),
        ("isoWeek", None),
        ("isoDayOfWeek", None),
        ("hour", None),
        ("minute", None),
        ("second", None),
        ("millisecond", None),
        ("timezone", None),
    ],
};

fn parse(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    // The table's parser reads the names; which of them go together is decided here.
    let node = FUNCTION.parse(value, scope)?;
    let Node::Call(call) = &node else { return Ok(node) };
    let given = |place: usize| {
        call.arguments.get(place).is_some_and(|Expression(node)| !matches!(node, Node::Absent))
    };
    if !given(0) && !given(3) {
        return Err(Error::location(40516, "$dateFromParts needs 'year' or 'isoWeekYear'"));
    }
    if given(0) && (given(3) || given(4) || given(5)) {
        return Err(Error::location(40489, "$dateFromParts takes 'year' without parts of ISO weeks"));
    }
    if given(3) && (given(1) || given(2)) {
        return Err(Error::location(40525, "$dateFromParts takes 'isoWeekYear' without 'month' and 'day'"));
    }
    Ok(node)
}

/// What a part may be.
#[derive(Clone, Copy)]
enum Bounds {
    /// A year from 1 to 9999, and the code otherwise.
    Year(i32),
    /// 16 bits.
    Short,
    /// 64 bits.
    Any,
}

fn part(arguments: &Arguments<'_>, place: usize, default: i64, bounds: Bounds) -> Result<Option<i64>> {
    let value = arguments.get(place);
    if !arguments.given(place) {
        return Ok(Some(default));
    }
    if value.is_nullish() {
        return Ok(None);
    }
    let name = FIELDS.fields.get(place).map_or("", |(name, _)| name);
    let number = Number::of(value).and_then(Number::to_i64_exact).ok_or_else(|| {
        let message =
            format!("$dateFromParts takes a whole number as its '{name}', found {}", value.type_name());
        Error::location(40515, message)
    })?;
    match bounds {
        Bounds::Year(code) if !(1..=9999).contains(&number) => Err(Error::location(
            code,
            format!("$dateFromParts takes a '{name}' from 1 to 9999, found {number}"),
        )),
        Bounds::Short if i16::try_from(number).is_err() => {
            let message = format!("$dateFromParts takes a '{name}' from -32768 to 32767, found {number}");
            Err(Error::location(31034, message))
        }
        _ => Ok(Some(number)),
    }
}

fn evaluate<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let hour = part(arguments, 6, 0, Bounds::Short)?;
    let minute = part(arguments, 7, 0, Bounds::Short)?;
    let second = part(arguments, 8, 0, Bounds::Any)?;
    let millisecond = part(arguments, 9, 0, Bounds::Any)?;
    let (Some(hour), Some(minute), Some(second), Some(millisecond)) = (hour, minute, second, millisecond)
    else {
        return Ok(Value::Null);
    };
    let Some(zone) = Zone::of_argument(arguments.given(10), arguments.get(10))? else {
        return Ok(Value::Null);
    };
    let days = if arguments.given(0) {
        let year = part(arguments, 0, 1970, Bounds::Year(40523))?;
        let month = part(arguments, 1, 1, Bounds::Short)?;
        let day = part(arguments, 2, 1, Bounds::Short)?;
        let (Some(year), Some(month), Some(day)) = (year, month, day) else { return Ok(Value::Null) };
        days_from_date(year, month, day)
    } else {
        let year = part(arguments, 3, 1970, Bounds::Year(31095))?;
        let week = part(arguments, 4, 1, Bounds::Short)?;
        let weekday = part(arguments, 5, 1, Bounds::Short)?;
        let (Some(year), Some(week), Some(weekday)) = (year, week, weekday) else { return Ok(Value::Null) };
        days_from_iso_week(year, week, weekday)
    };
    let time = second
        .checked_mul(1000)
        .and_then(|time| time.checked_add(millisecond))
        .and_then(|time| time.checked_add((hour * 60 + minute) * 60_000));
    let local = time
        .and_then(|time| millis(days, time))
        .ok_or_else(|| Error::new(ErrorCode::OVERFLOW, "the date that $dateFromParts makes does not fit"))?;
    Ok(Value::DateTime(zone.to_utc(local)))
}
