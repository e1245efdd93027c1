//! Which values count as true.

use sheaf_document::Value;

/// Everything is true but missing, null, undefined, false and zero of any numeric type.
pub fn is_truthy(value: &Value<'_>) -> bool {
    match value {
        Value::Missing | Value::Null | Value::Undefined => false,
        Value::Boolean(truth) => *truth,
        Value::Int32(number) => *number != 0,
        Value::Int64(number) => *number != 0,
        Value::Double(number) => *number != 0.0,
        Value::Decimal128(decimal) => !decimal.is_zero(),
        _ => true,
    }
}
