//! Accumulators as expressions: over their operands, or over the elements of a single operand that is an array.

use std::cmp::Ordering;

use sheaf_document::{ArrayValue, Value, ValueRef, compare};

use super::array::{at, not_array, present};
use super::number::integral_i32;
use super::operator::{Arguments, Call, NamedFields, Operator};
use super::{Environment, Node, Scope};
use crate::accumulator::number::{Deviation, Sum};
use crate::accumulator::percentile::Percentiles;
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::variadic("$avg", |arguments, _| Ok(mean(arguments))),
    Operator::fixed("$first", 1, |arguments, _| end("$first", arguments, 0)),
    Operator::named("$firstN", &N_FIELDS, |arguments, _| {
        let (mut items, count) = limited("$firstN", arguments)?;
        items.truncate(count);
        Ok(Value::array(items))
    }),
    Operator::fixed("$last", 1, |arguments, _| end("$last", arguments, -1)),
    Operator::named("$lastN", &N_FIELDS, |arguments, _| {
        let (mut items, count) = limited("$lastN", arguments)?;
        items.drain(..items.len().saturating_sub(count));
        Ok(Value::array(items))
    }),
    Operator::variadic("$max", |arguments, environment| extreme(arguments, environment, Ordering::Greater)),
    Operator::named("$maxN", &N_FIELDS, |arguments, environment| {
        ranked("$maxN", arguments, environment, true)
    }),
    Operator::special("$median", |value, scope| parse_percentile("$median", value, scope)),
    Operator::variadic("$min", |arguments, environment| extreme(arguments, environment, Ordering::Less)),
    Operator::named("$minN", &N_FIELDS, |arguments, environment| {
        ranked("$minN", arguments, environment, false)
    }),
    Operator::special("$percentile", |value, scope| parse_percentile("$percentile", value, scope)),
    Operator::variadic("$stdDevPop", |arguments, _| Ok(deviation(arguments).result(false))),
    Operator::variadic("$stdDevSamp", |arguments, _| Ok(deviation(arguments).result(true))),
    Operator::variadic("$sum", |arguments, _| Ok(sum(arguments).total())),
];

const N_FIELDS: NamedFields = NamedFields {
    not_document: 5_787_900,
    unknown: 5_787_901,
    fields: &[("n", Some(5_787_906)), ("input", Some(5_787_907))],
};

/// Visits the operands, or the elements of a single one that is an array.
fn for_each<'a>(arguments: &Arguments<'a>, mut visit: impl FnMut(&Value<'a>)) {
    match arguments.values() {
        [Value::Array(ArrayValue::Borrowed(array))] => {
            array.iter().for_each(|item| visit(&Value::from(item)))
        }
        [Value::Array(array)] => array.iter().for_each(|item| visit(&item)),
        values => values.iter().for_each(visit),
    }
}

fn sum(arguments: &Arguments<'_>) -> Sum {
    let mut sum = Sum::default();
    for_each(arguments, |value| sum.add(value));
    sum
}

/// The mean; longs are added as doubles unless there is a decimal.
#[expect(clippy::cast_precision_loss, reason = "a mean is a double")]
fn mean(arguments: &Arguments<'_>) -> Value<'static> {
    let mut has_decimal = false;
    for_each(arguments, |value| has_decimal |= matches!(value, Value::Decimal128(_)));
    let mut sum = Sum::default();
    for_each(arguments, |value| match value {
        Value::Int64(number) if !has_decimal => sum.add(&Value::Double(*number as f64)),
        value => sum.add(value),
    });
    sum.mean()
}

fn deviation(arguments: &Arguments<'_>) -> Deviation {
    let mut deviation = Deviation::default();
    for_each(arguments, |value| deviation.add(value));
    deviation
}

/// The value that is first in an order, nulls aside; the first of equal ones.
fn extreme<'a>(
    arguments: &mut Arguments<'a>,
    environment: &Environment,
    wanted: Ordering,
) -> Result<Value<'a>> {
    let mut best: Option<Value<'a>> = None;
    for_each(arguments, |value| {
        let better = match &best {
            _ if value.is_nullish() => false,
            None => true,
            Some(best) => compare(value, best, environment.collate()) == wanted,
        };
        if better {
            best = Some(value.clone());
        }
    });
    Ok(best.unwrap_or(Value::Null))
}

fn end<'a>(operator: &str, arguments: &mut Arguments<'a>, position: i32) -> Result<Value<'a>> {
    match arguments.take(0) {
        Value::Array(array) => Ok(at(array, position)),
        value if value.is_nullish() => Ok(Value::Null),
        other => Err(not_array(operator, 28689, &other)),
    }
}

/// The elements of `input`, and `n`.
fn limited<'a>(operator: &str, arguments: &mut Arguments<'a>) -> Result<(Vec<Value<'a>>, usize)> {
    let n = arguments.get(0);
    let count = integral_i32(n)
        .or_else(|| super::number::Number::of(n)?.to_i64_exact().map(|_| i32::MAX))
        .ok_or_else(|| {
            let message = format!("{operator} takes a whole number as its 'n', found {}", n.type_name());
            Error::location(5_787_902, message)
        })?;
    let count = usize::try_from(count)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| Error::location(5_787_908, format!("{operator} takes an 'n' greater than 0")))?;
    match arguments.take(1) {
        Value::Array(array) => Ok((array.into_items().into_iter().map(present).collect(), count)),
        other => Err(not_array(operator, 5_788_200, &other)),
    }
}

fn ranked<'a>(
    operator: &str,
    arguments: &mut Arguments<'a>,
    environment: &Environment,
    descending: bool,
) -> Result<Value<'a>> {
    let (mut items, count) = limited(operator, arguments)?;
    items.retain(|item| !item.is_nullish());
    items.sort_by(|left, right| {
        let order = compare(left, right, environment.collate());
        if descending { order.reverse() } else { order }
    });
    items.truncate(count);
    Ok(Value::array(items))
}

/// `$percentile` or `$median`: the argument is checked as the accumulator's is.
fn parse_percentile(name: &'static str, value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    crate::accumulator::AccumulatorSpec::parse(name, value, scope)?;
    let ValueRef::Document(document) = value else { return Ok(Node::Absent) };
    let parse = |key: &str, scope: &mut Scope| match document.get(key) {
        Some(value) => super::Expression::parse(value, scope),
        None => Ok(super::Expression(Node::Absent)),
    };
    let operator = if name == "$median" { &MEDIAN } else { &PERCENTILE };
    let arguments = Box::new([parse("input", scope)?, parse("p", scope)?]);
    Ok(Node::Call(Call { operator, arguments }))
}

static MEDIAN: Operator = Operator::variadic("$median", |arguments, _| Ok(percentiles(arguments).median()));
static PERCENTILE: Operator = Operator::variadic("$percentile", |arguments, _| {
    let ranks: Vec<f64> = match arguments.get(1) {
        Value::Array(ranks) => ranks
            .iter()
            .filter_map(|rank| super::number::Number::of(&rank))
            .map(|rank| rank.to_f64())
            .collect(),
        _ => Vec::new(),
    };
    Ok(percentiles(arguments).at(&ranks))
});

fn percentiles(arguments: &Arguments<'_>) -> Percentiles {
    let mut percentiles = Percentiles::default();
    match arguments.get(0) {
        Value::Array(array) => array.iter().for_each(|item| percentiles.add(&item)),
        single => percentiles.add(single),
    }
    percentiles
}
