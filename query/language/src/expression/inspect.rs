//! What a value is: `$type`, `$isNumber`, `$bsonSize`, `$binarySize`, `$tsSecond`, `$tsIncrement`,
//! `$toHashedIndexKey`; and the operators that would run JavaScript, which are refused.

use sheaf_document::{Timestamp, Value, ValueRef};

use super::number::int_from_count;
use super::operator::Operator;
use super::{Node, Scope};
use crate::{Error, ErrorCode, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::fixed("$binarySize", 1, |arguments, _| match arguments.get(0) {
        Value::String(text) => Ok(int_from_count(text.len())),
        Value::Binary { bytes, .. } => Ok(int_from_count(bytes.len())),
        value if value.is_nullish() => Ok(Value::Null),
        other => {
            let message = format!("$binarySize takes a string or binData, found {}", other.type_name());
            Err(Error::location(51276, message))
        }
    }),
    Operator::fixed("$bsonSize", 1, |arguments, _| match arguments.get(0) {
        Value::Document(document) => Ok(int_from_count(document.as_raw().len_bytes())),
        value if value.is_nullish() => Ok(Value::Null),
        other => {
            let message = format!("$bsonSize takes a document, found {}", other.type_name());
            Err(Error::location(31393, message))
        }
    }),
    Operator::special("$function", refuse_javascript),
    Operator::fixed("$isNumber", 1, |arguments, _| {
        Ok(arguments.get(0).kind().is_some_and(sheaf_document::BsonType::is_number).into())
    }),
    Operator::fixed("$toHashedIndexKey", 1, |arguments, _| {
        let value = arguments.take(0).to_bytes_form();
        // Nothing at all is indexed as null.
        Ok(Value::Int64(crate::hashed_index_key(value.as_ref().unwrap_or(ValueRef::Null))))
    }),
    Operator::fixed("$tsIncrement", 1, |arguments, _| {
        timestamp_part("$tsIncrement", 5_687_302, arguments.get(0), |timestamp| timestamp.increment)
    }),
    Operator::fixed("$tsSecond", 1, |arguments, _| {
        timestamp_part("$tsSecond", 5_687_301, arguments.get(0), |timestamp| timestamp.seconds)
    }),
    Operator::fixed("$type", 1, |arguments, _| Ok(arguments.get(0).type_name().into())),
];

fn timestamp_part<'a>(
    operator: &str,
    code: i32,
    value: &Value<'a>,
    part: fn(&Timestamp) -> u32,
) -> Result<Value<'a>> {
    match value {
        Value::Timestamp(timestamp) => Ok(Value::Int64(part(timestamp).into())),
        value if value.is_nullish() => Ok(Value::Null),
        other => {
            let message = format!("{operator} takes a timestamp, found {}", other.type_name());
            Err(Error::location(code, message))
        }
    }
}

fn refuse_javascript(_: ValueRef<'_>, _: &mut Scope) -> Result<Node> {
    Err(Error::new(
        ErrorCode::INVALID_PIPELINE_OPERATOR,
        "$function is not supported: there is no JavaScript here",
    ))
}
