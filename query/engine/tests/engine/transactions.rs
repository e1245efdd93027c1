//! Transactions over several operations.

use std::path::Path;
use std::sync::Arc;

use sheaf_engine::operation::{
    AggregateOperation, AggregateTarget, CreateCollectionOperation, FindOperation,
};
use sheaf_engine::{Database, ErrorCode, Namespace, Result, Session, error_code};
use sheaf_storage::{ManualClock, MemoryVfs};

use crate::support::{create_index, database, delete, doc, find, insert, namespace, options, update};

const CLIENT: [u8; 16] = [1; 16];
const OTHER: [u8; 16] = [2; 16];

fn begin(session: &Session, client: &[u8; 16], number: i64) -> Session {
    session.begin_transaction(client, number, None).expect("begins")
}

fn code<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorCode {
    outcome.expect_err("refused").code
}

#[test]
fn writes_are_seen_inside_at_once_and_outside_after_the_commit() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1,"x":1}"#, r#"{"_id":2,"x":1}"#]);
    let inside = begin(&session, &CLIENT, 1);
    insert(&inside, &[r#"{"_id":3,"x":1}"#]);
    update(&inside, r#"{"_id":1}"#, r#"{"$set":{"x":9}}"#, false, false).expect("updates");
    assert_eq!(delete(&inside, r#"{"_id":2}"#, false).expect("deletes"), 1);
    insert(&session, &[r#"{"_id":4,"x":1}"#]);
    assert_eq!(find(&inside, "{}"), [r#"{"_id":1,"x":9}"#, r#"{"_id":3,"x":1}"#], "4 is later");
    assert_eq!(find(&session, "{}").len(), 3);
    let again = session.continue_transaction(&CLIENT, 1).expect("goes on");
    assert_eq!(find(&again, r#"{"x":1}"#), [r#"{"_id":3,"x":1}"#]);
    session.commit_transaction(&CLIENT, 1, None).expect("commits");
    assert_eq!(find(&session, "{}"), [r#"{"_id":1,"x":9}"#, r#"{"_id":3,"x":1}"#, r#"{"_id":4,"x":1}"#]);
}

#[test]
fn an_abort_leaves_nothing() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1}"#]);
    let inside = begin(&session, &CLIENT, 1);
    insert(&inside, &[r#"{"_id":2}"#]);
    session.abort_transaction(&CLIENT, 1).expect("aborts");
    assert_eq!(find(&session, "{}").len(), 1);
    assert_eq!(code(session.continue_transaction(&CLIENT, 1)), error_code::NO_SUCH_TRANSACTION);
    assert_eq!(code(session.commit_transaction(&CLIENT, 1, None)), error_code::NO_SUCH_TRANSACTION);
    assert_eq!(
        code(update(&inside, "{}", r#"{"$set":{"x":1}}"#, false, false)),
        error_code::NO_SUCH_TRANSACTION
    );
    assert_eq!(session.database().open_transactions(), 0);
}

#[test]
fn whoever_writes_second_loses_at_once_or_at_the_commit() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1,"x":0}"#, r#"{"_id":2,"x":0}"#]);
    let one = begin(&session, &CLIENT, 1);
    let other = begin(&session, &OTHER, 1);
    update(&session, r#"{"_id":2}"#, r#"{"$inc":{"x":1}}"#, false, false).expect("updates");
    let late = update(&one, r#"{"_id":2}"#, r#"{"$inc":{"x":1}}"#, false, false);
    assert_eq!(code(late), error_code::WRITE_CONFLICT, "the other write was committed already");
    session.abort_transaction(&CLIENT, 1).expect("aborts");
    let one = begin(&session, &CLIENT, 2);
    update(&one, r#"{"_id":1}"#, r#"{"$inc":{"x":1}}"#, false, false).expect("updates");
    let late = update(&other, r#"{"_id":1}"#, r#"{"$inc":{"x":10}}"#, false, false);
    assert_eq!(code(late), error_code::WRITE_CONFLICT, "the first has written it and runs still");
    session.abort_transaction(&OTHER, 1).expect("aborts");
    session.commit_transaction(&CLIENT, 2, None).expect("commits");
    assert_eq!(find(&session, r#"{"_id":1}"#), [r#"{"_id":1,"x":1}"#]);
    let again = begin(&session, &OTHER, 2);
    update(&again, r#"{"_id":1}"#, r#"{"$inc":{"x":10}}"#, false, false).expect("the first has ended");
    update(&session, r#"{"_id":1}"#, r#"{"$inc":{"x":100}}"#, false, false)
        .expect("a write by itself does not ask");
    assert_eq!(code(session.commit_transaction(&OTHER, 2, None)), error_code::WRITE_CONFLICT);
    assert_eq!(find(&session, r#"{"_id":1}"#), [r#"{"_id":1,"x":101}"#]);
    assert_eq!(code(session.commit_transaction(&OTHER, 2, None)), error_code::NO_SUCH_TRANSACTION);
}

#[test]
fn what_a_transaction_claims_is_free_when_it_ends_however_it_does() {
    let session = database().session();
    create_index(&session, r#"{"key": {"e": 1}, "name": "e", "unique": true}"#).expect("creates");
    insert(&session, &[r#"{"_id":1,"e":0}"#]);
    let inserts = |inside: &Session, document: &str| {
        insert(inside, &[document]).errors.pop().map(|error| error.error.code)
    };
    for (number, ends) in [(2, "abort"), (4, "commit"), (6, "end of the session")] {
        let one = begin(&session, &CLIENT, number);
        let other = begin(&session, &OTHER, number);
        let document = |id: i64, e: i64| format!(r#"{{"_id":{id},"e":{e}}}"#);
        assert_eq!(inserts(&one, &document(10 * number, number)), None, "{ends}");
        // Another document, but the same value of a unique index.
        let late = doc(&document(10 * number + 1, number));
        let late = sheaf_engine::operation::InsertOperation::new(namespace(), vec![late.as_raw()]);
        assert_eq!(code(other.insert(&late)), error_code::WRITE_CONFLICT, "{ends}");
        session.abort_transaction(&OTHER, number).expect("aborts");
        match ends {
            "abort" => session.abort_transaction(&CLIENT, number).expect("aborts"),
            "commit" => session.commit_transaction(&CLIENT, number, None).expect("commits"),
            _ => session.database().end_logical_session(&CLIENT),
        }
        let third = begin(&session, &OTHER, number + 1);
        let expected = (ends == "commit").then_some(error_code::DUPLICATE_KEY);
        assert_eq!(inserts(&third, &document(10 * number, number)), expected, "{ends}");
        session.abort_transaction(&OTHER, number + 1).expect("aborts");
    }
}

#[test]
fn operations_that_are_done_together_wait_for_each_other() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1,"x":0}"#]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let own = session.database().session();
                for _ in 0..25 {
                    let twice = |own: &Session| {
                        update(own, r#"{"_id":1}"#, r#"{"$inc":{"x":1}}"#, false, false)?;
                        update(own, r#"{"_id":1}"#, r#"{"$inc":{"x":1}}"#, false, false)
                    };
                    own.atomically(None, twice).expect("in the end");
                }
            });
        }
    });
    assert_eq!(find(&session, "{}"), [r#"{"_id":1,"x":200}"#]);
}

#[test]
fn a_unique_index_refuses_what_a_transaction_wrote_too() {
    let session = database().session();
    create_index(&session, r#"{"key": {"e": 1}, "name": "e", "unique": true}"#).expect("creates");
    let inside = begin(&session, &CLIENT, 1);
    insert(&inside, &[r#"{"_id":1,"e":1}"#]);
    let outcome = insert(&inside, &[r#"{"_id":2,"e":1}"#]);
    assert_eq!(outcome.errors[0].error.code, error_code::DUPLICATE_KEY);
    insert(&session, &[r#"{"_id":3,"e":1}"#]);
    assert_eq!(code(session.commit_transaction(&CLIENT, 1, None)), error_code::WRITE_CONFLICT);
}

#[test]
fn an_update_of_many_meets_no_document_twice() {
    let session = database().session();
    create_index(&session, r#"{"key": {"x": 1}, "name": "x"}"#).expect("creates");
    let documents: Vec<String> = (0..2_500).map(|n| format!(r#"{{"_id":{n},"x":{n}}}"#)).collect();
    let inside = begin(&session, &CLIENT, 1);
    insert(&inside, &documents.iter().map(String::as_str).collect::<Vec<_>>());
    let outcome =
        update(&inside, r#"{"x":{"$gte":0}}"#, r#"{"$inc":{"x":10000}}"#, true, false).expect("updates");
    assert_eq!((outcome.matched, outcome.modified), (2_500, 2_500));
    assert_eq!(delete(&inside, r#"{"x":{"$gte":20000}}"#, true).expect("deletes"), 0);
    assert_eq!(delete(&inside, r#"{"x":{"$gte":10000}}"#, true).expect("deletes"), 2_500);
}

#[test]
fn collections_and_indexes_come_with_the_commit() {
    let session = database().session();
    let fresh = Namespace::new("test", "fresh").expect("valid");
    let inside = begin(&session, &CLIENT, 1);
    let operation = CreateCollectionOperation { namespace: fresh.clone(), options: Default::default() };
    inside.create_collection(&operation).expect("creates");
    create_index(&inside, r#"{"key": {"x": 1}, "name": "x"}"#).expect("indexes a new collection");
    insert(&inside, &[r#"{"_id":1,"x":[1,2]}"#]);
    assert_eq!(find(&inside, r#"{"x":2}"#).len(), 1, "through the new index");
    let late = create_index(&inside, r#"{"key": {"y": 1}, "name": "y"}"#);
    assert_eq!(code(late), error_code::OPERATION_NOT_SUPPORTED_IN_TRANSACTION, "not empty any more");
    assert!(session.collection_info(&fresh).is_none() && session.collection_info(&namespace()).is_none());
    session.commit_transaction(&CLIENT, 1, None).expect("commits");
    assert!(session.collection_info(&fresh).is_some());
    assert_eq!(find(&session, r#"{"x":2}"#).len(), 1);
    assert_eq!(session.list_indexes(&namespace()).expect("lists").len(), 2);
    let inside = begin(&session, &CLIENT, 2);
    let late = create_index(&inside, r#"{"key": {"y": 1}, "name": "y"}"#);
    assert_eq!(code(late), error_code::OPERATION_NOT_SUPPORTED_IN_TRANSACTION, "it was there before");
    assert!(
        create_index(&inside, r#"{"key": {"x": 1}, "name": "x"}"#).is_ok(),
        "an index that exists is fine"
    );
}

#[test]
fn a_collection_that_somebody_else_created_is_a_conflict_and_an_abort_creates_none() {
    let session = database().session();
    let inside = begin(&session, &CLIENT, 1);
    insert(&inside, &[r#"{"_id":1}"#]);
    session.abort_transaction(&CLIENT, 1).expect("aborts");
    assert!(session.collection_info(&namespace()).is_none());
    let inside = begin(&session, &CLIENT, 2);
    insert(&inside, &[r#"{"_id":1}"#]);
    insert(&session, &[r#"{"_id":2}"#]);
    assert_eq!(code(session.commit_transaction(&CLIENT, 2, None)), error_code::WRITE_CONFLICT);
    assert_eq!(find(&session, "{}"), [r#"{"_id":2}"#]);
}

#[test]
fn a_changed_collection_is_read_as_it_was_and_written_no_more() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1,"x":5}"#]);
    let inside = begin(&session, &CLIENT, 1);
    assert_eq!(find(&inside, "{}").len(), 1);
    create_index(&session, r#"{"key": {"x": 1}, "name": "x"}"#).expect("creates");
    assert_eq!(find(&inside, r#"{"x":5}"#).len(), 1, "not through an index that is newer");
    insert(&inside, &[r#"{"_id":2,"x":6}"#]);
    assert_eq!(code(session.commit_transaction(&CLIENT, 1, None)), error_code::WRITE_CONFLICT);
    assert!(find(&session, r#"{"x":6}"#).is_empty());
    let inside = begin(&session, &CLIENT, 2);
    insert(&inside, &[r#"{"_id":3,"x":7}"#]);
    session.drop_collection(&namespace()).expect("drops");
    assert_eq!(find(&inside, "{}").len(), 2, "dropped later");
    assert_eq!(code(session.commit_transaction(&CLIENT, 2, None)), error_code::WRITE_CONFLICT);
    assert!(session.collection_info(&namespace()).is_none());
}

#[test]
fn numbers_grow_and_are_used_once() {
    let session = database().session();
    begin(&session, &CLIENT, 5);
    assert_eq!(code(session.begin_transaction(&CLIENT, 5, None)), error_code::TRANSACTION_STARTED_BEFORE);
    assert_eq!(code(session.begin_transaction(&CLIENT, 4, None)), error_code::TRANSACTION_TOO_OLD);
    assert_eq!(code(session.continue_transaction(&CLIENT, 4)), error_code::TRANSACTION_TOO_OLD);
    assert_eq!(code(session.continue_transaction(&CLIENT, 6)), error_code::NO_SUCH_TRANSACTION);
    assert_eq!(code(session.retryable(&CLIENT, 5)), error_code::INCOMPLETE_TRANSACTION_HISTORY);
    begin(&session, &CLIENT, 6);
    assert_eq!(session.database().open_transactions(), 1, "the older one was aborted");
    session.commit_transaction(&CLIENT, 6, None).expect("commits");
    session.commit_transaction(&CLIENT, 6, None).expect("commits again");
    assert_eq!(code(session.abort_transaction(&CLIENT, 6)), error_code::TRANSACTION_COMMITTED);
    assert_eq!(code(session.continue_transaction(&CLIENT, 6)), error_code::TRANSACTION_COMMITTED);
    assert_eq!(code(session.continue_transaction(&OTHER, 1)), error_code::NO_SUCH_TRANSACTION);
}

#[test]
fn a_transaction_ends_with_its_time_and_with_its_session() {
    let mut options = options();
    let clock = Arc::new(ManualClock::new(1_700_000_000));
    options.store.clock = Arc::clone(&clock) as _;
    let session = Database::in_memory(options).expect("opens").session();
    insert(&session, &[r#"{"_id":1}"#]);
    begin(&session, &CLIENT, 1);
    clock.advance_micros(59 * 1_000_000);
    session.continue_transaction(&CLIENT, 1).expect("a second is left");
    clock.advance_micros(1_000_000);
    assert_eq!(code(session.continue_transaction(&CLIENT, 1)), error_code::NO_SUCH_TRANSACTION);
    session.database().set_transaction_lifetime(std::time::Duration::from_secs(5));
    begin(&session, &CLIENT, 2);
    clock.advance_micros(60 * 1_000_000);
    begin(&session, &OTHER, 1);
    assert_eq!(session.database().open_transactions(), 1, "whoever comes by ends what is over time");
    session.database().end_logical_session(&OTHER);
    assert_eq!(code(session.commit_transaction(&OTHER, 1, None)), error_code::NO_SUCH_TRANSACTION);
}

#[test]
fn what_a_transaction_may_write_is_limited() {
    let options = sheaf_engine::DatabaseOptions { transaction_bytes_max: 1_000, ..options() };
    let session = Database::in_memory(options).expect("opens").session();
    insert(&session, &[r#"{"_id":0}"#]);
    let inside = begin(&session, &CLIENT, 1);
    let document = doc(&format!(r#"{{"text":"{}"}}"#, "x".repeat(1_000)));
    let operation = sheaf_engine::operation::InsertOperation::new(namespace(), vec![document.as_raw()]);
    assert_eq!(code(inside.insert(&operation)), error_code::TRANSACTION_TOO_LARGE);
}

#[test]
fn cursors_and_pipelines_read_the_transaction() {
    let session = database().session();
    let inside = begin(&session, &CLIENT, 1);
    insert(&inside, &[r#"{"_id":1,"x":1}"#, r#"{"_id":2,"x":2}"#, r#"{"_id":3,"x":3}"#]);
    let stage = doc(r#"{"$group":{"_id":null,"sum":{"$sum":"$x"}}}"#);
    let stages = vec![sheaf_document::ValueRef::Document(stage.as_raw())];
    let operation = AggregateOperation::new(AggregateTarget::Collection(namespace()), stages);
    let batch = inside.aggregate(&operation).expect("runs").next_batch(10, 1 << 20).expect("reads");
    assert_eq!(crate::support::json(batch.documents[0].as_raw()), r#"{"_id":null,"sum":6}"#);
    let filter = doc("{}");
    let mut cursor = inside.find(&FindOperation::new(namespace(), filter.as_raw())).expect("finds");
    assert_eq!(cursor.next_batch(1, 1 << 20).expect("reads").documents.len(), 1);
    session.commit_transaction(&CLIENT, 1, None).expect("commits");
    assert_eq!(cursor.next_batch(9, 1 << 20).expect("reads on").documents.len(), 2);
}

#[test]
fn a_moment_is_read_without_indexes_that_are_newer() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1,"x":1}"#]);
    let at = session.at(None).expect("binds");
    update(&session, "{}", r#"{"$set":{"x":2}}"#, false, false).expect("updates");
    create_index(&session, r#"{"key": {"x": 1}, "name": "x"}"#).expect("creates");
    assert_eq!(find(&at, r#"{"x":1}"#).len(), 1);
    let again = session.at(at.moment()).expect("binds to the same moment");
    assert_eq!(find(&again, r#"{"x":1}"#).len(), 1);
    assert!(find(&again, r#"{"x":2}"#).is_empty());
    assert_eq!(find(&session, r#"{"x":2}"#).len(), 1);
}

#[test]
fn a_commit_is_known_after_opening_again() {
    let vfs = Arc::new(MemoryVfs::new());
    let open = || Database::open_with(Arc::clone(&vfs) as _, Path::new("/db"), options()).expect("opens");
    let database = open();
    let session = database.session();
    create_index(&begin(&session, &CLIENT, 3), r#"{"key": {"x": 1}, "name": "x"}"#).expect("creates");
    let inside = session.continue_transaction(&CLIENT, 3).expect("goes on");
    insert(&inside, &[r#"{"_id":1,"x":1}"#]);
    session.commit_transaction(&CLIENT, 3, None).expect("commits");
    begin(&session, &OTHER, 1);
    drop((session, inside));
    database.close().expect("closes");
    drop(database);
    let session = open().session();
    assert_eq!(find(&session, r#"{"x":1}"#).len(), 1);
    session.commit_transaction(&CLIENT, 3, None).expect("committed before");
    assert_eq!(code(session.begin_transaction(&CLIENT, 3, None)), error_code::TRANSACTION_STARTED_BEFORE);
    assert_eq!(code(session.begin_transaction(&CLIENT, 2, None)), error_code::TRANSACTION_TOO_OLD);
    assert_eq!(code(session.continue_transaction(&OTHER, 1)), error_code::NO_SUCH_TRANSACTION);
}
