//! The `_id` of a document: what may be one, and putting one into a document without.

use sheaf_document::{
    BsonType, DEPTH_MAX, DOCUMENT_BYTES_MAX, DocumentBuilder, ObjectId, RawDocument, RawDocumentBuf,
    Timestamp, ValueRef,
};

use crate::{Error, ErrorCode, Result, error_code};

/// Refuses types that cannot be an `_id`, and field names in it that cannot be told from operators.
pub(crate) fn check_id(id: ValueRef<'_>) -> Result<()> {
    match id {
        ValueRef::Array(_) | ValueRef::Regex(_) | ValueRef::Undefined => Err(Error::new(
            error_code::INVALID_ID_FIELD,
            format!("_id must not be of type {}", id.kind().name()),
        )),
        ValueRef::Document(nested) => match nested.iter().find(|element| element.key().starts_with('$')) {
            Some(element) => Err(Error::new(
                error_code::DOLLAR_PREFIXED_FIELD_NAME,
                format!("the field \"{}\" of _id must not start with '$'", element.key()),
            )),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The `_id` of a stored document.
pub(crate) fn id_of(document: RawDocument<'_>) -> Result<ValueRef<'_>> {
    document
        .get("_id")
        .ok_or_else(|| Error::new(error_code::DATA_CORRUPTION_DETECTED, "a stored document has no _id"))
}

/// A document as it is stored: `_id` first, made by `new_id` if there is none.
pub(crate) fn with_id(
    document: RawDocument<'_>,
    new_id: impl FnOnce() -> ObjectId,
) -> Result<RawDocumentBuf> {
    let stored = match document.first() {
        Some(first) if first.key_bytes() == b"_id" => document.to_buf(),
        _ => {
            let mut out = DocumentBuilder::with_capacity(document.len_bytes() + 17);
            match document.get_element("_id") {
                Some(id) => out.append_element(id),
                None => out.append("_id", new_id()),
            };
            for element in document.iter().filter(|element| element.key_bytes() != b"_id") {
                out.append_element(element);
            }
            out.build()
        }
    };
    check_id(id_of(stored.as_raw())?)?;
    check_size(stored.as_raw())?;
    Ok(stored)
}

/// The fewest bytes a level of nesting takes: tag, empty key, length, terminator.
const LEVEL_BYTES_MIN: usize = 7;

/// Levels that a stored document may have, itself included: 20 less than what can be read, for what is put around it.
const LEVELS_MAX: usize = DEPTH_MAX - 20 + 1;

/// Refuses a document larger or deeper than may be stored. What comes from outside was validated; what an update or a
/// pipeline made may have grown in both ways.
pub(crate) fn check_size(document: RawDocument<'_>) -> Result<()> {
    if document.len_bytes() > LEVEL_BYTES_MIN * LEVELS_MAX && is_deeper(document, LEVELS_MAX) {
        let reason = format!("the document has more than {LEVELS_MAX} levels");
        return Err(Error::new(ErrorCode::OVERFLOW, reason));
    }
    if document.len_bytes() <= DOCUMENT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(
        error_code::OBJECT_TOO_LARGE,
        format!("the document has {} bytes, the limit is {DOCUMENT_BYTES_MAX}", document.len_bytes()),
    ))
}

/// Whether it has more levels than these, itself included.
fn is_deeper(document: RawDocument<'_>, levels: usize) -> bool {
    let Some(inner) = levels.checked_sub(1) else { return true };
    document.iter().any(|element| is_value_deeper(element.value(), inner))
}

fn is_value_deeper(value: ValueRef<'_>, levels: usize) -> bool {
    match value {
        ValueRef::Document(nested) => is_deeper(nested, levels),
        ValueRef::Array(array) => match levels.checked_sub(1) {
            Some(inner) => array.iter().any(|item| is_value_deeper(item, inner)),
            None => true,
        },
        _ => false,
    }
}

/// Gives fields with the zero timestamp the time of the insert, as clients expect. Only fields of the document itself,
/// and not `_id`.
pub(crate) fn stamp_zeros(document: RawDocumentBuf, mut now: impl FnMut() -> Timestamp) -> RawDocumentBuf {
    let is_zero = |element: &sheaf_document::Element<'_>| {
        element.kind() == BsonType::Timestamp
            && element.value_bytes().iter().all(|byte| *byte == 0)
            && element.key_bytes() != b"_id"
    };
    if !document.as_raw().iter().any(|element| is_zero(&element)) {
        return document;
    }
    let mut out = DocumentBuilder::with_capacity(document.as_bytes().len());
    for element in document.as_raw() {
        if is_zero(&element) {
            out.append(element.key(), now());
        } else {
            out.append_element(element);
        }
    }
    out.build()
}
