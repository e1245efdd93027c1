//! `$add`, `$subtract`, `$multiply`, `$divide`, `$mod`: exact where the operands are integers, a double where 64 bits
//! overflow, a decimal as soon as one operand is. Null or missing among the operands makes the result null.

use sheaf_document::decimal::Rounding;
use sheaf_document::{Decimal128, Value};

use super::Environment;
use super::number::{Number, f64_to_i64_truncated, int_or_long};
use super::operator::{Arguments, Operator};
use crate::{Error, ErrorCode, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::variadic("$add", add),
    Operator::fixed("$divide", 2, divide),
    Operator::fixed("$mod", 2, modulo),
    Operator::variadic("$multiply", multiply),
    Operator::fixed("$subtract", 2, subtract),
];

/// A total as wide as the widest number that went into it.
#[derive(Clone, Copy)]
enum Total {
    Int(i64),
    Long(i64),
    Double(f64),
    Decimal(Decimal128),
}

impl Total {
    #[expect(clippy::cast_precision_loss, reason = "promotion to double rounds, as everywhere")]
    fn to_f64(self) -> f64 {
        match self {
            Self::Int(total) | Self::Long(total) => total as f64,
            Self::Double(total) => total,
            Self::Decimal(total) => total.to_f64(),
        }
    }

    fn to_decimal(self) -> Decimal128 {
        match self {
            Self::Int(total) | Self::Long(total) => Decimal128::from(total),
            Self::Double(total) => Decimal128::from_f64(total),
            Self::Decimal(total) => total,
        }
    }

    /// Combines with one more number; `exact` is the operation on integers, nothing if it overflows.
    fn combine(
        self,
        number: Number,
        exact: fn(i64, i64) -> Option<i64>,
        double: fn(f64, f64) -> f64,
        decimal: fn(Decimal128, Decimal128) -> Decimal128,
    ) -> Self {
        match (self, number) {
            (Self::Decimal(_), _) | (_, Number::Decimal(_)) => {
                Self::Decimal(decimal(self.to_decimal(), number.to_decimal()))
            }
            (Self::Double(_), _) | (_, Number::Double(_)) => {
                Self::Double(double(self.to_f64(), number.to_f64()))
            }
            (Self::Int(total) | Self::Long(total), Number::Int64(number)) => match exact(total, number) {
                Some(total) => Self::Long(total),
                None => Self::Double(double(self.to_f64(), Number::Int64(number).to_f64())),
            },
            (Self::Int(total), Number::Int32(number)) => match exact(total, number.into()) {
                Some(total) => Self::Int(total),
                None => Self::Double(double(self.to_f64(), number.into())),
            },
            (Self::Long(total), Number::Int32(number)) => match exact(total, number.into()) {
                Some(total) => Self::Long(total),
                None => Self::Double(double(self.to_f64(), number.into())),
            },
        }
    }

    fn into_value(self) -> Value<'static> {
        match self {
            Self::Int(total) => int_or_long(total),
            Self::Long(total) => Value::Int64(total),
            Self::Double(total) => Value::Double(total),
            Self::Decimal(total) => Value::Decimal128(total),
        }
    }

    /// The total as milliseconds since the epoch.
    fn into_date(self, operator: &str) -> Result<Value<'static>> {
        let millis = match self {
            Self::Int(total) | Self::Long(total) => Some(total),
            Self::Double(total) => f64_to_i64_truncated(total.round()),
            Self::Decimal(total) => total.to_i64(Rounding::HalfEven),
        };
        millis.map(Value::DateTime).ok_or_else(|| {
            Error::new(ErrorCode::OVERFLOW, format!("the date that {operator} makes does not fit"))
        })
    }
}

/// The sum of two numbers, as `$add` makes it.
pub(crate) fn sum(left: Number, right: Number) -> Value<'static> {
    let start = Total::Int(0);
    let add = |total: Total, number| total.combine(number, i64::checked_add, |a, b| a + b, |a, b| a + b);
    add(add(start, left), right).into_value()
}

fn not_numeric(operator: &str, value: &Value<'_>) -> Error {
    let message = format!("{operator} takes numbers and dates, found {}", value.type_name());
    Error::new(ErrorCode::TYPE_MISMATCH, message)
}

fn add<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let mut total = Total::Int(0);
    let mut has_date = false;
    for value in arguments.values() {
        let number = match value {
            Value::DateTime(_) if has_date => {
                return Err(Error::location(16612, "$add takes at most one date"));
            }
            Value::DateTime(millis) => {
                has_date = true;
                // Adds to whatever the total is without widening it.
                Number::Int64(*millis)
            }
            value if value.is_nullish() => return Ok(Value::Null),
            value => Number::of(value).ok_or_else(|| not_numeric("$add", value))?,
        };
        total = total.combine(number, i64::checked_add, |a, b| a + b, |a, b| a + b);
    }
    if has_date { total.into_date("$add") } else { Ok(total.into_value()) }
}

fn multiply<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let mut total = Total::Int(1);
    for value in arguments.values() {
        if value.is_nullish() {
            return Ok(Value::Null);
        }
        let number = Number::of(value).ok_or_else(|| not_numeric("$multiply", value))?;
        total = total.combine(number, i64::checked_mul, |a, b| a * b, |a, b| a * b);
    }
    Ok(total.into_value())
}

fn subtract<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let (left, right) = (arguments.get(0), arguments.get(1));
    if left.is_nullish() || right.is_nullish() {
        return Ok(Value::Null);
    }
    match (left, right) {
        (Value::DateTime(left), Value::DateTime(right)) => {
            let millis = left.checked_sub(*right).ok_or_else(|| {
                Error::new(ErrorCode::OVERFLOW, "the difference of two dates in $subtract does not fit")
            })?;
            return Ok(Value::Int64(millis));
        }
        (Value::DateTime(millis), right) => {
            let number = Number::of(right).ok_or_else(|| not_numeric("$subtract", right))?;
            // A fraction of a millisecond is rounded before it is taken away.
            let taken = match number {
                Number::Double(number) => f64_to_i64_truncated(number.round()),
                Number::Decimal(number) => number.to_i64(Rounding::HalfEven),
                number => number.to_i64_exact(),
            };
            return taken.and_then(|taken| millis.checked_sub(taken)).map(Value::DateTime).ok_or_else(|| {
                Error::new(ErrorCode::OVERFLOW, "the date that $subtract makes does not fit")
            });
        }
        _ => {}
    }
    let total = match Number::of(left) {
        Some(Number::Int32(number)) => Total::Int(number.into()),
        Some(Number::Int64(number)) => Total::Long(number),
        Some(Number::Double(number)) => Total::Double(number),
        Some(Number::Decimal(number)) => Total::Decimal(number),
        None => return Err(not_numeric("$subtract", left)),
    };
    let number = Number::of(right).ok_or_else(|| not_numeric("$subtract", right))?;
    Ok(subtract_from(total, number).into_value())
}

fn subtract_from(total: Total, number: Number) -> Total {
    total.combine(number, i64::checked_sub, |a, b| a - b, |a, b| a - b)
}

fn divide<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    if arguments.any_nullish() {
        return Ok(Value::Null);
    }
    let (left, right) = (arguments.get(0), arguments.get(1));
    let (Some(dividend), Some(divisor)) = (Number::of(left), Number::of(right)) else {
        let wrong = if Number::of(left).is_none() { left } else { right };
        return Err(not_numeric("$divide", wrong));
    };
    let by_zero = || Error::new(ErrorCode::BAD_VALUE, "$divide cannot divide by zero");
    if let (Number::Decimal(_), _) | (_, Number::Decimal(_)) = (dividend, divisor) {
        let divisor = divisor.to_decimal();
        if divisor.is_zero() {
            return Err(by_zero());
        }
        return Ok(Value::Decimal128(dividend.to_decimal() / divisor));
    }
    let divisor = divisor.to_f64();
    if divisor == 0.0 {
        return Err(by_zero());
    }
    Ok(Value::Double(dividend.to_f64() / divisor))
}

fn modulo<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    if arguments.any_nullish() {
        return Ok(Value::Null);
    }
    let (left, right) = (arguments.get(0), arguments.get(1));
    let (Some(dividend), Some(divisor)) = (Number::of(left), Number::of(right)) else {
        let types = format!("{} and {}", left.type_name(), right.type_name());
        return Err(Error::location(16611, format!("$mod takes two numbers, found {types}")));
    };
    let by_zero = || Error::location(16610, "$mod cannot divide by zero");
    match (dividend, divisor) {
        (Number::Decimal(_), _) | (_, Number::Decimal(_)) => {
            let divisor = divisor.to_decimal();
            if divisor.is_zero() {
                return Err(by_zero());
            }
            Ok(Value::Decimal128(dividend.to_decimal() % divisor))
        }
        (Number::Double(_), _) | (_, Number::Double(_)) => {
            let divisor = divisor.to_f64();
            if divisor == 0.0 {
                return Err(by_zero());
            }
            Ok(Value::Double(dividend.to_f64() % divisor))
        }
        (Number::Int32(dividend), Number::Int32(divisor)) => {
            // The smallest int by -1 has no quotient, but its remainder is 0.
            if divisor == 0 { Err(by_zero()) } else { Ok(Value::Int32(dividend.wrapping_rem(divisor))) }
        }
        (dividend, divisor) => {
            let (dividend, divisor) = (dividend.to_i64_exact(), divisor.to_i64_exact());
            match (dividend, divisor) {
                (Some(dividend), Some(divisor)) if divisor != 0 => {
                    Ok(Value::Int64(dividend.wrapping_rem(divisor)))
                }
                _ => Err(by_zero()),
            }
        }
    }
}
