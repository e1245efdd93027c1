//! What the tests share: a database in memory and documents written as JSON.

use std::sync::Arc;

use sheaf_document::{RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::catalog::IndexSpecification;
use sheaf_engine::operation::{
    CreateIndexesOperation, DeleteOperation, FindOperation, InsertOperation, InsertOutcome, UpdateOperation,
    UpdateOutcome,
};
use sheaf_engine::{Database, DatabaseOptions, Namespace, Result, Session};
use sheaf_storage::{BackgroundWork, ManualClock, StoreOptions};

/// Options with a clock that stands still and background work in the committing thread.
pub fn options() -> DatabaseOptions {
    let store = StoreOptions {
        clock: Arc::new(ManualClock::new(1_700_000_000)),
        background: BackgroundWork::Inline,
        ..StoreOptions::default()
    };
    DatabaseOptions { store, ..DatabaseOptions::default() }
}

/// A new database in memory.
pub fn database() -> Database {
    Database::in_memory(options()).expect("opens")
}

/// A document written as extended JSON.
pub fn doc(json: &str) -> RawDocumentBuf {
    let value: serde_json::Value =
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
    let bson::Bson::Document(document) = bson::Bson::try_from(value).expect("extended JSON") else {
        panic!("not a document: {json}");
    };
    let bytes = bson::serialize_to_vec(&document).expect("serializes");
    RawDocument::validate(&bytes).expect("valid").to_buf()
}

/// A document as relaxed extended JSON.
pub fn json(document: RawDocument<'_>) -> String {
    let document: bson::Document = bson::deserialize_from_slice(document.as_bytes()).expect("valid");
    bson::Bson::Document(document).into_relaxed_extjson().to_string()
}

/// The collection that most tests use.
pub fn namespace() -> Namespace {
    Namespace::new("test", "things").expect("valid")
}

/// Inserts documents written as JSON.
pub fn insert(session: &Session, documents: &[&str]) -> InsertOutcome {
    let documents: Vec<_> = documents.iter().map(|json| doc(json)).collect();
    let raw = documents.iter().map(RawDocumentBuf::as_raw).collect();
    session.insert(&InsertOperation::new(namespace(), raw)).expect("inserts")
}

/// Finds documents; `change` sets the options.
pub fn find_with<'a>(
    session: &Session,
    filter: RawDocument<'a>,
    change: impl FnOnce(&mut FindOperation<'a>),
) -> Result<Vec<String>> {
    let mut operation = FindOperation::new(namespace(), filter);
    change(&mut operation);
    let mut cursor = session.find(&operation)?;
    let mut found = Vec::new();
    while !cursor.is_exhausted() {
        let batch = cursor.next_batch(7, 1 << 20)?;
        found.extend(batch.documents.iter().map(|document| json(document.as_raw())));
    }
    Ok(found)
}

/// Finds documents by a filter written as JSON.
pub fn find(session: &Session, filter: &str) -> Vec<String> {
    find_with(session, doc(filter).as_raw(), |_| {}).expect("finds")
}

/// Updates documents.
pub fn update(
    session: &Session,
    filter: &str,
    change: &str,
    multi: bool,
    upsert: bool,
) -> Result<UpdateOutcome> {
    let (filter, change) = (doc(filter), doc(change));
    let mut operation =
        UpdateOperation::new(namespace(), filter.as_raw(), ValueRef::Document(change.as_raw()));
    operation.multi = multi;
    operation.upsert = upsert;
    session.update(&operation)
}

/// Deletes documents.
pub fn delete(session: &Session, filter: &str, multi: bool) -> Result<u64> {
    let filter = doc(filter);
    let mut operation = DeleteOperation::new(namespace(), filter.as_raw());
    operation.multi = multi;
    session.delete(&operation).map(|outcome| outcome.deleted)
}

/// Creates an index from its specification written as JSON.
pub fn create_index(session: &Session, specification: &str) -> Result<()> {
    let specification = IndexSpecification::parse(doc(specification).as_raw())?;
    session
        .create_indexes(&CreateIndexesOperation { namespace: namespace(), indexes: vec![specification] })
        .map(drop)
}
