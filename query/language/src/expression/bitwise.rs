//! `$bitAnd`, `$bitOr`, `$bitXor`, `$bitNot`: on ints and longs.

use sheaf_document::Value;

use super::operator::{Arguments, Operator};
use crate::{Error, ErrorCode, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::variadic("$bitAnd", |arguments, _| fold("$bitAnd", arguments, -1, |left, right| left & right)),
    Operator::fixed("$bitNot", 1, |arguments, _| match arguments.get(0) {
        Value::Int32(number) => Ok(Value::Int32(!number)),
        Value::Int64(number) => Ok(Value::Int64(!number)),
        value if value.is_nullish() => Ok(Value::Null),
        value => {
            let message = format!("$bitNot takes an int or a long, found {}", value.type_name());
            // A number without bits is a wrong type; what is no number at all has the code of numeric operators.
            match value {
                Value::Double(_) | Value::Decimal128(_) => Err(Error::new(ErrorCode::TYPE_MISMATCH, message)),
                _ => Err(Error::location(28765, message)),
            }
        }
    }),
    Operator::variadic("$bitOr", |arguments, _| fold("$bitOr", arguments, 0, |left, right| left | right)),
    Operator::variadic("$bitXor", |arguments, _| fold("$bitXor", arguments, 0, |left, right| left ^ right)),
];

/// Folds the operands; the result is a long if one of them is. Sign extension makes the halves agree.
fn fold<'a>(
    operator: &str,
    arguments: &Arguments<'a>,
    start: i64,
    combine: fn(i64, i64) -> i64,
) -> Result<Value<'a>> {
    let mut total = start;
    let mut long = false;
    for value in arguments.values() {
        match value {
            Value::Int32(number) => total = combine(total, i64::from(*number)),
            Value::Int64(number) => {
                long = true;
                total = combine(total, *number);
            }
            value if value.is_nullish() => return Ok(Value::Null),
            value => {
                let message = format!("{operator} takes ints and longs, found {}", value.type_name());
                return Err(Error::new(ErrorCode::TYPE_MISMATCH, message));
            }
        }
    }
    if long { Ok(Value::Int64(total)) } else { Ok(super::number::int_or_long(total)) }
}
