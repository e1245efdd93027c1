//! Equality of values where the order of fields does not matter, as `enum` and `uniqueItems` have it.

use sheaf_document::{DocumentBuilder, Element, RawArray, RawDocument, Value, ValueRef, compare};

/// The value with the fields of every document sorted by name.
pub(super) fn normalized(value: ValueRef<'_>) -> Value<'static> {
    match value {
        ValueRef::Document(document) => {
            let mut elements: Vec<Element<'_>> = document.iter().collect();
            elements.sort_by(|left, right| left.key_bytes().cmp(right.key_bytes()));
            let mut builder = DocumentBuilder::with_capacity(document.len_bytes());
            for element in elements {
                builder.append_value(element.key(), &normalized(element.value()));
            }
            Value::from(builder.build())
        }
        ValueRef::Array(array) => Value::array(array.iter().map(normalized).collect()),
        other => Value::from(other).into_owned(),
    }
}

/// Whether a value is one of these, which are normalized.
pub(super) fn contains(values: &[Value<'static>], value: ValueRef<'_>) -> bool {
    let value = normalized(value);
    values.iter().any(|candidate| compare(candidate, &value, None).is_eq())
}

/// Whether no two items are equal.
pub(super) fn all_differ(array: RawArray<'_>) -> bool {
    let mut items: Vec<Value<'static>> = array.iter().map(normalized).collect();
    items.sort_by(|left, right| compare(left, right, None));
    items.windows(2).all(|pair| match pair {
        [left, right] => compare(left, right, None).is_ne(),
        _ => true,
    })
}

/// The number of fields.
pub(super) fn field_count(document: RawDocument<'_>) -> u64 {
    document.iter().count() as u64
}
