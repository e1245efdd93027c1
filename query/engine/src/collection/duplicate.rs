//! The duplicate key error, in the form that clients' libraries parse.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};

use crate::catalog::{Collection, ID_INDEX_NAME};
use crate::index::Index;
use crate::{Error, error_code};

/// The error for a document whose entry `entry_key` in a unique index is there already.
pub(crate) fn duplicate_key(
    collection: &Collection,
    index: &Index,
    document: RawDocument<'_>,
    entry_key: &[u8],
) -> Error {
    let names = index.specification.key.document();
    let mut values = DocumentBuilder::new();
    for (element, value) in names.iter().zip(index.values_of_key(document, entry_key)) {
        values.append_value(element.key(), &value);
    }
    error(collection, &index.specification.name, names, &values.build())
}

/// The error for a document whose `_id` is there already.
pub(super) fn duplicate_id(collection: &Collection, id: ValueRef<'_>) -> Error {
    if let (true, Some(code)) = (collection.options.is_clustered(), code_of_no_finite_number(id)) {
        let message = format!(
            "{} has a document with the key {} already",
            collection.namespace,
            crate::value_text::of(id)
        );
        return Error::location(code, message);
    }
    let mut pattern = DocumentBuilder::new();
    pattern.append("_id", 1);
    let mut values = DocumentBuilder::new();
    values.append_ref("_id", id);
    error(collection, ID_INDEX_NAME, pattern.build().as_raw(), &values.build())
}

/// The code of a second document whose key is NaN or infinite, in a clustered collection: MongoDB has codes of their own
/// for these.
fn code_of_no_finite_number(id: ValueRef<'_>) -> Option<i32> {
    let (is_nan, is_finite) = match id {
        ValueRef::Double(number) => (number.is_nan(), number.is_finite()),
        ValueRef::Decimal128(number) => (number.is_nan(), number.is_finite()),
        _ => return None,
    };
    match (is_nan, is_finite) {
        (true, _) => Some(50_819),
        (_, false) => Some(50_826),
        _ => None,
    }
}

fn error(collection: &Collection, index: &str, pattern: RawDocument<'_>, values: &RawDocumentBuf) -> Error {
    let mut text = String::new();
    for element in values.as_raw() {
        let separator = if text.is_empty() { "" } else { ", " };
        text.push_str(&format!("{separator}{}: {}", element.key(), crate::value_text::of(element.value())));
    }
    let mut details = DocumentBuilder::new();
    details.append_ref("keyPattern", ValueRef::Document(pattern));
    details.append("keyValue", Value::from(values.as_raw()));
    Error::new(
        error_code::DUPLICATE_KEY,
        format!(
            "E11000 duplicate key error collection: {} index: {index} dup key: {{ {text} }}",
            collection.namespace
        ),
    )
    .with_details(details.build())
}
