//! Opening again, creating and dropping.

use std::path::Path;
use std::sync::Arc;

use sheaf_engine::operation::{DropIndexesOperation, IndexTarget, RenameCollectionOperation};
use sheaf_engine::{Database, Namespace, error_code};
use sheaf_storage::MemoryVfs;

use crate::support::{create_index, database, doc, find, insert, json, namespace, options};

#[test]
fn everything_is_there_after_opening_again() {
    let vfs = Arc::new(MemoryVfs::new());
    let open = || Database::open_with(Arc::clone(&vfs) as _, Path::new("/db"), options()).expect("opens");
    let first = open();
    let session = first.session();
    create_index(&session, r#"{"key": {"t": 1}, "name": "t_1"}"#).expect("creates");
    create_index(&session, r#"{"key": {"e": -1}, "name": "e_-1", "unique": true}"#).expect("creates");
    insert(&session, &[r#"{"_id":1,"t":["a","b"],"e":1}"#, r#"{"_id":2,"t":"b","e":2}"#]);
    let before = session.list_indexes(&namespace()).expect("lists");
    drop(session);
    first.close().expect("closes");
    drop(first);
    let session = open().session();
    assert_eq!(session.list_indexes(&namespace()).expect("lists"), before);
    assert_eq!(find(&session, r#"{"t": "b"}"#).len(), 2);
    assert_eq!(find(&session, r#"{"t": {"$gte": "a"}}"#).len(), 2);
    let refused = insert(&session, &[r#"{"_id":3,"e":2}"#]);
    assert_eq!(refused.errors[0].error.code, error_code::DUPLICATE_KEY);
}

#[test]
fn an_index_over_existing_documents_is_filled_or_leaves_nothing() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1,"a":1}"#, r#"{"_id":2,"a":1}"#]);
    let error =
        create_index(&session, r#"{"key": {"a": 1}, "name": "u", "unique": true}"#).expect_err("duplicate");
    assert_eq!(error.code, error_code::DUPLICATE_KEY);
    assert_eq!(session.list_indexes(&namespace()).expect("lists").len(), 1);
    create_index(&session, r#"{"key": {"a": 1}, "name": "a_1"}"#).expect("creates");
    assert_eq!(find(&session, r#"{"a": 1}"#).len(), 2);
    let specifications = session.list_indexes(&namespace()).expect("lists");
    assert_eq!(json(specifications[1].as_raw()), r#"{"v":2,"key":{"a":1},"name":"a_1"}"#);
}

#[test]
fn index_conflicts_are_named() {
    let session = database().session();
    create_index(&session, r#"{"key": {"a": 1}, "name": "a_1"}"#).expect("creates");
    create_index(&session, r#"{"key": {"a": 1}, "name": "a_1"}"#).expect("the same again");
    let code = |specification| create_index(&session, specification).expect_err("refused").code;
    assert_eq!(code(r#"{"key": {"b": 1}, "name": "a_1"}"#), error_code::INDEX_KEY_SPECS_CONFLICT);
    assert_eq!(code(r#"{"key": {"a": 1}, "name": "other"}"#), error_code::INDEX_OPTIONS_CONFLICT);
    let drop_by = |target| session.drop_indexes(&DropIndexesOperation { namespace: namespace(), target });
    let missing = drop_by(IndexTarget::Names(vec!["nope".to_owned()])).expect_err("missing");
    assert_eq!(missing.code, error_code::INDEX_NOT_FOUND);
    let id = drop_by(IndexTarget::Names(vec!["_id_".to_owned()])).expect_err("refused");
    assert_eq!(id.code, error_code::INVALID_OPTIONS);
    assert_eq!(drop_by(IndexTarget::KeyPattern(doc(r#"{"a": 1}"#))).expect("drops").indexes_before, 2);
    assert_eq!(session.list_indexes(&namespace()).expect("lists").len(), 1);
}

#[test]
fn dropping_and_renaming() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1}"#]);
    let other = Namespace::new("test2", "renamed").expect("valid");
    let rename = RenameCollectionOperation { from: namespace(), to: other.clone(), drop_target: false };
    session.rename_collection(&rename).expect("renames");
    assert!(find(&session, "{}").is_empty());
    assert_eq!(session.database_names(), ["test2"]);
    assert!(session.drop_collection(&other).expect("drops").existed);
    assert!(!session.drop_collection(&other).expect("runs").existed);
    assert!(session.database_names().is_empty());
    insert(&session, &[r#"{"_id":1}"#]);
    assert!(session.drop_database("test").expect("drops"));
    assert!(find(&session, "{}").is_empty());
    insert(&session, &[r#"{"_id":2}"#]);
    assert_eq!(find(&session, "{}"), [r#"{"_id":2}"#]);
}

#[test]
fn large_documents_are_stored_apart_from_their_keys_and_read_like_any() {
    let database = database();
    let session = database.session();
    create_index(&session, r#"{"key": {"text": 1}, "name": "text_1"}"#).expect("creates");
    let with_text = |id: u32, bytes: usize| format!(r#"{{"_id":{id},"text":"{}"}}"#, "x".repeat(bytes));
    // Just below and just above the limit, and one whose entry in the index is as large as itself.
    let documents: Vec<_> =
        [10, 4_000, 4_096, 20_000].iter().zip(1..).map(|(bytes, id)| with_text(id, *bytes)).collect();
    let written: Vec<_> = documents.iter().map(String::as_str).collect();
    insert(&session, &written);
    let tablet = database.store().tablet();
    tablet.flush().expect("flushes");
    let statistics = tablet.statistics();
    assert_eq!(statistics.blob_files, 1, "{statistics:?}");
    assert!(statistics.blob_live_bytes < 5_000, "values of one letter compress: {statistics:?}");
    tablet.compact_all().expect("compacts");
    let read: Vec<_> = (1..=4).flat_map(|id| find(&session, &format!(r#"{{"_id":{id}}}"#))).collect();
    assert_eq!(read, documents);
    assert_eq!(find(&session, r#"{"text": {"$gt": "xxxxxxxxxxx"}}"#).len(), 3);
}
