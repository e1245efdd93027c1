//! Which values count as true.

use sheaf_document::{Decimal128, Value};

/// Everything is true but missing, null, undefined, false and zero of any numeric type.
pub fn is_truthy(value: &Value<'_>) -> bool {
    match value {
        Value::Missing | Value::Null | Value::Undefined => false,
        Value::Boolean(truth) => *truth,
        Value::Int32(number) => *number != 0,
        Value::Int64(number) => *number != 0,
        Value::Double(number) => *number != 0.0,
        Value::Decimal128(decimal) => !is_zero(*decimal),
        _ => true,
    }
}

fn is_zero(decimal: Decimal128) -> bool {
    let bits = u128::from_le_bytes(decimal.0);
    match bits >> 122 & 0x1F {
        // Infinity and NaN.
        0b11110 | 0b11111 => false,
        // The long form of the coefficient always says more than 34 digits, which counts as zero.
        0b11000..=0b11101 => true,
        _ => bits & ((1 << 113) - 1) == 0,
    }
}
