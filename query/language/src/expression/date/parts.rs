//! One part of a date: `$year` and its kind.

use sheaf_document::{Value, ValueRef};

use super::super::number::int_or_long;
use super::super::operator::{Arguments, Call, Operator};
use super::super::{Environment, Expression, Node, Scope};
use super::calendar::{day_number, day_of_year, iso_week, iso_weekday, parts, week};
use super::expect_date;
use super::zone::Zone;
use crate::{Error, Result};

/// The operators as they are written.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::special("$dayOfMonth", |value, scope| parse(0, value, scope)),
    Operator::special("$dayOfWeek", |value, scope| parse(1, value, scope)),
    Operator::special("$dayOfYear", |value, scope| parse(2, value, scope)),
    Operator::special("$hour", |value, scope| parse(3, value, scope)),
    Operator::special("$isoDayOfWeek", |value, scope| parse(4, value, scope)),
    Operator::special("$isoWeek", |value, scope| parse(5, value, scope)),
    Operator::special("$isoWeekYear", |value, scope| parse(6, value, scope)),
    Operator::special("$millisecond", |value, scope| parse(7, value, scope)),
    Operator::special("$minute", |value, scope| parse(8, value, scope)),
    Operator::special("$month", |value, scope| parse(9, value, scope)),
    Operator::special("$second", |value, scope| parse(10, value, scope)),
    Operator::special("$week", |value, scope| parse(11, value, scope)),
    Operator::special("$year", |value, scope| parse(12, value, scope)),
];

/// The same operators once their arguments are date and, if it was given, time zone; in the same order.
const FUNCTIONS: &[Operator] = &[
    Operator::variadic("$dayOfMonth", |a, _| part("$dayOfMonth", a, |local| parts(local).day)),
    Operator::variadic("$dayOfWeek", |a, _| {
        part("$dayOfWeek", a, |local| iso_weekday(day_number(local)) % 7 + 1)
    }),
    Operator::variadic("$dayOfYear", |a, _| part("$dayOfYear", a, |local| day_of_year(day_number(local)))),
    Operator::variadic("$hour", |a, _| part("$hour", a, |local| parts(local).hour)),
    Operator::variadic("$isoDayOfWeek", |a, _| {
        part("$isoDayOfWeek", a, |local| iso_weekday(day_number(local)))
    }),
    Operator::variadic("$isoWeek", |a, _| part("$isoWeek", a, |local| iso_week(day_number(local)).1)),
    Operator::variadic("$isoWeekYear", iso_week_year),
    Operator::variadic("$millisecond", |a, _| part("$millisecond", a, |local| parts(local).millisecond)),
    Operator::variadic("$minute", |a, _| part("$minute", a, |local| parts(local).minute)),
    Operator::variadic("$month", |a, _| part("$month", a, |local| parts(local).month)),
    Operator::variadic("$second", |a, _| part("$second", a, |local| parts(local).second)),
    Operator::variadic("$week", |a, _| part("$week", a, |local| week(day_number(local)))),
    Operator::variadic("$year", |a, _| part("$year", a, |local| parts(local).year)),
];

/// `{$year: date}`, `{$year: [date]}` or `{$year: {date: .., timezone: ..}}`.
fn parse(place: usize, value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let Some(operator) = FUNCTIONS.get(place) else { return Ok(Node::Constant(Value::Missing)) };
    let name = operator.name;
    let mut arguments = Vec::with_capacity(2);
    match value {
        ValueRef::Document(document)
            if !document.first().is_some_and(|first| first.key().starts_with('$')) =>
        {
            let (mut date, mut zone) = (None, None);
            for element in document {
                match element.key() {
                    "date" => date = Some(element.value()),
                    "timezone" => zone = Some(element.value()),
                    other => return Err(Error::location(40535, format!("{name} has no argument '{other}'"))),
                }
            }
            let date =
                date.ok_or_else(|| Error::location(40539, format!("{name} needs the argument 'date'")))?;
            arguments.push(Expression::parse(date, scope)?);
            if let Some(zone) = zone {
                arguments.push(Expression::parse(zone, scope)?);
            }
        }
        ValueRef::Array(array) => {
            let mut items = array.iter();
            let (Some(date), None) = (items.next(), items.next()) else {
                let message = format!("{name} takes one argument, {} were given", array.count());
                return Err(Error::location(40536, message));
            };
            arguments.push(Expression::parse(date, scope)?);
        }
        date => arguments.push(Expression::parse(date, scope)?),
    }
    Ok(Node::Call(Call { operator, arguments: arguments.into_boxed_slice() }))
}

/// The clock of the zone at the date; nothing if either is null.
fn local_millis(operator: &str, arguments: &Arguments<'_>) -> Result<Option<i64>> {
    let date = arguments.get(0);
    if date.is_nullish() {
        return Ok(None);
    }
    let Some(zone) = Zone::of_argument(arguments.len() > 1, arguments.get(1))? else { return Ok(None) };
    Ok(Some(zone.to_local(expect_date(operator, 16006, date)?)))
}

fn part<'a>(operator: &str, arguments: &Arguments<'a>, part: fn(i64) -> i64) -> Result<Value<'a>> {
    Ok(local_millis(operator, arguments)?.map_or(Value::Null, |local| int_or_long(part(local))))
}

/// Always a long, unlike the other parts.
fn iso_week_year<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let local = local_millis("$isoWeekYear", arguments)?;
    Ok(local.map_or(Value::Null, |local| Value::Int64(iso_week(day_number(local)).0)))
}
