//! What a key does not say about its values: which type of number, string or symbol.

use crate::ValueRef;

/// An int.
pub(super) const INT: u8 = 0;
/// A long.
pub(super) const LONG: u8 = 1;
/// A double other than -0.0 and NaN.
pub(super) const DOUBLE: u8 = 2;
/// The double -0.0.
pub(super) const NEGATIVE_ZERO: u8 = 3;
/// A double NaN; its bytes follow.
pub(super) const DOUBLE_NAN: u8 = 4;
/// A decimal; its bytes follow.
pub(super) const DECIMAL: u8 = 5;
/// A string.
pub(super) const STRING: u8 = 0;
/// A symbol.
pub(super) const SYMBOL: u8 = 1;

/// Appends the type bits of a value; nothing for a value that its key says whole.
pub fn type_bits(value: ValueRef<'_>, out: &mut Vec<u8>) {
    match value {
        ValueRef::Int32(_) => out.push(INT),
        ValueRef::Int64(_) => out.push(LONG),
        ValueRef::Double(number) if number.is_nan() => {
            out.push(DOUBLE_NAN);
            out.extend_from_slice(&number.to_le_bytes());
        }
        ValueRef::Double(number) if number == 0.0 && number.is_sign_negative() => out.push(NEGATIVE_ZERO),
        ValueRef::Double(_) => out.push(DOUBLE),
        ValueRef::Decimal128(decimal) => {
            out.push(DECIMAL);
            out.extend_from_slice(&decimal.0);
        }
        ValueRef::String(_) => out.push(STRING),
        ValueRef::Symbol(_) => out.push(SYMBOL),
        ValueRef::Document(document) | ValueRef::JavaScriptWithScope { scope: document, .. } => {
            for element in document {
                type_bits(element.value(), out);
            }
        }
        ValueRef::Array(array) => {
            for item in array.iter() {
                type_bits(item, out);
            }
        }
        _ => {}
    }
}
