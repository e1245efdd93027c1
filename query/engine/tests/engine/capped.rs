//! Capped collections: order, what is dropped, tailable cursors.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sheaf_engine::catalog::CollectionOptions;
use sheaf_engine::operation::{CreateCollectionOperation, FindOperation};
use sheaf_engine::{Cursor, Database, Namespace, Result, Session, error_code};
use sheaf_storage::MemoryVfs;

use crate::support::{
    create_index, database, delete, doc, find, find_with, insert, json, namespace, options, update,
};

fn create(session: &Session, size_bytes: i64, documents_max: Option<i64>) {
    let options = CollectionOptions {
        capped: true,
        size_bytes: Some(size_bytes),
        documents_max,
        ..CollectionOptions::default()
    };
    let operation = CreateCollectionOperation { namespace: namespace(), options };
    session.create_collection(&operation).expect("creates");
}

fn insert_ids(session: &Session, ids: impl IntoIterator<Item = i32>) {
    let documents: Vec<String> =
        ids.into_iter().map(|id| format!(r#"{{"_id":{id},"v":{}}}"#, id * 10)).collect();
    let outcome = insert(session, &documents.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(outcome.inserted, u64::try_from(documents.len()).expect("few"));
}

fn ids(documents: &[String]) -> Vec<i64> {
    let id = |text: &String| match doc(text).as_raw().get("_id") {
        Some(sheaf_document::ValueRef::Int32(id)) => i64::from(id),
        other => panic!("no number: {other:?}"),
    };
    documents.iter().map(id).collect()
}

#[test]
fn a_limit_counts_over_all_batches() {
    let session = database().session();
    create(&session, 100_000, None);
    insert_ids(&session, [1]);
    let everything = doc("{}");
    let mut operation = FindOperation::new(namespace(), everything.as_raw());
    operation.tailable = true;
    operation.limit = Some(2);
    let mut cursor = session.find(&operation).expect("opens");
    assert_eq!(batch(&mut cursor), [1]);
    insert_ids(&session, [2, 3]);
    assert_eq!(batch(&mut cursor), [2]);
    assert_eq!(batch(&mut cursor), Vec::<i64>::new());
    assert!(!cursor.is_exhausted());
}

fn tail(session: &Session, await_data: bool) -> Result<Cursor> {
    let everything = doc("{}");
    let mut operation = FindOperation::new(namespace(), everything.as_raw());
    operation.tailable = true;
    operation.await_data = await_data;
    session.find(&operation)
}

fn batch(cursor: &mut Cursor) -> Vec<i64> {
    let documents = cursor.next_batch(100, 1 << 20).expect("reads").documents;
    ids(&documents.iter().map(|document| json(document.as_raw())).collect::<Vec<_>>())
}

#[test]
fn the_oldest_go_for_the_newest_with_their_index_entries() {
    let session = database().session();
    create(&session, 100_000, Some(3));
    create_index(&session, r#"{"key": {"v": 1}, "name": "v_1"}"#).expect("creates");
    insert_ids(&session, [5, 2, 8, 1]);
    assert_eq!(ids(&find(&session, "{}")), [2, 8, 1]);
    assert_eq!(ids(&find(&session, r#"{"v": {"$gte": 0}}"#)), [1, 2, 8]);
    assert!(find(&session, r#"{"v": 50}"#).is_empty());
    assert!(find(&session, r#"{"_id": 5}"#).is_empty());
    assert_eq!(ids(&find(&session, r#"{"_id": 8}"#)), [8]);
    assert_eq!(ids(&find(&session, r#"{"_id": {"$gt": 1}}"#)), [2, 8]);
    insert_ids(&session, [5]);
    assert_eq!(ids(&find(&session, "{}")), [8, 1, 5]);
    let twice = insert(&session, &[r#"{"_id":8}"#]);
    assert_eq!(twice.errors[0].error.code, error_code::DUPLICATE_KEY);
    assert_eq!(ids(&find(&session, "{}")), [8, 1, 5]);
    let statistics = session.collection_statistics(&namespace()).expect("measures");
    assert_eq!(statistics.documents, 3);
    assert_eq!(statistics.indexes.iter().map(|index| index.entries).collect::<Vec<_>>(), [3, 3]);
}

#[test]
fn natural_order_runs_both_ways_and_sorts_take_it_over() {
    let session = database().session();
    create(&session, 100_000, None);
    insert_ids(&session, [3, 1, 2]);
    let sorted = |sort: &str| {
        let sort = doc(sort);
        ids(&find_with(&session, doc("{}").as_raw(), |find| find.sort = Some(sort.as_raw())).expect("finds"))
    };
    assert_eq!(sorted(r#"{"$natural": 1}"#), [3, 1, 2]);
    assert_eq!(sorted(r#"{"$natural": -1}"#), [2, 1, 3]);
    assert_eq!(sorted(r#"{"_id": 1}"#), [1, 2, 3]);
    assert_eq!(sorted(r#"{"_id": -1}"#), [3, 2, 1]);
}

#[test]
fn size_is_counted_in_bytes_of_documents() {
    let session = database().session();
    create(&session, 512, None);
    let padding = "x".repeat(200);
    let large = |id: i32| format!(r#"{{"_id":{id},"p":"{padding}"}}"#);
    insert(&session, &[&large(1), &large(2)]);
    assert_eq!(ids(&find(&session, "{}")), [1, 2]);
    insert(&session, &[&large(3)]);
    assert_eq!(ids(&find(&session, "{}")), [2, 3]);
    // A small document fits beside them.
    insert_ids(&session, [4]);
    assert_eq!(ids(&find(&session, "{}")), [2, 3, 4]);
    // A document larger than the collection may be stays until the next one comes.
    let oversize = format!(r#"{{"_id":5,"p":"{}"}}"#, "y".repeat(2_000));
    insert(&session, &[&oversize]);
    assert_eq!(ids(&find(&session, "{}")), [5]);
    insert_ids(&session, [6]);
    assert_eq!(ids(&find(&session, "{}")), [6]);
}

#[test]
fn updates_stay_in_place_and_what_grew_counts_at_the_next_insert() {
    let session = database().session();
    create(&session, 256, None);
    insert_ids(&session, [3, 1, 2]);
    let grow = format!(r#"{{"$set": {{"p": "{}"}}}}"#, "z".repeat(240));
    update(&session, r#"{"_id": 1}"#, &grow, false, false).expect("updates");
    assert_eq!(ids(&find(&session, "{}")), [3, 1, 2]);
    insert_ids(&session, [4]);
    assert_eq!(ids(&find(&session, "{}")), [2, 4]);
    update(&session, r#"{"_id": 9}"#, r#"{"$set": {"v": 1}}"#, false, true).expect("inserts");
    assert_eq!(ids(&find(&session, "{}")), [2, 4, 9]);
    assert_eq!(delete(&session, r#"{"_id": 4}"#, false).expect("deletes"), 1);
    assert_eq!(ids(&find(&session, "{}")), [2, 9]);
}

#[test]
fn lowered_limits_hold_from_the_next_insert_on() {
    let session = database().session();
    create(&session, 100_000, Some(10));
    insert_ids(&session, 1..=6);
    let lower = |options: &mut CollectionOptions| {
        options.documents_max = Some(2);
        Ok(())
    };
    session.change_collection_options(&namespace(), lower).expect("changes");
    assert_eq!(find(&session, "{}").len(), 6);
    insert_ids(&session, [7]);
    assert_eq!(ids(&find(&session, "{}")), [6, 7]);
}

#[test]
fn order_and_count_survive_opening_again() {
    let vfs = Arc::new(MemoryVfs::new());
    let open = || Database::open_with(Arc::clone(&vfs) as _, Path::new("/db"), options()).expect("opens");
    let first = open();
    let session = first.session();
    create(&session, 100_000, Some(3));
    insert_ids(&session, [9, 3, 7, 1]);
    drop(session);
    first.close().expect("closes");
    drop(first);
    let session = open().session();
    assert_eq!(ids(&find(&session, "{}")), [3, 7, 1]);
    insert_ids(&session, [2]);
    assert_eq!(ids(&find(&session, "{}")), [7, 1, 2]);
    assert_eq!(ids(&find(&session, r#"{"_id": 7}"#)), [7]);
}

#[test]
fn a_copy_keeps_the_newest_that_fit() {
    let session = database().session();
    insert_ids(&session, 1..=20);
    create_index(&session, r#"{"key": {"v": 1}, "name": "v_1"}"#).expect("creates");
    let copy = Namespace::new("test", "copy").expect("valid");
    session.copy_as_capped(&namespace(), &copy, 256).expect("copies");
    let size = doc(r#"{"_id":1,"v":10}"#).as_bytes().len();
    let fitting = i64::try_from(256 / size).expect("small");
    let expected: Vec<i64> = (21 - fitting..=20).collect();
    let taken = session.copy_as_capped(&namespace(), &copy, 256).expect_err("is there");
    assert_eq!(taken.code, error_code::NAMESPACE_EXISTS);
    session.copy_as_capped(&namespace(), &namespace(), 256).expect("converts");
    assert_eq!(ids(&find(&session, "{}")), expected);
    assert_eq!(session.list_indexes(&namespace()).expect("lists").len(), 1);
    insert_ids(&session, [100]);
    assert_eq!(ids(&find(&session, "{}"))[1..], [&expected[2..], &[100]].concat());
    // The identifiers of what was replaced leave nothing behind.
    session.drop_collection(&namespace()).expect("drops");
    assert!(find(&session, "{}").is_empty());
}

#[test]
fn a_tailable_cursor_goes_on_where_it_stands() {
    let session = database().session();
    create(&session, 100_000, Some(5));
    insert_ids(&session, [1, 2]);
    let mut cursor = tail(&session, false).expect("opens");
    assert_eq!(batch(&mut cursor), [1, 2]);
    assert_eq!(batch(&mut cursor), Vec::<i64>::new());
    assert!(!cursor.is_exhausted());
    insert_ids(&session, [3, 4, 5, 6]);
    assert_eq!(batch(&mut cursor), [3, 4, 5, 6]);
    // Its last document is dropped: what came between is unknown.
    insert_ids(&session, 7..=11);
    let lost = cursor.next_batch(100, 1 << 20).expect_err("lost");
    assert_eq!(lost.code, error_code::CAPPED_POSITION_LOST);
}

#[test]
fn tailable_cursors_are_for_capped_collections_with_documents() {
    let session = database().session();
    let mut nowhere = tail(&session, false).expect("opens");
    assert!(batch(&mut nowhere).is_empty() && nowhere.is_exhausted());
    create(&session, 4_096, None);
    let mut empty = tail(&session, false).expect("opens");
    assert!(batch(&mut empty).is_empty() && empty.is_exhausted());
    session.drop_collection(&namespace()).expect("drops");
    insert_ids(&session, [1]);
    assert_eq!(tail(&session, false).expect_err("refused").code, error_code::BAD_VALUE);
}

#[test]
fn waiting_for_data_ends_with_the_data() {
    let database = database();
    let session = database.session();
    create(&session, 100_000, None);
    insert_ids(&session, [1]);
    let mut cursor = tail(&session, true).expect("opens");
    assert_eq!(batch(&mut cursor), [1]);
    let none = cursor.next_batch_within(100, 1 << 20, Duration::from_millis(1)).expect("reads");
    assert!(none.documents.is_empty() && !cursor.is_exhausted());
    let waiter = std::thread::spawn(move || {
        let found = cursor.next_batch_within(100, 1 << 20, Duration::from_secs(50)).expect("reads");
        found.documents.len()
    });
    insert_ids(&session, [2]);
    assert_eq!(waiter.join().expect("ends"), 1);
}

#[test]
fn a_kill_or_a_drop_ends_the_wait() {
    let database = database();
    let session = database.session();
    for round in 0..2 {
        create(&session, 100_000, None);
        insert_ids(&session, [1]);
        let mut cursor = tail(&session, true).expect("opens");
        assert_eq!(batch(&mut cursor), [1]);
        let registry = database.cursors();
        let id = registry.register(cursor, session.id(), false, 0, || database.random());
        let mut cursor = registry.take(id, session.id(), &namespace()).expect("there");
        let waiter = std::thread::spawn(move || {
            // A drop may show itself as an error: the document where the cursor stood is gone.
            cursor.next_batch_within(100, 1 << 20, Duration::from_secs(50)).map(|batch| batch.documents.len())
        });
        if round == 0 {
            assert_eq!(registry.kill(&[id]).killed, [id]);
            assert_eq!(waiter.join().expect("ends").expect("no error"), 0);
        } else {
            session.drop_collection(&namespace()).expect("drops");
            let ended = waiter.join().expect("ends");
            assert!(
                ended.map_or_else(|error| error.code == error_code::CAPPED_POSITION_LOST, |found| found == 0)
            );
        }
        session.drop_collection(&namespace()).expect("drops");
    }
}

#[test]
fn a_tailable_cursor_misses_no_document_of_many_writers() {
    const WRITERS: i32 = 4;
    const EACH: i32 = 50;
    let database = database();
    let session = database.session();
    create(&session, 1 << 20, None);
    insert_ids(&session, [-1]);
    let mut cursor = tail(&session, true).expect("opens");
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let session = database.session();
            std::thread::spawn(move || (0..EACH).for_each(|n| insert_ids(&session, [writer * EACH + n])))
        })
        .collect();
    let mut seen = Vec::new();
    for _ in 0..10_000 {
        let found = cursor.next_batch_within(10, 1 << 20, Duration::from_secs(10)).expect("reads");
        let documents: Vec<String> = found.documents.iter().map(|document| json(document.as_raw())).collect();
        seen.extend(ids(&documents));
        if seen.len() > usize::try_from(WRITERS * EACH).expect("few") {
            break;
        }
    }
    writers.into_iter().for_each(|writer| writer.join().expect("ends"));
    assert_eq!(seen, ids(&find(&session, "{}")), "the order of the collection, without a gap");
    seen.sort_unstable();
    assert_eq!(seen, (-1..i64::from(WRITERS * EACH)).collect::<Vec<_>>());
}
