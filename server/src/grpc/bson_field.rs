//! BSON in the `bytes` fields of a message: checked here, once, and trusted behind.

use bytes::Bytes;
use sheaf_document::{Error, NESTING_DEPTH, RawDocument, RawDocumentBuf};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::status::DOMAIN;

/// The document in a field; an empty field is the empty document.
pub fn document<'a>(field: &str, bytes: &'a Bytes) -> Result<RawDocument<'a>, Status> {
    if bytes.is_empty() {
        return Ok(RawDocument::EMPTY);
    }
    RawDocument::validate(bytes).map_err(|error| malformed(field, &error))
}

/// The document in a field; an empty field is none.
pub fn optional_document<'a>(field: &str, bytes: &'a Bytes) -> Result<Option<RawDocument<'a>>, Status> {
    if bytes.is_empty() { Ok(None) } else { document(field, bytes).map(Some) }
}

/// The document in a field that must be there.
pub fn required_document<'a>(field: &str, bytes: &'a Bytes) -> Result<RawDocument<'a>, Status> {
    optional_document(field, bytes)?.ok_or_else(|| violation(field, "FIELD_REQUIRED", "it must be given"))
}

/// The documents of a repeated field.
pub fn documents<'a>(field: &str, all: &'a [Bytes]) -> Result<Vec<RawDocument<'a>>, Status> {
    all.iter().map(|bytes| document(field, bytes)).collect()
}

/// A number that must not be negative.
pub fn not_negative(field: &str, number: i64) -> Result<u64, Status> {
    u64::try_from(number).map_err(|_| violation(field, "OUT_OF_RANGE", &format!("{number} is negative")))
}

/// A limit: 0 is none.
pub fn limit(field: &str, number: i64) -> Result<Option<u64>, Status> {
    not_negative(field, number).map(|limit| (limit > 0).then_some(limit))
}

/// Gives a document's bytes away.
pub fn into_bytes(document: RawDocumentBuf) -> Bytes {
    Bytes::from(document.into_bytes())
}

/// The reason for bytes that are no document.
pub fn reason(error: &Error) -> &'static str {
    match error {
        Error::Limit { what: NESTING_DEPTH, .. } => "DOCUMENT_TOO_DEEP",
        Error::Limit { .. } => "DOCUMENT_TOO_LARGE",
        Error::Malformed { .. } | Error::Invalid { .. } => "INVALID_BSON",
    }
}

fn malformed(field: &str, error: &Error) -> Status {
    violation(field, reason(error), &error.to_string())
}

/// A field holds what it must not.
pub fn violation(field: &str, reason: &str, description: &str) -> Status {
    let mut details = ErrorDetails::with_bad_request_violation(field, description);
    details.set_error_info(reason, DOMAIN, std::collections::HashMap::new());
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {description}"), details)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason_of(bytes: Vec<u8>) -> String {
        let status = required_document("query.filter", &Bytes::from(bytes)).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let field = &status.get_details_bad_request().unwrap().field_violations[0].field;
        assert_eq!(field, "query.filter");
        status.get_details_error_info().unwrap().reason
    }

    fn nested(levels: usize) -> Vec<u8> {
        let mut document = vec![5, 0, 0, 0, 0];
        for _ in 0..levels {
            let len = i32::try_from(document.len() + 8).unwrap();
            let mut outer = len.to_le_bytes().to_vec();
            outer.extend_from_slice(b"\x03a\0");
            outer.extend_from_slice(&document);
            outer.push(0);
            document = outer;
        }
        document
    }

    #[test]
    fn each_kind_of_bad_bytes_has_its_reason() {
        assert_eq!(reason_of(vec![]), "FIELD_REQUIRED");
        assert_eq!(reason_of(vec![5, 0, 0, 0]), "INVALID_BSON");
        assert_eq!(reason_of(vec![6, 0, 0, 0, 0]), "INVALID_BSON");
        assert_eq!(reason_of(nested(201)), "DOCUMENT_TOO_DEEP");
        assert_eq!(reason_of(vec![0; 17 << 20]), "DOCUMENT_TOO_LARGE");
        assert!(required_document("query.filter", &Bytes::from(nested(50))).is_ok());
    }
}
