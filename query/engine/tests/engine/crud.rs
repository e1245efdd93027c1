//! Inserting, finding, updating and deleting.

use std::sync::Arc;
use std::time::Duration;

use sheaf_document::ValueRef;
use sheaf_engine::operation::{
    CountOperation, DistinctOperation, FindAndModifyOperation, FindOperation, Hint, Modification,
    ReturnedDocument,
};
use sheaf_engine::{Database, error_code};
use sheaf_storage::{Clock, ManualClock};

use crate::support::{
    create_index, database, delete, doc, find, find_with, insert, json, namespace, options, update,
};

#[test]
fn what_is_inserted_is_found() {
    let session = database().session();
    let outcome = insert(&session, &[r#"{"_id": 2, "a": "x"}"#, r#"{"a": "y", "_id": 1}"#, r#"{"_id": 3}"#]);
    assert_eq!((outcome.inserted, outcome.errors.len()), (3, 0));
    assert_eq!(find(&session, "{}"), [r#"{"_id":1,"a":"y"}"#, r#"{"_id":2,"a":"x"}"#, r#"{"_id":3}"#]);
    assert_eq!(find(&session, r#"{"_id": 2}"#), [r#"{"_id":2,"a":"x"}"#]);
    assert_eq!(find(&session, r#"{"_id": {"$numberDouble": "2.0"}}"#), [r#"{"_id":2,"a":"x"}"#]);
    assert_eq!(find(&session, r#"{"a": null}"#), [r#"{"_id":3}"#]);
    assert!(find(&session, r#"{"_id": 9}"#).is_empty());
}

#[test]
fn a_document_without_an_id_gets_one_in_front() {
    let session = database().session();
    insert(&session, &[r#"{"a": 1}"#]);
    let found = find(&session, "{}");
    assert!(found[0].starts_with(r#"{"_id":{"$oid":"#), "{}", found[0]);
}

#[test]
fn a_duplicate_id_is_refused_and_the_rest_depends_on_the_order() {
    let session = database().session();
    insert(&session, &[r#"{"_id": 1}"#]);
    let documents = [doc(r#"{"_id": 0}"#), doc(r#"{"_id": 1}"#), doc(r#"{"_id": 2}"#)];
    let raw: Vec<_> = documents.iter().map(|document| document.as_raw()).collect();
    let mut operation = sheaf_engine::operation::InsertOperation::new(namespace(), raw);
    let outcome = session.insert(&operation).expect("runs");
    assert_eq!((outcome.inserted, outcome.errors.len()), (1, 1));
    let error = &outcome.errors[0];
    assert_eq!((error.index, error.error.code), (1, error_code::DUPLICATE_KEY));
    assert_eq!(
        error.error.message,
        "E11000 duplicate key error collection: test.things index: _id_ dup key: { _id: 1 }"
    );
    let details = error.error.details.as_ref().expect("details");
    assert_eq!(json(details.as_raw()), r#"{"keyPattern":{"_id":1},"keyValue":{"_id":1}}"#);
    operation.ordered = false;
    let outcome = session.insert(&operation).expect("runs");
    assert_eq!((outcome.inserted, outcome.errors.len()), (1, 2));
    assert_eq!(find(&session, "{}").len(), 3);
}

#[test]
fn sort_skip_limit_and_projection() {
    let session = database().session();
    insert(
        &session,
        &[
            r#"{"_id":1,"a":3,"b":1}"#,
            r#"{"_id":2,"a":1,"b":2}"#,
            r#"{"_id":3,"a":2,"b":3}"#,
            r#"{"_id":4,"b":4}"#,
        ],
    );
    let (sort, projection, all) = (doc(r#"{"a": -1}"#), doc(r#"{"a": 1}"#), doc("{}"));
    let find_sorted = || {
        find_with(&session, all.as_raw(), |operation| {
            operation.sort = Some(sort.as_raw());
            operation.projection = Some(projection.as_raw());
            operation.skip = 1;
            operation.limit = Some(2);
        })
        .expect("finds")
    };
    let expected = [r#"{"_id":3,"a":2}"#, r#"{"_id":2,"a":1}"#];
    assert_eq!(find_sorted(), expected);
    create_index(&session, r#"{"key": {"a": 1}, "name": "a_1"}"#).expect("creates");
    assert_eq!(find_sorted(), expected);
}

#[test]
fn updates_change_documents_and_their_entries() {
    let session = database().session();
    create_index(&session, r#"{"key": {"n": 1}, "name": "n_1"}"#).expect("creates");
    insert(&session, &[r#"{"_id":1,"n":1}"#, r#"{"_id":2,"n":2}"#, r#"{"_id":3,"n":3}"#]);
    let outcome =
        update(&session, r#"{"n": {"$gte": 2}}"#, r#"{"$inc": {"n": 10}}"#, true, false).expect("updates");
    assert_eq!((outcome.matched, outcome.modified), (2, 2));
    assert_eq!(find(&session, r#"{"n": {"$gt": 5}}"#), [r#"{"_id":2,"n":12}"#, r#"{"_id":3,"n":13}"#]);
    assert!(find(&session, r#"{"n": 2}"#).is_empty());
    let outcome = update(&session, r#"{"_id": 1}"#, r#"{"n": 7, "m": 1}"#, false, false).expect("replaces");
    assert_eq!((outcome.matched, outcome.modified), (1, 1));
    assert_eq!(find(&session, r#"{"n": 7}"#), [r#"{"_id":1,"n":7,"m":1}"#]);
    let outcome = update(&session, r#"{"_id": 1}"#, r#"{"$set": {"n": 7}}"#, false, false).expect("runs");
    assert_eq!((outcome.matched, outcome.modified), (1, 0));
}

#[test]
fn an_upsert_makes_the_document_from_filter_and_update() {
    let session = database().session();
    let outcome =
        update(&session, r#"{"_id": 5, "k": "v"}"#, r#"{"$set": {"n": 1}}"#, false, true).expect("upserts");
    assert!(outcome.upserted_id.is_some());
    assert_eq!(find(&session, "{}"), [r#"{"_id":5,"k":"v","n":1}"#]);
    let again =
        update(&session, r#"{"_id": 5, "k": "v"}"#, r#"{"$set": {"n": 2}}"#, false, true).expect("updates");
    assert!(again.upserted_id.is_none() && again.modified == 1);
}

#[test]
fn deletes_take_the_entries_along() {
    let session = database().session();
    create_index(&session, r#"{"key": {"n": 1}, "name": "n_1"}"#).expect("creates");
    insert(&session, &[r#"{"_id":1,"n":[1,2]}"#, r#"{"_id":2,"n":2}"#, r#"{"_id":3,"n":2}"#]);
    assert_eq!(delete(&session, r#"{"n": 2}"#, false).expect("deletes"), 1);
    assert_eq!(find(&session, r#"{"n": 2}"#).len(), 2);
    assert_eq!(delete(&session, r#"{"n": 2}"#, true).expect("deletes"), 2);
    assert!(find(&session, "{}").is_empty() && find(&session, r#"{"n": 1}"#).is_empty());
}

#[test]
fn unique_indexes_refuse_duplicates_and_let_go_of_deleted_keys() {
    let session = database().session();
    create_index(&session, r#"{"key": {"e": 1}, "name": "e_1", "unique": true}"#).expect("creates");
    assert_eq!(insert(&session, &[r#"{"_id":1,"e":"a"}"#, r#"{"_id":2,"e":"b"}"#]).inserted, 2);
    let refused = insert(&session, &[r#"{"_id":3,"e":"a"}"#]);
    let error = &refused.errors[0].error;
    assert_eq!(error.code, error_code::DUPLICATE_KEY);
    assert!(error.message.ends_with(r#"index: e_1 dup key: { e: "a" }"#), "{}", error.message);
    let error =
        update(&session, r#"{"_id": 2}"#, r#"{"$set": {"e": "a"}}"#, false, false).expect_err("refused");
    assert_eq!(error.code, error_code::DUPLICATE_KEY);
    update(&session, r#"{"_id": 1}"#, r#"{"$set": {"e": "a", "x": 1}}"#, false, false).expect("its own key");
    delete(&session, r#"{"_id": 1}"#, false).expect("deletes");
    assert_eq!(insert(&session, &[r#"{"_id":3,"e":"a"}"#]).inserted, 1);
}

#[test]
fn find_and_modify_returns_one_state() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1,"n":5}"#, r#"{"_id":2,"n":3}"#]);
    let (filter, sort, change) = (doc("{}"), doc(r#"{"n": 1}"#), doc(r#"{"$inc": {"n": 1}}"#));
    let modification = Modification::Update { update: ValueRef::Document(change.as_raw()), upsert: false };
    let mut operation = FindAndModifyOperation::new(namespace(), filter.as_raw(), modification);
    operation.sort = Some(sort.as_raw());
    let before = session.find_and_modify(&operation).expect("runs").document.expect("a document");
    assert_eq!(json(before.as_raw()), r#"{"_id":2,"n":3}"#);
    operation.returned = ReturnedDocument::After;
    let after = session.find_and_modify(&operation).expect("runs").document.expect("a document");
    assert_eq!(json(after.as_raw()), r#"{"_id":2,"n":5}"#);
    operation.modification = Modification::Remove;
    operation.returned = ReturnedDocument::Before;
    let removed = session.find_and_modify(&operation).expect("runs").document.expect("a document");
    assert_eq!(json(removed.as_raw()), r#"{"_id":1,"n":5}"#);
    assert_eq!(find(&session, "{}"), [r#"{"_id":2,"n":5}"#]);
}

#[test]
fn count_and_distinct() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1,"t":["a","b"]}"#, r#"{"_id":2,"t":"b"}"#, r#"{"_id":3,"t":["c",["d"]]}"#]);
    let all = doc("{}");
    let mut count = CountOperation::new(namespace(), all.as_raw());
    assert_eq!(session.count(&count).expect("counts"), 3);
    count.skip = 1;
    count.limit = Some(1);
    assert_eq!(session.count(&count).expect("counts"), 1);
    let values = session.distinct(&DistinctOperation::new(namespace(), "t", all.as_raw())).expect("runs");
    assert_eq!(values.len(), 4, "{values:?}");
}

#[test]
fn a_cursor_reads_one_moment_and_can_be_resumed() {
    let database = database();
    let session = database.session();
    let documents: Vec<_> = (0..50).map(|n| format!(r#"{{"_id":{n}}}"#)).collect();
    insert(&session, &documents.iter().map(String::as_str).collect::<Vec<_>>());
    let all = doc("{}");
    let mut operation = FindOperation::new(namespace(), all.as_raw());
    let mut cursor = session.find(&operation).expect("finds");
    assert_eq!(cursor.next_batch(20, 1 << 20).expect("reads").documents.len(), 20);
    delete(&session, r#"{"_id": {"$gte": 25}}"#, true).expect("deletes");
    let position = cursor.position().expect("a position");
    operation.resume_after = Some(&position);
    let mut resumed = session.find(&operation).expect("resumes");
    for cursor in [&mut cursor, &mut resumed] {
        let rest = cursor.next_batch(100, 1 << 20).expect("reads").documents;
        assert_eq!((rest.len(), json(rest[0].as_raw())), (30, r#"{"_id":20}"#.to_owned()));
        assert!(cursor.is_exhausted());
    }
    let other = doc(r#"{"_id": {"$gt": 1}}"#);
    let mut foreign = FindOperation::new(namespace(), other.as_raw());
    foreign.resume_after = Some(&position);
    assert_eq!(session.find(&foreign).expect_err("foreign").code, error_code::INVALID_RESUME_TOKEN);
}

#[test]
fn a_time_limit_is_for_the_work_and_not_for_what_passes_in_between() {
    let clock = Arc::new(ManualClock::new(1_700_000_000));
    let mut options = options();
    options.store.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let session = Database::in_memory(options).expect("opens").session();
    insert(&session, &[r#"{"_id":1}"#, r#"{"_id":2}"#, r#"{"_id":3}"#]);
    let all = doc("{}");
    let mut operation = FindOperation::new(namespace(), all.as_raw());
    operation.common.max_time = Some(Duration::from_millis(50));
    let mut cursor = session.find(&operation).expect("finds");
    for _ in 0..3 {
        assert_eq!(cursor.next_batch(1, 1 << 20).expect("in time").documents.len(), 1);
        clock.advance_micros(60_000);
    }
    let mut late = session.find(&operation).expect("finds");
    clock.advance_micros(60_000);
    let error = late.next_batch(1, 1 << 20).expect_err("late");
    assert_eq!(error.code, error_code::MAX_TIME_MS_EXPIRED);
    assert!(late.next_batch(1, 1 << 20).is_err(), "its time stays used up");
}

#[test]
fn batches_keep_to_their_bytes() {
    let session = database().session();
    let documents: Vec<_> = (0..10).map(|n| format!(r#"{{"_id":{n},"s":"{}"}}"#, "x".repeat(100))).collect();
    insert(&session, &documents.iter().map(String::as_str).collect::<Vec<_>>());
    let all = doc("{}");
    let mut cursor = session.find(&FindOperation::new(namespace(), all.as_raw())).expect("finds");
    assert_eq!(cursor.next_batch(100, 1).expect("reads").documents.len(), 1);
    assert_eq!(cursor.next_batch(100, 400).expect("reads").documents.len(), 3);
    assert_eq!(cursor.next_batch(0, 400).expect("reads").documents.len(), 0);
    assert!(!cursor.is_exhausted());
    assert_eq!(cursor.next_batch(100, 1 << 20).expect("reads").documents.len(), 6);
}

#[test]
fn a_hint_must_name_an_index() {
    let session = database().session();
    insert(&session, &[r#"{"_id":1,"a":1}"#]);
    let all = doc("{}");
    let hinted = |hint| find_with(&session, all.as_raw(), |operation| operation.hint = Some(hint));
    assert_eq!(hinted(Hint::Name("nope")).expect_err("refused").code, error_code::BAD_VALUE);
    let natural = doc(r#"{"$natural": -1}"#);
    assert_eq!(hinted(Hint::KeyPattern(natural.as_raw())).expect("finds").len(), 1);
    assert_eq!(hinted(Hint::Name("_id_")).expect("finds").len(), 1);
}

#[test]
fn a_sort_past_its_memory_spills_or_fails_as_asked() {
    let mut options = crate::support::options();
    options.operator_memory_bytes_max = 64 << 10;
    let session = sheaf_engine::Database::in_memory(options).expect("opens").session();
    // Each number twice, in a scattered order: equal keys must stay in the order they came.
    let documents: Vec<_> = (0..4_000)
        .map(|n| format!(r#"{{"_id":{n},"v":{},"p":"{}"}}"#, n * 7 % 2_000, "x".repeat(50)))
        .collect();
    insert(&session, &documents.iter().map(String::as_str).collect::<Vec<_>>());
    let (all, sort) = (doc("{}"), doc(r#"{"v": -1}"#));
    let sorted = |allow: bool, limit: Option<u64>| {
        find_with(&session, all.as_raw(), |operation| {
            operation.sort = Some(sort.as_raw());
            operation.allow_disk_use = Some(allow);
            operation.limit = limit;
        })
    };
    let found = sorted(true, None).expect("spills");
    assert_eq!(found.len(), 4_000);
    let mut expected: Vec<_> = (0..4_000).map(|n| (2_000 - n * 7 % 2_000, n)).collect();
    expected.sort_unstable();
    for (text, (_, id)) in found.iter().zip(expected) {
        assert!(text.starts_with(&format!(r#"{{"_id":{id},"#)), "{text} instead of {id}");
    }
    assert_eq!(sorted(true, Some(1_500)).expect("spills"), found[..1_500]);
    assert_eq!(sorted(false, None).expect_err("refused").code, error_code::QUERY_EXCEEDED_MEMORY_LIMIT);
    assert_eq!(sorted(false, Some(3)).expect("fits"), found[..3]);
}

/// The answers of a find with options of the index it uses.
fn find_by<'a>(
    session: &sheaf_engine::Session,
    hint: &'a str,
    change: impl FnOnce(&mut FindOperation<'a>),
) -> sheaf_engine::Result<Vec<String>> {
    find_with(session, sheaf_document::RawDocument::EMPTY, |operation| {
        operation.hint = Some(Hint::Name(hint));
        change(operation);
    })
}

#[test]
fn min_and_max_are_keys_of_the_hinted_index() {
    let session = database().session();
    insert(
        &session,
        &[
            r#"{"_id": 1, "a": 1, "b": "x"}"#,
            r#"{"_id": 2, "a": 2, "b": "y"}"#,
            r#"{"_id": 3, "a": 2, "b": "x"}"#,
            r#"{"_id": 4, "a": 3}"#,
        ],
    );
    create_index(&session, r#"{"key": {"a": -1, "b": 1}, "name": "a_b"}"#).expect("creates");
    let ids = |found: Vec<String>| -> Vec<String> {
        found.iter().map(|json| json.split([':', ',']).nth(1).unwrap_or("").to_owned()).collect()
    };
    let (two_x, one_x) = (doc(r#"{"a": 2, "b": "x"}"#), doc(r#"{"a": 1, "b": "x"}"#));
    let (two_y, other) = (doc(r#"{"a": 2, "b": "y"}"#), doc(r#"{"b": 1}"#));
    let between = |min: Option<&_>, max: Option<&_>, hint: &'static str| {
        find_by(&session, hint, |operation| {
            operation.min = min.map(sheaf_document::RawDocumentBuf::as_raw);
            operation.max = max.map(sheaf_document::RawDocumentBuf::as_raw);
        })
        .map(ids)
        .map_err(|error| error.code.0)
    };
    assert_eq!(between(Some(&two_x), Some(&one_x), "a_b"), Ok(vec!["3".to_owned(), "2".to_owned()]));
    assert_eq!(between(Some(&two_y), None, "a_b"), Ok(vec!["2".to_owned(), "1".to_owned()]));
    assert_eq!(between(None, Some(&two_y), "a_b"), Ok(vec!["4".to_owned(), "3".to_owned()]));
    assert_eq!(between(Some(&one_x), Some(&two_x), "a_b"), Err(51_175));
    assert_eq!(between(Some(&one_x), Some(&one_x), "a_b"), Err(51_175));
    assert_eq!(between(Some(&other), None, "a_b"), Err(51_174));
    assert_eq!(between(Some(&other), Some(&one_x), "a_b"), Err(51_176));
    assert_eq!(between(Some(&one_x), None, "_id_"), Err(51_174));
    let primary = doc(r#"{"_id": 3}"#);
    assert_eq!(between(Some(&primary), None, "_id_"), Ok(vec!["3".to_owned(), "4".to_owned()]));
    let unhinted = find_with(&session, doc("{}").as_raw(), |operation| operation.min = Some(one_x.as_raw()));
    assert_eq!(unhinted.expect_err("refused").code.0, 51_173);
}

#[test]
fn return_key_gives_the_keys_of_the_index() {
    let session = database().session();
    insert(&session, &[r#"{"_id": 1, "a": [1, "x"], "b": 2.5}"#, r#"{"_id": 2, "a": null}"#]);
    for index in [
        r#"{"key": {"a": 1, "b": -1}, "name": "a_b"}"#,
        r#"{"key": {"$**": 1}, "name": "all"}"#,
        r#"{"key": {"b": 1}, "name": "b_ci", "collation": {"locale": "en", "strength": 2}}"#,
    ] {
        create_index(&session, index).expect("creates");
    }
    let keys = |filter: &str, hint: Option<&str>| {
        find_with(&session, doc(filter).as_raw(), |operation| {
            operation.hint = hint.map(Hint::Name);
            operation.return_key = true;
            operation.show_record_id = true;
        })
        .expect("finds")
    };
    let scanned = r#"{"a":null,"b":null}"#;
    assert_eq!(keys(r#"{"a": {"$gte": null}}"#, Some("a_b")), [scanned]);
    assert_eq!(keys(r#"{"a": "x"}"#, Some("a_b")), [r#"{"a":"x","b":2.5}"#]);
    assert_eq!(keys(r#"{"a": 1}"#, Some("all")), [r#"{"$_path":"a","a":1}"#]);
    assert_eq!(keys(r#"{"_id": 2}"#, None), [r#"{"_id":2}"#]);
    assert_eq!(keys(r#"{"c": null}"#, None), ["{}", "{}"]);
    let (filter, projection) = (doc(r#"{"a": 1}"#), doc(r#"{"_id": 1, "k": {"$meta": "indexKey"}}"#));
    let projected = find_with(&session, filter.as_raw(), |operation| {
        operation.hint = Some(Hint::Name("a_b"));
        operation.projection = Some(projection.as_raw());
    });
    assert_eq!(projected.expect("finds"), [r#"{"_id":1,"k":{"a":1,"b":2.5}}"#]);
}

#[test]
fn record_ids_tell_documents_apart() {
    let session = database().session();
    insert(&session, &[r#"{"_id": 1}"#, r#"{"_id": "1"}"#]);
    let ids = || {
        find_with(&session, doc("{}").as_raw(), |operation| operation.show_record_id = true)
            .expect("finds")
            .iter()
            .filter_map(|json| json.split("\"$recordId\":").nth(1).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let first = ids();
    assert!(first.len() == 2 && first.first() != first.last(), "{first:?}");
    update(&session, r#"{"_id": 1}"#, r#"{"$set": {"a": 1}}"#, false, false).expect("updates");
    assert_eq!(ids(), first);
}
