//! Writes that are sent again are done once.

use std::path::Path;
use std::sync::Arc;

use sheaf_document::{RawDocumentBuf, ValueRef};
use sheaf_engine::operation::{
    AggregateOperation, AggregateTarget, DeleteOperation, FindAndModifyOperation, InsertOperation,
    InsertOutcome, Modification, UpdateOperation, UpdateOutcome,
};
use sheaf_engine::{Database, Result, Session, error_code};
use sheaf_storage::{ManualClock, MemoryVfs};

use crate::support::{database, doc, find, insert, json, namespace, options};

const CLIENT: [u8; 16] = [1; 16];

fn numbered(session: &Session, number: i64) -> Session {
    session.retryable(&CLIENT, number).expect("binds")
}

fn insert_statements(
    session: &Session,
    documents: &[&str],
    statements: &[i32],
    ordered: bool,
) -> InsertOutcome {
    let documents: Vec<_> = documents.iter().map(|json| doc(json)).collect();
    let mut operation =
        InsertOperation::new(namespace(), documents.iter().map(RawDocumentBuf::as_raw).collect());
    operation.statements = statements.to_vec();
    operation.ordered = ordered;
    session.insert(&operation).expect("inserts")
}

fn increment(session: &Session, filter: &str, upsert: bool, statement: i32) -> Result<UpdateOutcome> {
    let (filter, change) = (doc(filter), doc(r#"{"$inc":{"x":1}}"#));
    let mut operation =
        UpdateOperation::new(namespace(), filter.as_raw(), ValueRef::Document(change.as_raw()));
    operation.upsert = upsert;
    operation.statement = Some(statement);
    session.update(&operation)
}

#[test]
fn a_statement_that_was_done_answers_as_before() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1,"x":0}"#]);
    let write = numbered(&session, 1);
    for _ in 0..3 {
        let outcome = increment(&write, r#"{"_id":1}"#, false, 0).expect("updates");
        assert_eq!((outcome.matched, outcome.modified, outcome.upserted_id.is_none()), (1, 1, true));
        let made = increment(&write, r#"{"_id":"new"}"#, true, 1).expect("inserts");
        let id = made.upserted_id.as_ref().and_then(sheaf_document::Value::as_ref);
        assert_eq!(id.and_then(ValueRef::as_str), Some("new"));
    }
    assert_eq!(find(&session, "{}"), [r#"{"_id":1,"x":1}"#, r#"{"_id":"new","x":1}"#]);
    increment(&numbered(&session, 2), r#"{"_id":1}"#, false, 0).expect("a new number is a new write");
    assert_eq!(find(&session, r#"{"_id":1}"#), [r#"{"_id":1,"x":2}"#]);
    assert_eq!(session.retryable(&CLIENT, 1).expect_err("old").code, error_code::TRANSACTION_TOO_OLD);
    let late = increment(&write, r#"{"_id":1}"#, false, 9).expect_err("the session went on");
    assert_eq!(late.code, error_code::TRANSACTION_TOO_OLD);
}

#[test]
fn what_changed_nothing_is_tried_again() {
    let session = database().session();
    let write = numbered(&session, 1);
    assert_eq!(increment(&write, r#"{"_id":1}"#, false, 0).expect("updates").matched, 0);
    insert(&session, &[r#"{"_id":1,"x":0}"#]);
    assert_eq!(increment(&write, r#"{"_id":1}"#, false, 0).expect("updates").matched, 1);
}

#[test]
fn deletes_and_find_and_modify_are_done_once() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1,"x":1}"#, r#"{"_id":2,"x":1}"#, r#"{"_id":3,"x":1}"#]);
    let write = numbered(&session, 1);
    let (any, filter) = (doc("{}"), doc(r#"{"x":1}"#));
    let mut delete = DeleteOperation::new(namespace(), any.as_raw());
    delete.statement = Some(0);
    let mut remove = FindAndModifyOperation::new(namespace(), filter.as_raw(), Modification::Remove);
    remove.statement = Some(1);
    for _ in 0..2 {
        assert_eq!(write.delete(&delete).expect("deletes").deleted, 1);
        let removed = write.find_and_modify(&remove).expect("removes");
        assert!(removed.matched);
        assert_eq!(json(removed.document.expect("returned").as_raw()), r#"{"_id":2,"x":1}"#);
    }
    assert_eq!(find(&session, "{}"), [r#"{"_id":3,"x":1}"#]);
    delete.statement = Some(1);
    assert_eq!(write.delete(&delete).expect_err("another kind").code, error_code::RETRIED_AS_ANOTHER);
}

#[test]
fn an_insert_goes_on_where_it_stopped() {
    let session = database().session();
    insert(&session, &[r#"{"_id":2}"#]);
    let write = numbered(&session, 1);
    let documents = [r#"{"_id":1}"#, r#"{"_id":2}"#, r#"{"_id":3}"#, r#"{"_id":4}"#];
    let first = insert_statements(&write, &documents, &[0, 1, 2, 3], true);
    assert_eq!((first.inserted, first.errors.len()), (1, 1));
    let second = insert_statements(&write, &documents, &[0, 1, 2, 3], false);
    assert_eq!((second.inserted, second.errors.len(), second.errors[0].index), (3, 1, 1));
    let third = insert_statements(&write, &documents, &[0, 1, 2, 3], false);
    assert_eq!((third.inserted, third.errors.len()), (3, 1));
    assert_eq!(find(&session, "{}").len(), 4);
}

#[test]
fn records_live_with_their_writes_and_no_longer() {
    let vfs = Arc::new(MemoryVfs::new());
    let clock = Arc::new(ManualClock::new(1_700_000_000));
    let open = || {
        let mut options = options();
        options.store.clock = Arc::clone(&clock) as _;
        Database::open_with(Arc::clone(&vfs) as _, Path::new("/db"), options).expect("opens")
    };
    let database = open();
    let session = database.session();
    insert(&session, &[r#"{"_id":1,"x":0}"#]);
    let write = numbered(&session, 7);
    increment(&write, r#"{"_id":1}"#, false, 0).expect("updates");
    insert_statements(&write, &[r#"{"_id":5}"#, r#"{"_id":6}"#], &[1, 2], true);
    drop((session, write));
    database.close().expect("closes");
    drop(database);
    let database = open();
    let session = database.session();
    let write = numbered(&session, 7);
    assert_eq!(increment(&write, r#"{"_id":1}"#, false, 0).expect("known").modified, 1);
    assert_eq!(insert_statements(&write, &[r#"{"_id":6}"#], &[2], true).inserted, 1);
    assert_eq!(find(&session, r#"{"_id":1}"#), [r#"{"_id":1,"x":1}"#]);
    assert_eq!(find(&session, "{}").len(), 3);
    drop(write);
    clock.advance_micros(31 * 60 * 1_000_000);
    session.retryable(&[2; 16], 1).expect("somebody comes by");
    increment(&numbered(&session, 1), r#"{"_id":1}"#, false, 0)
        .expect("a session that was forgotten begins anew");
    assert_eq!(find(&session, r#"{"_id":1}"#), [r#"{"_id":1,"x":2}"#]);
}

#[test]
fn sessions_that_only_read_are_forgotten_too() {
    let clock = Arc::new(ManualClock::new(1_700_000_000));
    let mut options = options();
    options.store.clock = Arc::clone(&clock) as _;
    let database = Database::in_memory(options).expect("opens");
    let session = database.session();
    let stage = doc(r#"{"$listLocalSessions":{}}"#);
    let count = || {
        let stages = vec![ValueRef::Document(stage.as_raw())];
        let target = AggregateTarget::Database("admin".to_owned());
        let mut cursor = session.aggregate(&AggregateOperation::new(target, stages)).expect("lists");
        cursor.next_batch(1_000, 1 << 20).expect("reads").documents.len()
    };
    for number in 0..9_u8 {
        database.use_logical_session(&[number; 16]).expect("begins");
    }
    assert_eq!(count(), 9);
    clock.advance_micros(31 * 60 * 1_000_000);
    database.use_logical_session(&[99; 16]).expect("begins");
    assert_eq!(count(), 1);
}
