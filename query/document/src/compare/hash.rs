//! Hashing that agrees with [`compare`](super::compare): equal values hash alike, whatever their types.

use std::hash::{Hash, Hasher};

use super::View;
use crate::decimal::Unpacked;
use crate::{Collate, Decimal128, RawDocument, Value, ValueRef};

/// Feeds a value to a hasher such that values that are [`equal`](super::equal) under the same collation feed the same.
pub fn hash_value(value: &Value<'_>, collation: Option<&dyn Collate>, hasher: &mut dyn Hasher) {
    hash_view(View::of(value), collation, hasher);
}

fn hash_view(view: View<'_>, collation: Option<&dyn Collate>, hasher: &mut dyn Hasher) {
    hasher.write_u8(view.place());
    match view {
        View::Missing => {}
        View::Items(items) => {
            for item in items {
                hash_view(View::of_item(item), collation, hasher);
            }
            hasher.write_u8(0);
        }
        View::Bytes(value) => hash_ref(value, collation, hasher),
    }
}

fn hash_ref(value: ValueRef<'_>, collation: Option<&dyn Collate>, mut hasher: &mut dyn Hasher) {
    match value {
        ValueRef::Undefined | ValueRef::Null | ValueRef::MinKey | ValueRef::MaxKey => {}
        ValueRef::Double(number) => hash_double(number, hasher),
        ValueRef::Int32(number) => hasher.write_i64(number.into()),
        ValueRef::Int64(number) => hasher.write_i64(number),
        ValueRef::Decimal128(number) => hash_decimal(number, hasher),
        ValueRef::String(text) | ValueRef::Symbol(text) => match collation {
            Some(collation) => {
                let mut key = Vec::new();
                collation.sort_key(text, &mut key);
                key.hash(&mut hasher);
            }
            None => text.hash(&mut hasher),
        },
        ValueRef::Document(document) => hash_document(document, collation, hasher),
        ValueRef::Array(array) => {
            for item in array.iter() {
                hash_view(View::Bytes(item), collation, hasher);
            }
            hasher.write_u8(0);
        }
        ValueRef::Binary(binary) => (binary.subtype, binary.bytes).hash(&mut hasher),
        ValueRef::ObjectId(id) => id.hash(&mut hasher),
        ValueRef::Boolean(truth) => truth.hash(&mut hasher),
        ValueRef::DateTime(millis) => hasher.write_i64(millis),
        ValueRef::Regex(regex) => (regex.pattern, regex.options).hash(&mut hasher),
        ValueRef::DbPointer { namespace, id } => (namespace, id).hash(&mut hasher),
        ValueRef::JavaScript(code) => code.hash(&mut hasher),
        ValueRef::JavaScriptWithScope { code, scope } => {
            code.hash(&mut hasher);
            hash_document(scope, None, hasher);
        }
        ValueRef::Timestamp(timestamp) => hasher.write_u64(timestamp.as_u64()),
    }
}

fn hash_document(document: RawDocument<'_>, collation: Option<&dyn Collate>, mut hasher: &mut dyn Hasher) {
    for element in document {
        element.key_bytes().hash(&mut hasher);
        hash_view(View::Bytes(element.value()), collation, hasher);
    }
    hasher.write_u8(0);
}

/// Integers that fit hash as `i64` in every type; other numbers as the double they equal; the rest, which only
/// decimals can be, by their digits.
fn hash_double(number: f64, hasher: &mut dyn Hasher) {
    #[expect(clippy::cast_possible_truncation, reason = "the round trip shows whether it was exact")]
    #[expect(clippy::cast_precision_loss, reason = "the round trip shows whether it was exact")]
    let exact = Some(number as i64).filter(|&integer| integer as f64 == number && integer != i64::MAX);
    match exact {
        Some(integer) => hasher.write_i64(integer),
        None => {
            hasher.write_u8(1);
            hasher.write_u64(if number.is_nan() { f64::NAN.to_bits() } else { number.to_bits() });
        }
    }
}

fn hash_decimal(number: Decimal128, hasher: &mut dyn Hasher) {
    if let Some(integer) = number.to_i64_exact() {
        return hasher.write_i64(integer);
    }
    let nearest = number.to_f64();
    match number.unpack() {
        Unpacked::Finite(parts) if number.compare_f64(nearest).is_ne() => {
            let parts = parts.normalized();
            (parts.negative, parts.coefficient, parts.exponent).hash(&mut &mut *hasher);
        }
        _ => hash_double(nearest, hasher),
    }
}
