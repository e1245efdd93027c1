//! Going on where an earlier cursor stood: how much is looked at for it.

use sheaf_document::{DocumentBuilder, RawDocumentBuf, ValueRef, json};

use super::{Cursor, Source};
use crate::catalog::IndexSpecification;
use crate::executor::Examined;
use crate::operation::{
    CreateIndexesOperation, DropIndexesOperation, FindOperation, IndexTarget, InsertOperation,
};
use crate::plan::explain;
use crate::{Database, DatabaseOptions, Namespace, Session, error_code};

/// Documents of the collection.
const DOCUMENTS: i32 = 4_000;
/// Rows of a batch.
const BATCH: usize = 50;
/// Keys and documents that a resumed cursor may look at for its first batch: it begins at most 128 rows too early, 256 at
/// the end of its scan, and looks 128 ahead.
const EXAMINED_MAX: u64 = 256 + 128;

fn namespace() -> Namespace {
    Namespace::new("shop", "orders").expect("valid")
}

fn doc(text: &str) -> RawDocumentBuf {
    json::parse_document(text).expect("valid")
}

/// A collection of numbers with an index on `group` and one on an array.
fn filled() -> Session {
    let database = Database::in_memory(DatabaseOptions::default()).expect("opens");
    let session = database.session();
    let documents: Vec<RawDocumentBuf> = (0..DOCUMENTS)
        .map(|number| {
            let mut document = DocumentBuilder::new();
            document.append("_id", number).append("group", number % 7).append("tail", number / 7);
            document.array("tags", |tags| {
                tags.push(number % 3).push(number % 5);
            });
            document.build()
        })
        .collect();
    let raw = documents.iter().map(RawDocumentBuf::as_raw).collect();
    session.insert(&InsertOperation::new(namespace(), raw)).expect("inserts");
    for key in [r#"{"group": 1, "tail": -1}"#, r#"{"tags": 1}"#] {
        create_index(&session, key);
    }
    session
}

fn create_index(session: &Session, key: &str) {
    let mut specification = DocumentBuilder::new();
    let key = doc(key);
    specification.append_ref("key", ValueRef::Document(key.as_raw()));
    specification.append("name", key.as_raw().iter().map(|part| part.key()).collect::<Vec<_>>().join("_"));
    let specification = IndexSpecification::parse(specification.build().as_raw()).expect("a specification");
    let operation = CreateIndexesOperation { namespace: namespace(), indexes: vec![specification] };
    session.create_indexes(&operation).expect("builds");
}

fn examined(cursor: &Cursor) -> Examined {
    match &cursor.source {
        Source::Plan(plan) => explain::total(plan.execution.root()),
        Source::Ready(_) | Source::Tail(_) => panic!("a plan"),
    }
}

struct Query {
    filter: &'static str,
    sort: &'static str,
    hint: &'static str,
    skip: u64,
    limit: Option<u64>,
}

const PLAIN: Query = Query { filter: "{}", sort: "{}", hint: "{}", skip: 0, limit: None };

/// Reads an answer in batches, resuming after each: the ids, and the most that the first batch of a resumed cursor looked at.
fn read_resuming(session: &Session, query: &Query) -> (Vec<RawDocumentBuf>, u64) {
    let (filter, sort, hint) = (doc(query.filter), doc(query.sort), doc(query.hint));
    let (mut found, mut most) = (Vec::new(), 0);
    let mut position: Option<Vec<u8>> = None;
    loop {
        let mut find = FindOperation::new(namespace(), filter.as_raw());
        (find.skip, find.limit) = (query.skip, query.limit);
        find.sort = Some(sort.as_raw());
        find.hint = Some(crate::operation::Hint::KeyPattern(hint.as_raw()));
        find.resume_after = position.as_deref();
        let mut cursor = session.find(&find).expect("finds");
        let batch = cursor.next_batch(BATCH, usize::MAX).expect("a batch");
        if position.is_some() {
            let examined = examined(&cursor);
            most = most.max(examined.keys.max(examined.documents));
        }
        if batch.documents.is_empty() {
            return (found, most);
        }
        found.extend(batch.documents);
        position = Some(cursor.position().expect("a position"));
    }
}

fn read_whole(session: &Session, query: &Query) -> Vec<RawDocumentBuf> {
    let (filter, sort, hint) = (doc(query.filter), doc(query.sort), doc(query.hint));
    let mut find = FindOperation::new(namespace(), filter.as_raw());
    (find.skip, find.limit) = (query.skip, query.limit);
    find.sort = Some(sort.as_raw());
    find.hint = Some(crate::operation::Hint::KeyPattern(hint.as_raw()));
    session.find(&find).expect("finds").next_batch(usize::MAX, usize::MAX).expect("all").documents
}

#[test]
fn a_resumed_scan_seeks_to_its_place() {
    let session = filled();
    for query in [
        PLAIN,
        Query { sort: r#"{"$natural": -1}"#, ..PLAIN },
        Query { filter: r#"{"group": {"$in": [1, 3, 6]}}"#, ..PLAIN },
        Query { filter: r#"{"group": {"$in": [1, 3, 6]}}"#, sort: r#"{"group": -1, "tail": 1}"#, ..PLAIN },
        Query { filter: r#"{"group": 2}"#, sort: r#"{"tail": 1}"#, skip: 60, limit: Some(300), ..PLAIN },
        Query { filter: r#"{"_id": {"$gte": 500}}"#, hint: r#"{"_id": 1}"#, skip: 3, ..PLAIN },
        Query { skip: 130, limit: Some(1_111), ..PLAIN },
    ] {
        let (found, most) = read_resuming(&session, &query);
        assert_eq!(found, read_whole(&session, &query), "{} {}", query.filter, query.sort);
        assert!(found.len() > 200, "{}", query.filter);
        assert!(most <= EXAMINED_MAX, "{most} looked at for a batch of {} {}", query.filter, query.sort);
    }
}

#[test]
fn what_must_see_everything_again_does_and_gives_the_same() {
    let session = filled();
    for query in [
        // A sort without an index, an index that has documents several times, a union.
        Query { sort: r#"{"tail": 1, "_id": -1}"#, limit: Some(400), ..PLAIN },
        Query { filter: r#"{"tags": {"$gte": 1}}"#, limit: Some(400), ..PLAIN },
        Query { filter: r#"{"$or": [{"group": 1}, {"tags": 4}]}"#, limit: Some(400), ..PLAIN },
    ] {
        let (found, _) = read_resuming(&session, &query);
        assert_eq!(found, read_whole(&session, &query), "{}", query.filter);
        assert_eq!(found.len(), 400);
    }
}

#[test]
fn an_open_cursor_looks_at_each_key_once() {
    let session = filled();
    let filter = doc(r#"{"group": {"$gte": 0}}"#);
    let mut cursor = session.find(&FindOperation::new(namespace(), filter.as_raw())).expect("finds");
    let mut found = 0;
    while !cursor.is_exhausted() {
        found += cursor.next_batch(BATCH, usize::MAX).expect("a batch").documents.len();
    }
    let whole = u64::try_from(DOCUMENTS).expect("positive");
    assert_eq!((examined(&cursor), found), (Examined { keys: whole, documents: whole }, 4_000));
}

#[test]
fn a_position_outlives_new_indexes_and_not_the_loss_of_its_own() {
    let session = filled();
    let filter = doc(r#"{"group": 2}"#);
    let mut find = FindOperation::new(namespace(), filter.as_raw());
    let mut cursor = session.find(&find).expect("finds");
    let mut all = cursor.next_batch(BATCH, usize::MAX).expect("a batch").documents;
    let position = cursor.position().expect("a position");
    find.resume_after = Some(&position);

    // It would be the better one, but the answer is of a time that it knows nothing of.
    create_index(&session, r#"{"group": 1}"#);
    let rest = session.find(&find).expect("goes on").next_batch(usize::MAX, usize::MAX).expect("the rest");
    all.extend(rest.documents);
    let id = |document: &RawDocumentBuf| match document.as_raw().get("_id") {
        Some(ValueRef::Int32(id)) => id,
        other => panic!("{other:?}"),
    };
    let wanted: Vec<i32> = (0..DOCUMENTS).filter(|number| number % 7 == 2).rev().collect();
    assert_eq!(all.iter().map(id).collect::<Vec<_>>(), wanted);

    let drop = DropIndexesOperation {
        namespace: namespace(),
        target: IndexTarget::Names(vec!["group_tail".to_owned()]),
    };
    session.drop_indexes(&drop).expect("drops");
    assert_eq!(session.find(&find).expect_err("refused").code, error_code::QUERY_PLAN_KILLED);
}
