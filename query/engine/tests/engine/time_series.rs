//! Time series: measurements in buckets.

use std::path::Path;
use std::sync::Arc;

use sheaf_document::{RawDocumentBuf, ValueRef};
use sheaf_engine::catalog::CollectionOptions;
use sheaf_engine::operation::{
    AggregateOperation, AggregateTarget, CreateCollectionOperation, ExplainTarget, FindAndModifyOperation,
    InsertOperation, Modification, RenameCollectionOperation,
};
use sheaf_engine::{Database, Namespace, Session, error_code};
use sheaf_storage::{Clock, ManualClock, MemoryVfs};

use crate::support::{
    create_index, database, delete, doc, find, find_with, insert, json, namespace, options, update,
};

fn create(session: &Session, series: &str) {
    let options = CollectionOptions { time_series: Some(doc(series)), ..CollectionOptions::default() };
    let operation = CreateCollectionOperation { namespace: namespace(), options };
    session.create_collection(&operation).expect("creates");
}

fn at(seconds: i64) -> String {
    format!(r#"{{"$date":{{"$numberLong":"{}"}}}}"#, seconds * 1_000)
}

fn measurement(id: i32, seconds: i64, meta: &str) -> String {
    format!(r#"{{"_id":{id},"t":{},"m":{meta},"v":{id}}}"#, at(seconds))
}

fn ids(documents: &[String]) -> Vec<i64> {
    documents
        .iter()
        .map(|text| match doc(text).as_raw().get("_id") {
            Some(ValueRef::Int32(id)) => i64::from(id),
            other => panic!("no number: {other:?}"),
        })
        .collect()
}

fn buckets(session: &Session) -> Vec<String> {
    let everything = doc("{}");
    find_with(session, everything.as_raw(), |operation| {
        operation.namespace = Namespace::new("test", "system.buckets.things").expect("valid");
    })
    .expect("finds")
}

fn insert_all(session: &Session, documents: &[String]) {
    let outcome = insert(session, &documents.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
}

#[test]
fn measurements_share_buckets_by_meta_and_time() {
    let session = database().session();
    create(&session, r#"{"timeField": "t", "metaField": "m"}"#);
    insert_all(&session, &[measurement(1, 70, r#""a""#), measurement(2, 65, r#""a""#)]);
    insert_all(&session, &[measurement(3, 66, r#""b""#), measurement(4, 59, r#""a""#)]);
    insert_all(&session, &[measurement(5, 3_659, r#""a""#), measurement(6, 3_660, r#""a""#)]);
    // a: 60..3660 with 1, 2, 5; 0..3600 with 4; 3660.. with 6. b: one.
    assert_eq!(buckets(&session).len(), 4);
    let mut found = ids(&find(&session, "{}"));
    found.sort_unstable();
    assert_eq!(found, [1, 2, 3, 4, 5, 6]);
    let sort = doc(r#"{"t": 1}"#);
    let sorted = find_with(&session, doc("{}").as_raw(), |find| find.sort = Some(sort.as_raw()));
    assert_eq!(ids(&sorted.expect("finds")), [4, 2, 3, 1, 5, 6]);
    assert_eq!(
        find(&session, r#"{"_id": 2}"#),
        [r#"{"t":{"$date":"1970-01-01T00:01:05Z"},"m":"a","_id":2,"v":2}"#]
    );
}

#[test]
fn metas_are_equal_whatever_the_order_of_their_fields_and_differ_by_type() {
    let session = database().session();
    create(&session, r#"{"timeField": "t", "metaField": "m"}"#);
    insert_all(&session, &[measurement(1, 0, r#"{"x":1,"y":2}"#), measurement(2, 1, r#"{"y":2,"x":1}"#)]);
    insert_all(
        &session,
        &[measurement(3, 2, r#"{"x":1.5,"y":2}"#), measurement(4, 3, "1"), measurement(5, 3, "1.0")],
    );
    insert_all(&session, &[format!(r#"{{"_id":6,"t":{}}}"#, at(5))]);
    assert_eq!(buckets(&session).len(), 5);
    assert_eq!(ids(&find(&session, r#"{"m.x": 1}"#)), [1, 2]);
    assert_eq!(ids(&find(&session, r#"{"m": {"$exists": false}}"#)), [6]);
}

#[test]
fn a_bucket_has_limits_and_out_of_order_measurements_find_theirs() {
    let session = database().session();
    create(&session, r#"{"timeField": "t"}"#);
    let many: Vec<String> =
        (0..2_500).map(|id| format!(r#"{{"_id":{id},"t":{}}}"#, at(i64::from(id) % 50))).collect();
    insert_all(&session, &many);
    assert_eq!(buckets(&session).len(), 3);
    assert_eq!(find(&session, "{}").len(), 2_500);
    let large = "x".repeat(100 << 10);
    let padded = |id: i32| format!(r#"{{"_id":{id},"t":{},"p":"{large}"}}"#, at(10_000));
    insert_all(&session, &[padded(1), padded(2), padded(3)]);
    assert_eq!(buckets(&session).len(), 6);
}

#[test]
fn a_new_process_finds_open_buckets_again() {
    let vfs = Arc::new(MemoryVfs::new());
    let open = || Database::open_with(Arc::clone(&vfs) as _, Path::new("/db"), options()).expect("opens");
    let first = open();
    let session = first.session();
    create(&session, r#"{"timeField": "t", "metaField": "m", "granularity": "minutes"}"#);
    insert_all(&session, &[measurement(1, 100_000, "1"), measurement(2, 100_000, "2")]);
    drop(session);
    first.close().expect("closes");
    drop(first);
    let session = open().session();
    insert_all(&session, &[measurement(3, 100_500, "1"), measurement(4, 100_500, "3")]);
    assert_eq!(buckets(&session).len(), 3);
    assert_eq!(ids(&find(&session, r#"{"m": 1}"#)), [1, 3]);
    let info = session.collection_info(&namespace()).expect("there");
    assert_eq!(
        json(info.options.as_raw()),
        r#"{"timeseries":{"timeField":"t","metaField":"m","granularity":"minutes","bucketMaxSpanSeconds":86400}}"#
    );
}

#[test]
fn a_measurement_needs_a_date() {
    let session = database().session();
    create(&session, r#"{"timeField": "t", "metaField": "m"}"#);
    let outcome = insert(&session, &[&measurement(1, 0, "1"), r#"{"_id":2}"#, &measurement(3, 0, "1")]);
    assert_eq!(outcome.inserted, 1);
    assert_eq!((outcome.errors[0].index, outcome.errors[0].error.code), (1, error_code::BAD_VALUE));
    let documents = [doc(r#"{"t":5}"#), doc(&measurement(4, 0, "1"))];
    let mut unordered =
        InsertOperation::new(namespace(), documents.iter().map(RawDocumentBuf::as_raw).collect());
    unordered.ordered = false;
    assert_eq!(session.insert(&unordered).expect("inserts").inserted, 1);
    assert_eq!(ids(&find(&session, "{}")), [1, 4]);
}

#[test]
fn filters_on_time_and_meta_leave_buckets_out() {
    let session = database().session();
    create(&session, r#"{"timeField": "t", "metaField": "m"}"#);
    let documents: Vec<String> = (0..20).map(|id| measurement(id, i64::from(id) * 3_600, "1")).collect();
    insert_all(&session, &documents);
    let filter = format!(r#"{{"t": {{"$gte": {}, "$lt": {}}}, "m": 1}}"#, at(3_600 * 5), at(3_600 * 8));
    assert_eq!(ids(&find(&session, &filter)), [5, 6, 7]);
    let stage = doc(&format!(r#"{{"$match": {filter}}}"#));
    let pipeline = vec![ValueRef::Document(stage.as_raw())];
    let operation = AggregateOperation::new(AggregateTarget::Collection(namespace()), pipeline);
    let plan = session.explain_text(&ExplainTarget::Aggregate(operation)).expect("plans");
    assert!(plan.contains("IxScan: m_1_t_1 meta: [1, 1]"), "{plan}");
    assert!(plan.contains("$_internalUnpackBucket"), "{plan}");
    let equal = format!(r#"{{"t": {}}}"#, at(3_600 * 5));
    assert_eq!(ids(&find(&session, &equal)), [5]);
    let either = format!(r#"{{"$or": [{{"t": {}}}, {{"v": 3}}]}}"#, at(3_600 * 5));
    assert_eq!(ids(&find(&session, &either)), [3, 5]);
}

#[test]
fn only_the_meta_field_can_be_updated_and_only_of_all() {
    let session = database().session();
    create(&session, r#"{"timeField": "t", "metaField": "m"}"#);
    insert_all(
        &session,
        &[measurement(1, 0, r#"{"k":1}"#), measurement(2, 1, r#"{"k":1}"#), measurement(3, 1, r#"{"k":2}"#)],
    );
    let outcome = update(&session, r#"{"m.k": 1}"#, r#"{"$set": {"m.k": 5}}"#, true, false).expect("updates");
    assert_eq!((outcome.matched, outcome.modified), (2, 2));
    assert_eq!(ids(&find(&session, r#"{"m.k": 5}"#)), [1, 2]);
    // What is remembered of open buckets is wrong now, and does no harm.
    insert_all(&session, &[measurement(4, 2, r#"{"k":1}"#)]);
    assert_eq!(ids(&find(&session, r#"{"m.k": 1}"#)), [4]);
    let refused = [
        (r#"{}"#, r#"{"$set": {"v": 1}}"#, true, false),
        (r#"{}"#, r#"{"$set": {"t": 1}}"#, true, false),
        (r#"{"v": 1}"#, r#"{"$set": {"m.k": 1}}"#, true, false),
        (r#"{}"#, r#"{"$set": {"m.k": 1}}"#, false, false),
        (r#"{}"#, r#"{"$set": {"m.k": 1}}"#, true, true),
        (r#"{}"#, r#"{"$rename": {"m": "n"}}"#, true, false),
        (r#"{}"#, r#"{"m": 1}"#, true, false),
    ];
    for (filter, change, multi, upsert) in refused {
        let error = update(&session, filter, change, multi, upsert).expect_err(change);
        assert_eq!(error.code, error_code::INVALID_OPTIONS, "{filter} {change}");
    }
    assert!(update(&session, "{}", r#"{"$rename": {"m.k": "m.j"}}"#, true, false).is_ok());
    assert_eq!(ids(&find(&session, r#"{"m.j": 2}"#)), [3]);
}

#[test]
fn measurements_can_be_deleted_by_anything() {
    let session = database().session();
    create(&session, r#"{"timeField": "t", "metaField": "m"}"#);
    let documents: Vec<String> = (0..10).map(|id| measurement(id, i64::from(id), "1")).collect();
    insert_all(&session, &documents);
    assert_eq!(delete(&session, r#"{"v": {"$gte": 8}}"#, true).expect("deletes"), 2);
    assert_eq!(delete(&session, r#"{"v": {"$lt": 5}}"#, false).expect("deletes"), 1);
    assert_eq!(ids(&find(&session, "{}")), [1, 2, 3, 4, 5, 6, 7]);
    let filter = doc(r#"{"v": 4}"#);
    let operation = FindAndModifyOperation::new(namespace(), filter.as_raw(), Modification::Remove);
    let removed = session.find_and_modify(&operation).expect("removes").document.expect("found");
    assert_eq!(ids(&[json(removed.as_raw())]), [4]);
    assert_eq!(delete(&session, r#"{"m": 1}"#, true).expect("deletes"), 6);
    assert!(buckets(&session).is_empty());
}

#[test]
fn buckets_are_for_the_series_alone() {
    let session = database().session();
    create(&session, r#"{"timeField": "t", "metaField": "m"}"#);
    let bucket = doc(r#"{"_id": 1}"#);
    let own = Namespace::new("test", "system.buckets.things").expect("valid");
    let direct = session.insert(&InsertOperation::new(own.clone(), vec![bucket.as_raw()]));
    assert_eq!(direct.expect_err("refused").code, error_code::ILLEGAL_OPERATION);
    let to = Namespace::new("test", "other").expect("valid");
    let rename = RenameCollectionOperation { from: namespace(), to, drop_target: false };
    assert_eq!(session.rename_collection(&rename).expect_err("refused").code, error_code::ILLEGAL_OPERATION);
    assert_eq!(session.list_collections("test").expect("lists").len(), 2);
    assert!(session.drop_collection(&namespace()).expect("drops").existed);
    assert!(session.list_collections("test").expect("lists").is_empty());
}

#[test]
fn indexes_name_fields_of_measurements() {
    let session = database().session();
    create(&session, r#"{"timeField": "t", "metaField": "m"}"#);
    for index in [
        r#"{"key": {"m.k": -1, "t": -1}, "name": "a"}"#,
        r#"{"key": {"v": 1}, "name": "b"}"#,
        r#"{"key": {"t": 1}, "name": "c", "expireAfterSeconds": 5, "partialFilterExpression": {"m.k": 1}}"#,
    ] {
        create_index(&session, index).expect(index);
    }
    let listed = session.list_indexes(&namespace()).expect("lists");
    let listed: Vec<String> = listed.iter().map(|index| json(index.as_raw())).collect();
    assert_eq!(
        listed,
        [
            r#"{"v":2,"key":{"m":1,"t":1},"name":"m_1_t_1"}"#,
            r#"{"v":2,"key":{"m.k":-1,"t":-1},"name":"a"}"#,
            r#"{"v":2,"key":{"v":1},"name":"b"}"#,
            r#"{"v":2,"key":{"t":1},"name":"c","expireAfterSeconds":5,"partialFilterExpression":{"m.k":1}}"#,
        ]
    );
    let unique = create_index(&session, r#"{"key": {"m": 1}, "name": "u", "unique": true}"#);
    assert_eq!(unique.expect_err("refused").code, error_code::CANNOT_CREATE_INDEX);
}

#[test]
fn a_bucket_expires_with_its_last_measurement() {
    let clock = Arc::new(ManualClock::new(1_000_000));
    let mut options = options();
    options.store.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let database = Database::in_memory(options).expect("opens");
    let session = database.session();
    let options = CollectionOptions {
        time_series: Some(doc(r#"{"timeField": "t"}"#)),
        expire_after_seconds: Some(100),
        ..CollectionOptions::default()
    };
    session
        .create_collection(&CreateCollectionOperation { namespace: namespace(), options })
        .expect("creates");
    let plain = |id: i32, seconds: i64| format!(r#"{{"_id":{id},"t":{}}}"#, at(seconds));
    insert_all(&session, &[plain(1, 999_000), plain(2, 999_901), plain(3, 990_000)]);
    assert_eq!(database.delete_expired().deleted, 1, "one bucket");
    assert_eq!(ids(&find(&session, "{}")), [1, 2]);
    clock.advance_micros(1_000_000);
    assert_eq!(database.delete_expired().deleted, 1);
    assert!(find(&session, "{}").is_empty());
}

#[test]
fn writers_of_one_series_lose_nothing() {
    let database = database();
    let session = database.session();
    create(&session, r#"{"timeField": "t", "metaField": "m"}"#);
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let session = database.session();
            std::thread::spawn(move || {
                for number in 0..25 {
                    insert_all(&session, &[measurement(writer * 25 + number, i64::from(number), "1")]);
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().expect("ends"));
    let mut found = ids(&find(&session, "{}"));
    found.sort_unstable();
    assert_eq!(found, (0..100).collect::<Vec<_>>());
    assert_eq!(buckets(&session).len(), 1);
}
