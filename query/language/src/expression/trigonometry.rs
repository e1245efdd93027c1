//! Trigonometry, in radians: doubles, or decimals if the operand is one. Outside of a function's domain is an error.

use sheaf_document::{Decimal128, Value};

use super::Environment;
use super::number::Number;
use super::operator::{Arguments, Operator};
use super::power::apply;
use super::rounding::single_number;
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::fixed("$acos", 1, |arguments, _| {
        bounded("$acos", arguments, -1.0, 1.0, f64::acos, Decimal128::arc_cosine)
    }),
    Operator::fixed("$acosh", 1, |arguments, _| {
        let decimal = Decimal128::inverse_hyperbolic_cosine;
        bounded("$acosh", arguments, 1.0, f64::INFINITY, f64::acosh, decimal)
    }),
    Operator::fixed("$asin", 1, |arguments, _| {
        bounded("$asin", arguments, -1.0, 1.0, f64::asin, Decimal128::arc_sine)
    }),
    Operator::fixed("$asinh", 1, |arguments, _| {
        unbounded("$asinh", arguments, f64::asinh, Decimal128::inverse_hyperbolic_sine)
    }),
    Operator::fixed("$atan", 1, |arguments, _| {
        unbounded("$atan", arguments, f64::atan, Decimal128::arc_tangent)
    }),
    Operator::fixed("$atan2", 2, arc_tangent_2),
    Operator::fixed("$atanh", 1, |arguments, _| {
        bounded("$atanh", arguments, -1.0, 1.0, f64::atanh, Decimal128::inverse_hyperbolic_tangent)
    }),
    Operator::fixed("$cos", 1, |arguments, _| finite("$cos", arguments, f64::cos, Decimal128::cosine)),
    Operator::fixed("$cosh", 1, |arguments, _| {
        unbounded("$cosh", arguments, f64::cosh, Decimal128::hyperbolic_cosine)
    }),
    Operator::fixed("$degreesToRadians", 1, |arguments, _| {
        unbounded("$degreesToRadians", arguments, f64::to_radians, |degrees| {
            degrees * pi() / Decimal128::from(180)
        })
    }),
    Operator::fixed("$radiansToDegrees", 1, |arguments, _| {
        unbounded("$radiansToDegrees", arguments, f64::to_degrees, |radians| {
            radians * Decimal128::from(180) / pi()
        })
    }),
    Operator::fixed("$sin", 1, |arguments, _| finite("$sin", arguments, f64::sin, Decimal128::sine)),
    Operator::fixed("$sinh", 1, |arguments, _| {
        unbounded("$sinh", arguments, f64::sinh, Decimal128::hyperbolic_sine)
    }),
    Operator::fixed("$tan", 1, |arguments, _| finite("$tan", arguments, f64::tan, Decimal128::tangent)),
    Operator::fixed("$tanh", 1, |arguments, _| {
        unbounded("$tanh", arguments, f64::tanh, Decimal128::hyperbolic_tangent)
    }),
];

/// Pi to 34 digits.
fn pi() -> Decimal128 {
    Decimal128::parse("3.141592653589793238462643383279503").unwrap_or(Decimal128::NAN)
}

fn unbounded<'a>(
    operator: &str,
    arguments: &Arguments<'a>,
    double: fn(f64) -> f64,
    decimal: fn(Decimal128) -> Decimal128,
) -> Result<Value<'a>> {
    let number = single_number(operator, arguments.get(0))?;
    Ok(number.map_or(Value::Null, |number| apply(number, double, decimal)))
}

/// A function of the numbers from `low` to `high`, and of NaN.
fn bounded<'a>(
    operator: &str,
    arguments: &Arguments<'a>,
    low: f64,
    high: f64,
    double: fn(f64) -> f64,
    decimal: fn(Decimal128) -> Decimal128,
) -> Result<Value<'a>> {
    let Some(number) = single_number(operator, arguments.get(0))? else { return Ok(Value::Null) };
    let outside = match number {
        Number::Decimal(number) if !number.is_nan() => {
            number.compare_f64(low).is_lt() || number.compare_f64(high).is_gt()
        }
        number => number.to_f64() < low || number.to_f64() > high,
    };
    if outside {
        return Err(Error::location(50989, format!("{operator} takes a number from {low} to {high}")));
    }
    Ok(apply(number, double, decimal))
}

/// A function of every number but the infinities.
fn finite<'a>(
    operator: &str,
    arguments: &Arguments<'a>,
    double: fn(f64) -> f64,
    decimal: fn(Decimal128) -> Decimal128,
) -> Result<Value<'a>> {
    let Some(number) = single_number(operator, arguments.get(0))? else { return Ok(Value::Null) };
    let infinite = match number {
        Number::Decimal(number) => number.is_infinite(),
        number => number.to_f64().is_infinite(),
    };
    if infinite {
        return Err(Error::location(50989, format!("{operator} takes a finite number")));
    }
    Ok(apply(number, double, decimal))
}

fn arc_tangent_2<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    if arguments.any_nullish() {
        return Ok(Value::Null);
    }
    let number = |index: usize, code: i32| {
        let value = arguments.get(index);
        Number::of(value).ok_or_else(|| {
            Error::location(code, format!("$atan2 takes numbers, found {}", value.type_name()))
        })
    };
    let (y, x) = (number(0, 51044)?, number(1, 51045)?);
    Ok(match (y, x) {
        (Number::Decimal(_), _) | (_, Number::Decimal(_)) => {
            Value::Decimal128(y.to_decimal().arc_tangent_2(x.to_decimal()))
        }
        _ => Value::Double(y.to_f64().atan2(x.to_f64())),
    })
}
