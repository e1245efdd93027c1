//! The total order over all values: MongoDB's, for filters, sorts, groups and (through the `key` module, which must
//! agree with it byte for byte) for indexes.
//!
//! - Types come first, in the order of [`BsonType::order`]; those that share a place compare with each other. A missing
//!   value stands where undefined stands, below null.
//! - Numbers compare by their exact values across all four types: nothing is rounded, so that the order is total. NaN
//!   is below every number, -0 equals 0.
//! - Documents compare field by field: first the places of the two types, then the names, then the values; a document
//!   that ends first is the lower one. Arrays do the same without names.
//! - Binary data compares by length, subtype, bytes; DBPointers by the namespace's length, namespace, id.
//! - Strings (and symbols) compare by the collation where there is one; names never do.

mod hash;
mod number;

use std::cmp::Ordering;

pub use hash::hash_value;

use crate::{ArrayValue, BsonType, Collate, RawArray, RawDocument, Value, ValueRef};

/// Compares two values. See the module for the order.
pub fn compare(left: &Value<'_>, right: &Value<'_>, collation: Option<&dyn Collate>) -> Ordering {
    compare_views(View::of(left), View::of(right), collation)
}

/// Compares two values in bytes. See the module for the order.
pub fn compare_refs(left: ValueRef<'_>, right: ValueRef<'_>, collation: Option<&dyn Collate>) -> Ordering {
    let (left_place, right_place) = (left.kind().order(), right.kind().order());
    if left_place != right_place {
        return left_place.cmp(&right_place);
    }
    compare_same_place(left, right, collation)
}

/// Whether two values are equal in the order of [`compare`]: 1 equals 1.0.
pub fn equal(left: &Value<'_>, right: &Value<'_>, collation: Option<&dyn Collate>) -> bool {
    compare(left, right, collation).is_eq()
}

/// What [`compare`] looks at: a value in bytes where there is one, and the two cases that have no bytes.
#[derive(Clone, Copy)]
enum View<'v> {
    Missing,
    Items(&'v [Value<'v>]),
    Bytes(ValueRef<'v>),
}

impl<'v> View<'v> {
    fn of(value: &'v Value<'_>) -> Self {
        match value {
            Value::Array(ArrayValue::Items(items)) => Self::Items(items),
            other => other.as_ref().map_or(Self::Missing, Self::Bytes),
        }
    }

    /// The same for an item of an array, where nothing can be missing.
    fn of_item(value: &'v Value<'_>) -> Self {
        match Self::of(value) {
            Self::Missing => Self::Bytes(ValueRef::Null),
            present => present,
        }
    }

    fn place(self) -> u8 {
        match self {
            Self::Missing => BsonType::Undefined.order(),
            Self::Items(_) => BsonType::Array.order(),
            Self::Bytes(value) => value.kind().order(),
        }
    }
}

fn compare_views(left: View<'_>, right: View<'_>, collation: Option<&dyn Collate>) -> Ordering {
    match (left, right) {
        (View::Bytes(left), View::Bytes(right)) => compare_refs(left, right, collation),
        (View::Items(left), View::Items(right)) => {
            let (left, right) = (left.iter().map(View::of_item), right.iter().map(View::of_item));
            compare_items(left, right, collation)
        }
        (View::Items(left), View::Bytes(ValueRef::Array(right))) => {
            compare_items(left.iter().map(View::of_item), right.iter().map(View::Bytes), collation)
        }
        (View::Bytes(ValueRef::Array(left)), View::Items(right)) => {
            compare_items(left.iter().map(View::Bytes), right.iter().map(View::of_item), collation)
        }
        (left, right) => left.place().cmp(&right.place()),
    }
}

fn compare_items<'v>(
    mut left: impl Iterator<Item = View<'v>>,
    mut right: impl Iterator<Item = View<'v>>,
    collation: Option<&dyn Collate>,
) -> Ordering {
    loop {
        match (left.next(), right.next()) {
            (Some(left), Some(right)) => match compare_views(left, right, collation) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
            (left, right) => return left.is_some().cmp(&right.is_some()),
        }
    }
}

fn compare_same_place(left: ValueRef<'_>, right: ValueRef<'_>, collation: Option<&dyn Collate>) -> Ordering {
    match (left, right) {
        (
            ValueRef::String(left) | ValueRef::Symbol(left),
            ValueRef::String(right) | ValueRef::Symbol(right),
        ) => match collation {
            Some(collation) => collation.compare(left, right),
            None => left.cmp(right),
        },
        (ValueRef::Document(left), ValueRef::Document(right)) => compare_documents(left, right, collation),
        (ValueRef::Array(left), ValueRef::Array(right)) => compare_arrays(left, right, collation),
        (ValueRef::Binary(left), ValueRef::Binary(right)) => {
            (left.bytes.len(), left.subtype, left.bytes).cmp(&(right.bytes.len(), right.subtype, right.bytes))
        }
        (ValueRef::ObjectId(left), ValueRef::ObjectId(right)) => left.cmp(&right),
        (ValueRef::Boolean(left), ValueRef::Boolean(right)) => left.cmp(&right),
        (ValueRef::DateTime(left), ValueRef::DateTime(right)) => left.cmp(&right),
        (ValueRef::Timestamp(left), ValueRef::Timestamp(right)) => left.cmp(&right),
        (ValueRef::Regex(left), ValueRef::Regex(right)) => {
            (left.pattern, left.options).cmp(&(right.pattern, right.options))
        }
        (
            ValueRef::DbPointer { namespace: left, id: left_id },
            ValueRef::DbPointer { namespace: right, id: right_id },
        ) => (left.len(), left, left_id).cmp(&(right.len(), right, right_id)),
        (ValueRef::JavaScript(left), ValueRef::JavaScript(right)) => left.cmp(right),
        (
            ValueRef::JavaScriptWithScope { code: left, scope: left_scope },
            ValueRef::JavaScriptWithScope { code: right, scope: right_scope },
        ) => left.cmp(right).then_with(|| compare_documents(left_scope, right_scope, None)),
        (left, right) => number::compare(left, right),
    }
}

fn compare_documents(
    left: RawDocument<'_>,
    right: RawDocument<'_>,
    collation: Option<&dyn Collate>,
) -> Ordering {
    if left.as_bytes() == right.as_bytes() {
        return Ordering::Equal;
    }
    let (mut left, mut right) = (left.iter(), right.iter());
    loop {
        match (left.next(), right.next()) {
            (Some(left), Some(right)) => {
                let order = (left.kind().order(), left.key_bytes())
                    .cmp(&(right.kind().order(), right.key_bytes()))
                    .then_with(|| compare_same_place(left.value(), right.value(), collation));
                if order.is_ne() {
                    return order;
                }
            }
            (left, right) => return left.is_some().cmp(&right.is_some()),
        }
    }
}

fn compare_arrays(left: RawArray<'_>, right: RawArray<'_>, collation: Option<&dyn Collate>) -> Ordering {
    if left.as_bytes() == right.as_bytes() {
        return Ordering::Equal;
    }
    let (mut left, mut right) = (left.iter(), right.iter());
    loop {
        match (left.next(), right.next()) {
            (Some(left), Some(right)) => match compare_refs(left, right, collation) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
            (left, right) => return left.is_some().cmp(&right.is_some()),
        }
    }
}

#[cfg(test)]
mod tests;
