//! The hash that hashed indexes order by, and that `$toHashedIndexKey` shows.
//!
//! It is MongoDB's, so that keys computed elsewhere agree: the first 8 bytes, little-endian, of the MD5 (RFC 1321) of
//!
//! ```text
//! seed (i32, 0)
//! element := class of the type (i32) | name and NUL (inside documents and arrays only) | contents
//! ```
//!
//! All integers are little-endian. The class is the same for types that compare as one (every number has 10). Contents
//! are, for a number, the number cut to a whole one of 64 bits, so that equal numbers hash alike whatever their type
//! (and 2.3 like 2.9: the index compares nothing itself, documents are matched after the fetch); for a document or an
//! array its elements and a class of 0; for anything else the bytes as BSON has them.

use md5::{Digest, Md5};
use sheaf_document::{DocumentBuilder, RawDocument, ValueRef};

use crate::expression::number::f64_to_i64_truncated;

/// The hash of a value.
pub fn hashed_index_key(value: ValueRef<'_>) -> i64 {
    let mut hash = Md5::new();
    hash.update(0i32.to_le_bytes());
    update(&mut hash, None, value);
    let digest = hash.finalize();
    digest.first_chunk::<8>().copied().map_or(0, i64::from_le_bytes)
}

fn update(hash: &mut Md5, name: Option<&str>, value: ValueRef<'_>) {
    hash.update(class(value).to_le_bytes());
    if let Some(name) = name {
        hash.update(name.as_bytes());
        hash.update([0]);
    }
    match value {
        ValueRef::Document(document) => update_nested(hash, document),
        ValueRef::Array(array) => {
            for (place, item) in array.iter().enumerate() {
                update(hash, Some(&place.to_string()), item);
            }
            hash.update(0i32.to_le_bytes());
        }
        ValueRef::JavaScriptWithScope { code, scope } => {
            hash.update(code.as_bytes());
            hash.update([0]);
            update_nested(hash, scope);
        }
        value => match whole(value) {
            Some(number) => hash.update(number.to_le_bytes()),
            None => hash.update(contents(value)),
        },
    }
}

fn update_nested(hash: &mut Md5, document: RawDocument<'_>) {
    for element in document {
        update(hash, Some(element.key()), element.value());
    }
    hash.update(0i32.to_le_bytes());
}

/// A number cut to a whole one; what does not fit is the outermost, and NaN is 0.
fn whole(value: ValueRef<'_>) -> Option<i64> {
    let cut = |number: f64| {
        let outermost = if number < 0.0 { i64::MIN } else { i64::MAX };
        if number.is_nan() { 0 } else { f64_to_i64_truncated(number).unwrap_or(outermost) }
    };
    match value {
        ValueRef::Int32(number) => Some(i64::from(number)),
        ValueRef::Int64(number) => Some(number),
        ValueRef::Double(number) => Some(cut(number)),
        ValueRef::Decimal128(number) => Some(cut(number.to_f64())),
        _ => None,
    }
}

/// Which types compare as one.
fn class(value: ValueRef<'_>) -> i32 {
    match value {
        ValueRef::MinKey => -1,
        ValueRef::Undefined => 0,
        ValueRef::Null => 5,
        ValueRef::Double(_) | ValueRef::Int32(_) | ValueRef::Int64(_) | ValueRef::Decimal128(_) => 10,
        ValueRef::String(_) | ValueRef::Symbol(_) => 15,
        ValueRef::Document(_) => 20,
        ValueRef::Array(_) => 25,
        ValueRef::Binary(_) => 30,
        ValueRef::ObjectId(_) => 35,
        ValueRef::Boolean(_) => 40,
        ValueRef::DateTime(_) => 45,
        ValueRef::Timestamp(_) => 47,
        ValueRef::Regex(_) => 50,
        ValueRef::DbPointer { .. } => 55,
        ValueRef::JavaScript(_) => 60,
        ValueRef::JavaScriptWithScope { .. } => 65,
        ValueRef::MaxKey => 127,
    }
}

/// The bytes that BSON has for a value, without type and name.
fn contents(value: ValueRef<'_>) -> Vec<u8> {
    /// Length, type and the NUL of an empty name in front; the document's NUL behind.
    const FRONT_BYTES: usize = 6;
    let mut document = DocumentBuilder::new();
    document.append_ref("", value);
    let document = document.build();
    let bytes = document.as_raw().as_bytes();
    bytes.get(FRONT_BYTES..bytes.len().saturating_sub(1)).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_manual() {
        // 2013-02-12T22:12:57.211Z, in the description of the hashing command.
        assert_eq!(hashed_index_key(ValueRef::DateTime(1_360_707_177_211)), -4_185_544_074_338_741_873);
    }

    #[test]
    fn equal_numbers_hash_alike() {
        let two = hashed_index_key(ValueRef::Int32(2));
        assert_eq!(hashed_index_key(ValueRef::Int64(2)), two);
        assert_eq!(hashed_index_key(ValueRef::Double(2.9)), two);
        assert_ne!(hashed_index_key(ValueRef::Int32(3)), two);
        assert_eq!(hashed_index_key(ValueRef::Double(f64::NAN)), hashed_index_key(ValueRef::Int32(0)));
    }
}
