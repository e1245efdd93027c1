//! Bad input: each has a named error and leaves the data as it was.

use std::path::Path;
use std::sync::Arc;

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf};
use sheaf_engine::operation::{FindOperation, InsertOperation};
use sheaf_engine::{Database, Namespace, Session, error_code};
use sheaf_storage::{MemoryVfs, Store};

use crate::support::{create_index, database, doc, find, find_with, insert, namespace, options, update};

fn text_document(id: i32, field: &str, len: usize) -> RawDocumentBuf {
    let mut out = DocumentBuilder::new();
    out.append("_id", id).append(field, "x".repeat(len));
    out.build()
}

fn insert_raw(session: &Session, document: &RawDocumentBuf) -> sheaf_engine::Result<()> {
    let outcome = session.insert(&InsertOperation::new(namespace(), vec![document.as_raw()]))?;
    outcome.errors.into_iter().next().map_or(Ok(()), |refused| Err(refused.error))
}

#[test]
fn a_document_of_17_mebibytes_is_refused() {
    let session = database().session();
    let error = insert_raw(&session, &text_document(1, "t", 17 << 20)).expect_err("too large");
    assert_eq!(error.code, error_code::OBJECT_TOO_LARGE);
    insert_raw(&session, &text_document(1, "t", 15 << 20)).expect("fits");
    let grow = format!(r#"{{"$set": {{"u": "{}"}}}}"#, "x".repeat(2 << 20));
    assert!(update(&session, r#"{"_id": 1}"#, &grow, false, false).is_err());
    assert!(find(&session, r#"{"u": {"$exists": true}}"#).is_empty());
}

#[test]
fn a_key_that_is_too_large_is_refused_and_leaves_nothing() {
    let session = database().session();
    create_index(&session, r#"{"key": {"t": 1}, "name": "t_1"}"#).expect("creates");
    let error = insert_raw(&session, &text_document(1, "t", 40_000)).expect_err("too large");
    assert_eq!(error.code, error_code::KEY_TOO_LONG);
    assert!(find(&session, "{}").is_empty());
    let mut id = DocumentBuilder::new();
    id.append("_id", "x".repeat(40_000));
    assert_eq!(insert_raw(&session, &id.build()).expect_err("too large").code, error_code::KEY_TOO_LONG);
    insert_raw(&session, &text_document(1, "u", 40_000)).expect("no index on it");
    let error = create_index(&session, r#"{"key": {"u": 1}, "name": "u_1"}"#).expect_err("too large");
    assert_eq!(error.code, error_code::KEY_TOO_LONG);
    assert_eq!(session.list_indexes(&namespace()).expect("lists").len(), 2);
}

#[test]
fn unknown_operators_and_deep_paths_are_named() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1,"a":1}"#]);
    let refused = |filter: &str| find_with(&session, doc(filter).as_raw(), |_| {}).expect_err("refused").code;
    assert_eq!(refused(r#"{"a": {"$nope": 1}}"#), error_code::BAD_VALUE);
    assert_eq!(refused(r#"{"$nope": 1}"#), error_code::BAD_VALUE);
    let error = update(&session, "{}", r#"{"$nope": {"a": 1}}"#, false, false).expect_err("refused");
    assert_eq!(error.code, error_code::FAILED_TO_PARSE);
    let deep = vec!["a"; 200].join(".");
    assert!(update(&session, "{}", &format!(r#"{{"$set": {{"{deep}": 1}}}}"#), false, false).is_err());
    assert_eq!(find(&session, "{}"), [r#"{"_id":1,"a":1}"#]);
}

#[test]
fn malformed_bson_does_not_get_in() {
    let good = doc(r#"{"_id": 1, "s": "text"}"#);
    let mut bytes = good.as_bytes().to_vec();
    for position in 0..bytes.len() {
        let before = bytes[position];
        for changed in [0, 0x7F, 0xFF] {
            bytes[position] = changed;
            // What validation lets pass is a document; what it does not has an error and no panic.
            if let Ok(document) = RawDocument::validate(&bytes) {
                let outcome = insert_raw(&database().session(), &document.to_buf());
                assert!(outcome.as_ref().err().is_none_or(|error| error.code != error_code::INTERNAL_ERROR));
            }
        }
        bytes[position] = before;
    }
}

#[test]
fn another_format_version_is_not_opened() {
    let vfs = Arc::new(MemoryVfs::new());
    let path = Path::new("/db");
    let database = Database::open_with(Arc::clone(&vfs) as _, path, options()).expect("opens");
    insert(&database.session(), &[r#"{"_id":1}"#]);
    database.close().expect("closes");
    drop(database);
    let store = Store::open(Arc::clone(&vfs) as _, path, options().store).expect("opens");
    let mut batch = sheaf_storage::WriteBatch::new();
    batch.put(vec![0x10, 0x01], doc(r#"{"version": {"$numberLong": "99"}}"#).into_bytes());
    store.tablet().commit(batch, None).expect("commits");
    store.close().expect("closes");
    drop(store);
    let error = Database::open_with(vfs, path, options()).expect_err("refused");
    assert_eq!(error.code, error_code::INCOMPATIBLE_SERVER_VERSION);
}

#[test]
fn a_directory_in_use_is_not_opened_twice() {
    let vfs = Arc::new(MemoryVfs::new());
    let first = Database::open_with(Arc::clone(&vfs) as _, Path::new("/db"), options()).expect("opens");
    let error = Database::open_with(Arc::clone(&vfs) as _, Path::new("/db"), options()).expect_err("in use");
    assert_eq!(error.code, error_code::DATABASE_LOCKED);
    insert(&first.session(), &[r#"{"_id":1}"#]);
}

#[test]
fn a_cursor_of_another_session_is_refused() {
    let database = database();
    let (owner, other) = (database.session(), database.session());
    insert(&owner, &[r#"{"_id":1}"#]);
    let all = doc("{}");
    let cursor = owner.find(&FindOperation::new(namespace(), all.as_raw())).expect("finds");
    let id = database.cursors().register(cursor, owner.id(), false, 0, || database.random());
    let error = database.cursors().take(id, other.id(), &namespace()).expect_err("foreign");
    assert_eq!(error.code, error_code::UNAUTHORIZED);
    let elsewhere = Namespace::new("test", "elsewhere").expect("valid");
    assert_eq!(
        database.cursors().take(id, owner.id(), &elsewhere).expect_err("other").code,
        error_code::UNAUTHORIZED
    );
    drop(owner);
    let error = database.cursors().take(id, other.id(), &namespace()).expect_err("gone with its session");
    assert_eq!(error.code, error_code::CURSOR_NOT_FOUND);
}

#[test]
fn after_close_operations_fail_by_name() {
    let database = database();
    let session = database.session();
    insert(&session, &[r#"{"_id":1}"#]);
    database.close().expect("closes");
    let documents = [doc(r#"{"_id": 2}"#)];
    let insert = InsertOperation::new(namespace(), documents.iter().map(RawDocumentBuf::as_raw).collect());
    assert_eq!(session.insert(&insert).expect_err("closed").code, error_code::SHUTDOWN_IN_PROGRESS);
}
