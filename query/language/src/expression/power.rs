//! `$exp`, `$ln`, `$log`, `$log10`, `$pow`, `$sqrt`, `$sigmoid`: doubles, or decimals if an operand is one.

use sheaf_document::{Decimal128, Value};

use super::number::{Number, int_or_long};
use super::operator::{Arguments, Call, Operator};
use super::rounding::single_number;
use super::{Environment, Expression, Node};
use crate::{Error, ErrorCode, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::fixed("$exp", 1, |arguments, _| {
        Ok(match single_number("$exp", arguments.get(0))? {
            None => Value::Null,
            Some(number) => apply(number, f64::exp, Decimal128::exponential),
        })
    }),
    Operator::fixed("$ln", 1, |arguments, _| {
        positive("$ln", 28766, arguments.get(0), f64::ln, Decimal128::natural_logarithm)
    }),
    Operator::fixed("$log", 2, logarithm),
    Operator::fixed("$log10", 1, |arguments, _| {
        positive("$log10", 28761, arguments.get(0), f64::log10, Decimal128::logarithm_base_10)
    }),
    Operator::fixed("$pow", 2, power),
    Operator::special("$sigmoid", |value, scope| {
        // An array is the operand itself, not a list of operands.
        let operand = Expression::parse(value, scope)?;
        Ok(Node::Call(Call { operator: &SIGMOID, arguments: Box::new([operand]) }))
    }),
    Operator::fixed("$sqrt", 1, square_root),
];

/// `$sigmoid` of its operand.
static SIGMOID: Operator = Operator::fixed("$sigmoid", 1, sigmoid);

/// A function of one number, on doubles or decimals.
pub(super) fn apply(
    number: Number,
    double: fn(f64) -> f64,
    decimal: fn(Decimal128) -> Decimal128,
) -> Value<'static> {
    match number {
        Number::Decimal(number) => Value::Decimal128(decimal(number)),
        number => Value::Double(double(number.to_f64())),
    }
}

fn is_positive(number: Number) -> bool {
    match number {
        Number::Decimal(number) => number.is_nan() || (!number.is_zero() && !number.is_negative()),
        number => {
            let number = number.to_f64();
            number.is_nan() || number > 0.0
        }
    }
}

/// A logarithm: of positive numbers and NaN only.
fn positive<'a>(
    operator: &str,
    code: i32,
    value: &Value<'a>,
    double: fn(f64) -> f64,
    decimal: fn(Decimal128) -> Decimal128,
) -> Result<Value<'a>> {
    match single_number(operator, value)? {
        None => Ok(Value::Null),
        Some(number) if number.to_f64().is_nan() => Ok(Value::Double(f64::NAN)),
        Some(number) if is_positive(number) => Ok(apply(number, double, decimal)),
        Some(_) => Err(Error::location(code, format!("{operator} takes a positive number"))),
    }
}

fn logarithm<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    if arguments.any_nullish() {
        return Ok(Value::Null);
    }
    let number = |index: usize, code: i32, what: &str| {
        let value = arguments.get(index);
        Number::of(value).ok_or_else(|| {
            Error::location(code, format!("$log takes a number as its {what}, found {}", value.type_name()))
        })
    };
    let argument = number(0, 28756, "argument")?;
    let base = number(1, 28757, "base")?;
    if !is_positive(argument) {
        return Err(Error::location(28758, "$log takes a positive number as its argument"));
    }
    if !is_positive(base) || base.to_f64() == 1.0 {
        return Err(Error::location(28759, "$log takes a positive number other than 1 as its base"));
    }
    if argument.to_f64().is_nan() || base.to_f64().is_nan() {
        return Ok(Value::Double(f64::NAN));
    }
    if let (Number::Decimal(_), _) | (_, Number::Decimal(_)) = (argument, base) {
        let (argument, base) = (argument.to_decimal(), base.to_decimal());
        let quotient = argument.natural_logarithm() / base.natural_logarithm();
        return Ok(Value::Decimal128(quotient));
    }
    Ok(Value::Double(argument.to_f64().ln() / base.to_f64().ln()))
}

fn square_root<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let Some(number) = single_number("$sqrt", arguments.get(0))? else { return Ok(Value::Null) };
    let negative = match number {
        Number::Decimal(number) => number.is_negative() && !number.is_zero() && !number.is_nan(),
        number => number.to_f64() < 0.0,
    };
    if negative {
        return Err(Error::location(28714, "$sqrt takes a number that is not negative"));
    }
    Ok(apply(number, f64::sqrt, Decimal128::square_root))
}

fn sigmoid<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let value = arguments.get(0);
    if value.is_nullish() {
        return Ok(Value::Null);
    }
    let Some(number) = Number::of(value) else {
        let message = format!("$sigmoid takes a number, found {}", value.type_name());
        return Err(Error::new(ErrorCode::TYPE_MISMATCH, message));
    };
    Ok(match number {
        Number::Decimal(number) => {
            let one = Decimal128::from(1);
            Value::Decimal128(one / (one + number.negate().exponential()))
        }
        number => Value::Double(1.0 / (1.0 + (-number.to_f64()).exp())),
    })
}

fn power<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    if arguments.any_nullish() {
        return Ok(Value::Null);
    }
    let number = |index: usize, code: i32, what: &str| {
        let value = arguments.get(index);
        Number::of(value).ok_or_else(|| {
            Error::location(code, format!("$pow takes a number as its {what}, found {}", value.type_name()))
        })
    };
    let base = number(0, 28762, "base")?;
    let exponent = number(1, 28763, "exponent")?;
    let zero_base = match base {
        Number::Decimal(base) => base.is_zero(),
        base => base.to_f64() == 0.0,
    };
    let negative_exponent = match exponent {
        Number::Decimal(exponent) => exponent.is_negative() && !exponent.is_zero() && !exponent.is_nan(),
        exponent => exponent.to_f64() < 0.0,
    };
    if zero_base && negative_exponent {
        return Err(Error::location(28764, "$pow cannot raise 0 to a negative exponent"));
    }
    match (base, exponent) {
        (Number::Decimal(_), _) | (_, Number::Decimal(_)) => {
            Ok(Value::Decimal128(base.to_decimal().power(exponent.to_decimal())))
        }
        (Number::Double(_), _) | (_, Number::Double(_)) => {
            Ok(Value::Double(base.to_f64().powf(exponent.to_f64())))
        }
        (base, exponent) => Ok(integer_power(base, exponent)),
    }
}

/// A power of integers: an integer if it is one that fits, else a double.
fn integer_power(base: Number, exponent: Number) -> Value<'static> {
    let long = matches!((base, exponent), (Number::Int64(_), _) | (_, Number::Int64(_)));
    let exact = match (base.to_i64_exact(), exponent.to_i64_exact()) {
        (Some(base), Some(exponent)) => checked_power(base, exponent),
        _ => None,
    };
    match exact {
        Some(exact) if long => Value::Int64(exact),
        Some(exact) => int_or_long(exact),
        None => Value::Double(base.to_f64().powf(exponent.to_f64())),
    }
}

fn checked_power(base: i64, exponent: i64) -> Option<i64> {
    match (base, exponent) {
        (1, _) => Some(1),
        (-1, exponent) => Some(if exponent % 2 == 0 { 1 } else { -1 }),
        (0, exponent) => Some(i64::from(exponent == 0)),
        (base, exponent) => base.checked_pow(u32::try_from(exponent).ok()?),
    }
}
