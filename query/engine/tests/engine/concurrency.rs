//! Several threads at once: no update is lost, no duplicate gets in, no index misses a document.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use sheaf_document::RawDocumentBuf;
use sheaf_engine::operation::InsertOperation;
use sheaf_engine::{Database, DatabaseOptions, error_code};
use sheaf_storage::{BackgroundWork, StoreOptions};

use crate::support::{create_index, delete, doc, find, insert, namespace, update};

fn database() -> Database {
    let store = StoreOptions {
        background: BackgroundWork::Threads,
        memtable_bytes: 64 << 10,
        ..StoreOptions::default()
    };
    Database::in_memory(DatabaseOptions { store, ..DatabaseOptions::default() }).expect("opens")
}

#[test]
fn increments_of_one_document_add_up() {
    let database = database();
    insert(&database.session(), &[r#"{"_id":1,"n":0}"#]);
    create_index(&database.session(), r#"{"key": {"n": 1}, "name": "n_1"}"#).expect("creates");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let session = database.session();
                for _ in 0..50 {
                    let outcome = update(&session, r#"{"_id": 1}"#, r#"{"$inc": {"n": 1}}"#, false, false);
                    assert_eq!(outcome.expect("updates").modified, 1);
                }
            });
        }
    });
    let session = database.session();
    assert_eq!(find(&session, r#"{"n": 200}"#), [r#"{"_id":1,"n":200}"#]);
    assert!(find(&session, r#"{"n": {"$lt": 200}}"#).is_empty());
}

/// More documents than one part of a write to many has.
fn fill_many(database: &Database) {
    let documents: Vec<RawDocumentBuf> =
        (0..2_500).map(|id| doc(&format!(r#"{{"_id":{id},"n":0,"is_free":true}}"#))).collect();
    let raw = documents.iter().map(RawDocumentBuf::as_raw).collect();
    database.session().insert(&InsertOperation::new(namespace(), raw)).expect("inserts");
}

#[test]
fn of_several_updates_of_many_one_gets_each_document() {
    let database = database();
    fill_many(&database);
    let (start, modified) = (Barrier::new(3), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                start.wait();
                let take = r#"{"$set": {"is_free": false}, "$inc": {"n": 1}}"#;
                let outcome = update(&database.session(), r#"{"is_free": true}"#, take, true, false);
                modified.fetch_add(outcome.expect("updates").modified, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(modified.into_inner(), 2_500);
    assert!(find(&database.session(), r#"{"n": {"$ne": 1}}"#).is_empty());
}

#[test]
fn a_delete_of_many_spares_what_changed_meanwhile() {
    let database = database();
    fill_many(&database);
    let start = Barrier::new(2);
    let (modified, deleted) = thread::scope(|scope| {
        let take = scope.spawn(|| {
            start.wait();
            // Of the part that the delete comes to last.
            let (last, take) = (r#"{"_id": {"$gte": 2000}}"#, r#"{"$set": {"is_free": false}}"#);
            update(&database.session(), last, take, true, false).expect("updates").modified
        });
        start.wait();
        let deleted = delete(&database.session(), r#"{"is_free": true}"#, true).expect("deletes");
        (take.join().expect("no panic"), deleted)
    });
    let taken = find(&database.session(), r#"{"is_free": false}"#).len();
    assert_eq!((u64::try_from(taken).expect("few"), modified + deleted), (modified, 2_500));
    assert!(find(&database.session(), r#"{"is_free": true}"#).is_empty());
}

#[test]
fn of_several_inserts_of_one_key_one_gets_in() {
    let database = database();
    create_index(&database.session(), r#"{"key": {"k": 1}, "name": "k_1", "unique": true}"#)
        .expect("creates");
    let inserted = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (database, inserted) = (&database, &inserted);
            scope.spawn(move || {
                let session = database.session();
                for k in 0..50 {
                    let outcome = insert(&session, &[&format!(r#"{{"_id": "{thread}-{k}", "k": {k}}}"#)]);
                    inserted.fetch_add(outcome.inserted, Ordering::Relaxed);
                    let refused = outcome.errors.first().map(|refused| refused.error.code);
                    assert!(refused.is_none_or(|code| code == error_code::DUPLICATE_KEY), "{refused:?}");
                }
            });
        }
    });
    assert_eq!(inserted.into_inner(), 50);
    assert_eq!(find(&database.session(), r#"{"k": {"$gte": 0}}"#).len(), 50);
}

#[test]
fn upserts_of_one_id_make_one_document() {
    let database = database();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let session = database.session();
                for id in 0..25 {
                    let filter = format!(r#"{{"_id": {id}}}"#);
                    update(&session, &filter, r#"{"$inc": {"n": 1}}"#, false, true).expect("upserts");
                }
            });
        }
    });
    let session = database.session();
    assert_eq!(find(&session, "{}").len(), 25);
    assert_eq!(find(&session, r#"{"n": 4}"#).len(), 25);
}

#[test]
fn an_index_that_is_made_meanwhile_has_every_document() {
    let database = database();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..3 {
            let (database, is_done) = (&database, &is_done);
            scope.spawn(move || {
                let session = database.session();
                let mut n = 0;
                while !is_done.load(Ordering::Relaxed) {
                    insert(&session, &[&format!(r#"{{"_id": "{thread}-{n}", "v": {n}, "t": [{n}, "x"]}}"#)]);
                    if n % 5 == 4 {
                        let gone = n - 2;
                        delete(&session, &format!(r#"{{"_id": "{thread}-{gone}"}}"#), false)
                            .expect("deletes");
                    }
                    n += 1;
                }
            });
        }
        let session = database.session();
        for name in ["v", "t"] {
            thread::yield_now();
            let index = format!(r#"{{"key": {{"{name}": 1}}, "name": "{name}"}}"#);
            create_index(&session, &index).expect("creates");
        }
        is_done.store(true, Ordering::Relaxed);
    });
    let session = database.session();
    let all = find(&session, r#"{"$nor": [{"a": 1}]}"#).len();
    assert_eq!(find(&session, r#"{"v": {"$gte": 0}}"#).len(), all);
    assert_eq!(find(&session, r#"{"t": "x"}"#).len(), all);
}

#[test]
fn dropping_and_inserting_at_once_leaves_whole_collections() {
    let database = database();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..2 {
            let (database, is_done) = (&database, &is_done);
            scope.spawn(move || {
                let session = database.session();
                let mut n = 0;
                while !is_done.load(Ordering::Relaxed) {
                    let documents = [doc(&format!(r#"{{"_id": "{thread}-{n}"}}"#))];
                    let raw = documents.iter().map(RawDocumentBuf::as_raw).collect();
                    session.insert(&InsertOperation::new(namespace(), raw)).expect("inserts");
                    n += 1;
                }
            });
        }
        let session = database.session();
        for _ in 0..20 {
            thread::yield_now();
            session.drop_collection(&namespace()).expect("drops");
        }
        is_done.store(true, Ordering::Relaxed);
    });
    let session = database.session();
    session.drop_collection(&namespace()).expect("drops");
    assert!(find(&session, "{}").is_empty());
}
