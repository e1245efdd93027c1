//! Documents that the server keeps for itself, each under its `_id`: users, roles, cluster parameters, query settings.

use sheaf_document::{DOCUMENT_BYTES_MAX, DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_engine::operation::{DeleteOperation, FindOperation, UpdateOperation};
use sheaf_engine::{Error, Namespace, Result, Session, error_code};

/// Documents that are read at once.
const BATCH_DOCUMENTS: usize = 1_000;

/// The documents that match.
pub(crate) fn read(
    session: &Session,
    namespace: &Namespace,
    filter: RawDocument<'_>,
) -> Result<Vec<RawDocumentBuf>> {
    let mut cursor = session.find(&FindOperation::new(namespace.clone(), filter))?;
    let mut found = Vec::new();
    while !cursor.is_exhausted() {
        let batch = cursor.next_batch(BATCH_DOCUMENTS, DOCUMENT_BYTES_MAX)?.documents;
        if batch.is_empty() {
            break;
        }
        found.extend(batch);
    }
    Ok(found)
}

/// The document of this `_id`.
pub(crate) fn read_one(session: &Session, namespace: &Namespace, id: &str) -> Result<Option<RawDocumentBuf>> {
    Ok(read(session, namespace, by_id(id).as_raw())?.pop())
}

/// Stores a document under its `_id`, in place of the one that is there.
pub(crate) fn put(session: &Session, namespace: &Namespace, document: RawDocument<'_>) -> Result<()> {
    let Some(id) = document.get("_id") else {
        return Err(Error::new(error_code::INTERNAL_ERROR, format!("a document for {namespace} has no _id")));
    };
    let mut filter = DocumentBuilder::new();
    filter.append_ref("_id", id);
    let filter = filter.build();
    let mut operation =
        UpdateOperation::new(namespace.clone(), filter.as_raw(), ValueRef::Document(document));
    operation.upsert = true;
    session.update(&operation).map(drop)
}

/// Deletes the documents that match; says how many.
pub(crate) fn delete(session: &Session, namespace: &Namespace, filter: RawDocument<'_>) -> Result<u64> {
    let mut operation = DeleteOperation::new(namespace.clone(), filter);
    operation.multi = true;
    Ok(session.delete(&operation)?.deleted)
}

/// `{_id: id}`.
pub(crate) fn by_id(id: &str) -> RawDocumentBuf {
    equal("_id", &Value::from(id))
}

/// `{field: {$eq: value}}`.
pub(crate) fn equal(field: &str, value: &Value<'_>) -> RawDocumentBuf {
    let mut filter = DocumentBuilder::new();
    filter.document(field, |equal| {
        equal.append_value("$eq", value);
    });
    filter.build()
}
