//! Replacement: a whole new document under the old `_id`.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf};

use super::Updated;
use crate::{Error, ErrorCode, Result};

/// Reads a replacement: no field at its top starts with a dollar.
pub fn parse(document: RawDocument<'_>) -> Result<RawDocumentBuf> {
    for element in document {
        let key = element.key();
        if key.starts_with('$') {
            let reason =
                format!("the field '{key}' of a replacement starts with a dollar, as only operators do");
            return Err(Error::new(ErrorCode::DOLLAR_PREFIXED_FIELD_NAME, reason));
        }
    }
    Ok(document.to_buf())
}

/// The replacement with the old `_id` in front, unless it brings its own.
pub fn apply(before: RawDocument<'_>, replacement: RawDocument<'_>) -> Result<Updated> {
    let id = replacement.get_element("_id").or_else(|| before.get_element("_id"));
    let mut builder = DocumentBuilder::with_capacity(replacement.len_bytes() + 32);
    if let Some(id) = id {
        builder.append_element(id);
    }
    for element in replacement {
        if element.key() != "_id" {
            builder.append_element(element);
        }
    }
    // As MongoDB counts: a replacement that leaves `_id` to be filled in differs from what is there.
    let modified = replacement.as_bytes() != before.as_bytes();
    let document = builder.build();
    Ok(Updated { document, modified })
}
