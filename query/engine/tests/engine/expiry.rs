//! Documents that expire.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sheaf_engine::catalog::CollectionOptions;
use sheaf_engine::operation::CreateCollectionOperation;
use sheaf_engine::{Database, DatabaseOptions, Session};
use sheaf_storage::{Clock, ManualClock, MemoryVfs, StoreOptions};

use crate::support::{create_index, doc, find, insert, namespace, options};

/// Seconds since 1970 that the clock starts at.
const NOW: i64 = 1_700_000_000;

fn at(clock: &Arc<ManualClock>) -> Database {
    let mut options = options();
    options.store.clock = Arc::clone(clock) as Arc<dyn Clock>;
    Database::in_memory(options).expect("opens")
}

/// A document whose field `at` is a date so many seconds before the start.
fn aged(id: i32, seconds: i64) -> String {
    let millis = (NOW - seconds) * 1_000;
    format!(r#"{{"_id":{id},"at":{{"$date":{{"$numberLong":"{millis}"}}}}}}"#)
}

fn ids(session: &Session) -> Vec<i32> {
    let found = find(session, "{}");
    let id = |text: &String| match doc(text).as_raw().get("_id") {
        Some(sheaf_document::ValueRef::Int32(id)) => id,
        other => panic!("no number: {other:?}"),
    };
    found.iter().map(id).collect()
}

#[test]
fn documents_expire_by_the_clock() {
    let clock = Arc::new(ManualClock::new(u32::try_from(NOW).expect("fits")));
    let database = at(&clock);
    let session = database.session();
    create_index(&session, r#"{"key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 100}"#)
        .expect("creates");
    insert(&session, &[&aged(1, 200), &aged(2, 100), &aged(3, 99), &aged(4, -50)]);
    let pass = database.delete_expired();
    assert_eq!((pass.deleted, pass.rounds), (2, 1));
    assert!(pass.failures.is_empty());
    assert_eq!(ids(&session), [3, 4]);
    clock.advance_micros(1_000_000);
    assert_eq!(database.delete_expired().deleted, 1);
    clock.advance_micros(148_000_000);
    assert_eq!(database.delete_expired().deleted, 0);
    clock.advance_micros(1_000_000);
    assert_eq!(database.delete_expired().deleted, 1);
    assert!(ids(&session).is_empty());
    let statistics = database.expiry_statistics();
    assert_eq!((statistics.passes, statistics.deleted, statistics.failures), (4, 4, 0));
}

#[test]
fn only_dates_expire_and_of_an_array_the_earliest() {
    let clock = Arc::new(ManualClock::new(u32::try_from(NOW).expect("fits")));
    let database = at(&clock);
    let session = database.session();
    create_index(&session, r#"{"key": {"at": -1}, "name": "at", "expireAfterSeconds": 0}"#).expect("creates");
    let old = (NOW - 1) * 1_000;
    let new = (NOW + 1_000) * 1_000;
    insert(
        &session,
        &[
            r#"{"_id":1,"at":5}"#,
            r#"{"_id":2,"at":null}"#,
            r#"{"_id":3}"#,
            r#"{"_id":4,"at":"2001-01-01"}"#,
            r#"{"_id":5,"at":{"$timestamp":{"t":1,"i":1}}}"#,
            &format!(
                r#"{{"_id":6,"at":[{{"$date":{{"$numberLong":"{new}"}}}},{{"$date":{{"$numberLong":"{old}"}}}},7]}}"#
            ),
            &format!(r#"{{"_id":7,"at":[{{"$date":{{"$numberLong":"{new}"}}}}]}}"#),
            r#"{"_id":8,"at":[]}"#,
        ],
    );
    assert_eq!(database.delete_expired().deleted, 1);
    assert_eq!(ids(&session), [1, 2, 3, 4, 5, 7, 8]);
}

#[test]
fn a_partial_index_expires_its_own_documents() {
    let clock = Arc::new(ManualClock::new(u32::try_from(NOW).expect("fits")));
    let database = at(&clock);
    let session = database.session();
    let partial = r#"{"key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 1, "partialFilterExpression": {"k": {"$gt": 1}}}"#;
    create_index(&session, partial).expect("creates");
    let with = |id: i32, k: i32| aged(id, 50).replace("\"at\"", &format!("\"k\":{k},\"at\""));
    insert(&session, &[&with(1, 1), &with(2, 2), &aged(3, 50)]);
    let pass = database.delete_expired();
    assert!(pass.failures.is_empty(), "{:?}", pass.failures);
    assert_eq!(pass.deleted, 1);
    assert_eq!(ids(&session), [1, 3]);
}

#[test]
fn a_hidden_index_still_expires_and_a_changed_time_counts() {
    let clock = Arc::new(ManualClock::new(u32::try_from(NOW).expect("fits")));
    let database = at(&clock);
    let session = database.session();
    create_index(
        &session,
        r#"{"key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 1000, "hidden": true}"#,
    )
    .expect("creates");
    insert(&session, &[&aged(1, 500)]);
    assert_eq!(database.delete_expired().deleted, 0);
    session
        .change_index(&namespace(), "at_1", |index| {
            index.expire_after_seconds = Some(400);
            Ok(())
        })
        .expect("changes");
    assert_eq!(database.delete_expired().deleted, 1);
}

#[test]
fn clustered_collections_expire_by_id() {
    let clock = Arc::new(ManualClock::new(u32::try_from(NOW).expect("fits")));
    let database = at(&clock);
    let session = database.session();
    let options = CollectionOptions {
        clustered_index: Some(doc(r#"{"v": 2, "key": {"_id": 1}, "name": "_id_", "unique": true}"#)),
        expire_after_seconds: Some(10),
        ..CollectionOptions::default()
    };
    session
        .create_collection(&CreateCollectionOperation { namespace: namespace(), options })
        .expect("creates");
    let date =
        |seconds: i64| format!(r#"{{"_id":{{"$date":{{"$numberLong":"{}"}}}}}}"#, (NOW - seconds) * 1_000);
    insert(&session, &[&date(11), &date(9), r#"{"_id":1}"#]);
    assert_eq!(database.delete_expired().deleted, 1);
    assert_eq!(find(&session, "{}").len(), 2);
}

#[test]
fn many_documents_go_in_several_rounds() {
    let clock = Arc::new(ManualClock::new(u32::try_from(NOW).expect("fits")));
    let database = at(&clock);
    let session = database.session();
    create_index(&session, r#"{"key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 1}"#)
        .expect("creates");
    let documents: Vec<String> = (0..51_000).map(|id| aged(id, 50)).collect();
    insert(&session, &documents.iter().map(String::as_str).collect::<Vec<_>>());
    let pass = database.delete_expired();
    assert_eq!((pass.deleted, pass.rounds), (51_000, 2));
}

#[test]
fn the_databases_own_thread_runs_passes_and_ends_with_it() {
    let clock = Arc::new(ManualClock::new(u32::try_from(NOW).expect("fits")));
    let store = StoreOptions { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..StoreOptions::default() };
    let options =
        DatabaseOptions { store, ttl_interval: Duration::from_millis(1), ..DatabaseOptions::default() };
    let vfs = Arc::new(MemoryVfs::new());
    let database = Database::open_with(vfs, Path::new("/db"), options).expect("opens");
    let session = database.session();
    create_index(&session, r#"{"key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 1}"#)
        .expect("creates");
    insert(&session, &[&aged(1, 50)]);
    let is_done = |_: &u32| !find(&session, "{}").is_empty();
    let waited = (0..20_000u32).take_while(is_done).inspect(|_| std::thread::yield_now()).count();
    assert!(waited < 20_000, "nothing was deleted");
    assert_eq!(database.expiry_schedule(), (Duration::from_millis(1), true));
    database.set_expiry_schedule(Duration::from_secs(3_600), false);
    assert_eq!(database.expiry_schedule(), (Duration::from_secs(3_600), false));
    database.close().expect("closes");
    drop(session);
    drop(database);
}
