//! `$abs`, `$ceil`, `$floor`, `$round`, `$trunc`.

use sheaf_document::decimal::Rounding;
use sheaf_document::{Decimal128, Value};

use super::number::{Number, int_or_long};
use super::operator::{Arguments, Operator};
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::fixed("$abs", 1, |arguments, _| absolute(arguments.get(0))),
    Operator::fixed("$ceil", 1, |arguments, _| {
        whole("$ceil", arguments.get(0), f64::ceil, Rounding::Ceiling)
    }),
    Operator::fixed("$floor", 1, |arguments, _| {
        whole("$floor", arguments.get(0), f64::floor, Rounding::Floor)
    }),
    Operator::ranged("$round", 1, 2, |arguments, _| to_place("$round", arguments, Rounding::HalfEven)),
    Operator::ranged("$trunc", 1, 2, |arguments, _| to_place("$trunc", arguments, Rounding::TowardZero)),
];

/// The number of an operator with one numeric argument; nothing if it is null or missing.
pub(super) fn single_number(operator: &str, value: &Value<'_>) -> Result<Option<Number>> {
    if value.is_nullish() {
        return Ok(None);
    }
    Number::of(value).map(Some).ok_or_else(|| {
        Error::location(28765, format!("{operator} takes a number, found {}", value.type_name()))
    })
}

fn absolute<'a>(value: &Value<'a>) -> Result<Value<'a>> {
    Ok(match single_number("$abs", value)? {
        None => Value::Null,
        Some(Number::Int32(number)) => int_or_long(i64::from(number).abs()),
        Some(Number::Int64(number)) => Value::Int64(number.checked_abs().ok_or_else(|| {
            Error::location(28680, "$abs cannot take the absolute value of the smallest long")
        })?),
        Some(Number::Double(number)) => Value::Double(number.abs()),
        Some(Number::Decimal(number)) => Value::Decimal128(number.abs()),
    })
}

fn whole<'a>(
    operator: &str,
    value: &Value<'a>,
    double: fn(f64) -> f64,
    rounding: Rounding,
) -> Result<Value<'a>> {
    Ok(match single_number(operator, value)? {
        None => Value::Null,
        Some(Number::Double(number)) => Value::Double(double(number)),
        Some(Number::Decimal(number)) => Value::Decimal128(if number.is_finite() {
            number.quantize(0, rounding).unwrap_or(Decimal128::NAN)
        } else {
            number
        }),
        Some(number) => number.into(),
    })
}

/// `$round` and `$trunc`: to a place, by default the units.
fn to_place<'a>(operator: &str, arguments: &Arguments<'a>, rounding: Rounding) -> Result<Value<'a>> {
    let value = arguments.get(0);
    if arguments.len() > 1 && (value.is_nullish() || arguments.get(1).is_nullish()) {
        return Ok(Value::Null);
    }
    if value.is_nullish() {
        return Ok(Value::Null);
    }
    let number = Number::of(value).ok_or_else(|| {
        Error::location(51081, format!("{operator} takes a number, found {}", value.type_name()))
    })?;
    let place = if arguments.len() > 1 { place(operator, arguments.get(1))? } else { 0 };
    Ok(match number {
        Number::Double(number) => Value::Double(round_double(number, place, rounding)),
        Number::Decimal(number) => Value::Decimal128(quantize(number, place, rounding)),
        Number::Int32(_) | Number::Int64(_) if place >= 0 => number.into(),
        Number::Int32(whole) => int_or_long(round_integer(operator, whole.into(), place, rounding)?),
        Number::Int64(whole) => Value::Int64(round_integer(operator, whole, place, rounding)?),
    })
}

fn place(operator: &str, value: &Value<'_>) -> Result<i32> {
    let place = match Number::of(value) {
        None => {
            let message = format!("{operator} takes a number as its place, found {}", value.type_name());
            return Err(Error::location(16004, message));
        }
        Some(Number::Double(number)) if !number.is_finite() => {
            return Err(Error::location(31109, format!("{operator} cannot round to the place {number}")));
        }
        Some(number) => number
            .to_i64_exact()
            .ok_or_else(|| Error::location(51082, format!("{operator} takes a whole number as its place")))?,
    };
    i32::try_from(place).ok().filter(|place| (-20..=100).contains(place)).ok_or_else(|| {
        Error::location(51083, format!("{operator} takes a place from -20 to 100, found {place}"))
    })
}

fn quantize(number: Decimal128, place: i32, rounding: Rounding) -> Decimal128 {
    if !number.is_finite() {
        return number;
    }
    // A number that has no such place is round already.
    number.quantize(-place, rounding).unwrap_or(number)
}

fn round_double(number: f64, place: i32, rounding: Rounding) -> f64 {
    if !number.is_finite() {
        return number;
    }
    let exact = Decimal128::from_f64_digits(number, 34);
    exact.quantize(-place, rounding).map_or(number, Decimal128::to_f64)
}

fn round_integer(operator: &str, number: i64, place: i32, rounding: Rounding) -> Result<i64> {
    let rounded = Decimal128::from(number).quantize(-place, rounding);
    rounded
        .and_then(|rounded| rounded.to_i64(Rounding::TowardZero))
        .ok_or_else(|| Error::location(51080, format!("the result of {operator} does not fit a long")))
}
