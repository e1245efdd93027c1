//! Choosing by trying, keeping what was chosen, and doubting it.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef, json};

use crate::catalog::IndexSpecification;
use crate::operation::{
    AggregateOperation, AggregateTarget, CountOperation, CreateIndexesOperation, DeleteOperation,
    ExplainOperation, ExplainTarget, FindOperation, InsertOperation, UpdateOperation, Verbosity,
};
use crate::{Database, DatabaseOptions, Namespace, QueryShape, Session};

/// Documents of the collection.
const DOCUMENTS: i32 = 3_000;

fn namespace() -> Namespace {
    Namespace::new("shop", "orders").expect("valid")
}

fn doc(text: &str) -> RawDocumentBuf {
    json::parse_document(text).expect("valid")
}

/// `n` counts up, `half` is 0 or 1, `late` is 1 for the last ten documents only; each has an index.
fn filled() -> Session {
    let session = Database::in_memory(DatabaseOptions::default()).expect("opens").session();
    let documents: Vec<RawDocumentBuf> = (0..DOCUMENTS)
        .map(|n| {
            let mut document = DocumentBuilder::new();
            document.append("_id", n).append("n", n).append("half", n % 2);
            document.append("late", i32::from(n >= DOCUMENTS - 10));
            document.build()
        })
        .collect();
    let raw = documents.iter().map(RawDocumentBuf::as_raw).collect();
    session.insert(&InsertOperation::new(namespace(), raw)).expect("inserts");
    for field in ["half", "n", "late"] {
        create_index(&session, field);
    }
    session
}

fn create_index(session: &Session, field: &str) {
    let specification = doc(&format!(r#"{{"key": {{"{field}": 1}}, "name": "{field}"}}"#));
    let specification = IndexSpecification::parse(specification.as_raw()).expect("a specification");
    let operation = CreateIndexesOperation { namespace: namespace(), indexes: vec![specification] };
    session.create_indexes(&operation).expect("builds");
}

fn find(session: &Session, filter: &str) -> usize {
    let filter = doc(filter);
    let mut cursor = session.find(&FindOperation::new(namespace(), filter.as_raw())).expect("finds");
    cursor.next_batch(usize::MAX, usize::MAX).expect("reads").documents.len()
}

/// The entries of the cache: the index that was chosen, and whether it is active.
fn cached(session: &Session) -> Vec<(String, bool)> {
    let collection = session.find_collection(&namespace()).expect("there");
    let entries = collection.plan_cache.list("here");
    let entry = |entry: &RawDocumentBuf| {
        let entry = entry.as_raw();
        let plan = entry.get("cachedPlan").and_then(ValueRef::as_document).expect("a plan");
        let scan = plan.get("inputStage").and_then(ValueRef::as_document).expect("a scan");
        let name = scan.get("indexName").and_then(ValueRef::as_str).expect("a name").to_owned();
        (name, entry.get("isActive") == Some(ValueRef::Boolean(true)))
    };
    entries.iter().map(entry).collect()
}

fn one(name: &str, is_active: bool) -> Vec<(String, bool)> {
    vec![(name.to_owned(), is_active)]
}

#[test]
fn the_better_index_is_found_by_trying_and_active_the_second_time() {
    let session = filled();
    // By rule a single value comes before a range; half of all documents have this one.
    let few = r#"{"half": 1, "n": {"$lt": 20}}"#;
    assert_eq!(find(&session, few), 10);
    assert_eq!(cached(&session), one("n", false));
    assert_eq!(find(&session, few), 10);
    assert_eq!(cached(&session), one("n", true));
    assert_eq!(find(&session, r#"{"half": 0, "n": {"$lt": 7}}"#), 4, "the same shape");
    assert_eq!(cached(&session), one("n", true));
    assert_eq!(find(&session, r#"{"half": 1, "n": {"$lte": 20}}"#), 10, "another");
    assert_eq!(cached(&session).len(), 2);
}

#[test]
fn what_has_nothing_to_choose_is_not_kept() {
    let session = filled();
    for filter in [
        "{}",
        r#"{"n": 5}"#,
        r#"{"_id": 5, "half": 1, "n": 5}"#,
        r#"{"other": 1}"#,
        r#"{"$or": [{"n": 1}, {"half": 2}]}"#,
    ] {
        find(&session, filter);
    }
    assert!(cached(&session).is_empty());
}

#[test]
fn a_plan_that_strays_is_chosen_anew() {
    let session = filled();
    let few = r#"{"late": 0, "n": {"$lt": 20}}"#;
    for _ in 0..2 {
        assert_eq!(find(&session, few), 20);
    }
    assert_eq!(cached(&session), one("n", true));
    // All of the range is looked at before the first match is met.
    let many = r#"{"late": 1, "n": {"$lt": 3000}}"#;
    assert_eq!(find(&session, many), 10);
    assert_eq!(cached(&session), one("n", false), "ten times as many entries");
    for _ in 0..2 {
        assert_eq!(find(&session, many), 10);
    }
    assert_eq!(cached(&session), one("late", true));
}

#[test]
fn every_operation_uses_what_was_chosen() {
    let session = filled();
    let filter = doc(r#"{"half": 1, "n": {"$lt": 20}}"#);
    let count = CountOperation::new(namespace(), filter.as_raw());
    assert_eq!(session.count(&count).expect("counts"), 10);
    let stage = doc(r#"{"$match": {"half": 1, "n": {"$lt": 20}}}"#);
    let pipeline = vec![ValueRef::Document(stage.as_raw())];
    let aggregate = AggregateOperation::new(AggregateTarget::Collection(namespace()), pipeline);
    let mut cursor = session.aggregate(&aggregate).expect("runs");
    assert_eq!(cursor.next_batch(99, usize::MAX).expect("reads").documents.len(), 10);
    assert_eq!(cached(&session), one("n", true), "a count and a pipeline of one shape");
    let update = doc(r#"{"$set": {"x": 1}}"#);
    let mut operation =
        UpdateOperation::new(namespace(), filter.as_raw(), ValueRef::Document(update.as_raw()));
    operation.multi = true;
    assert_eq!(session.update(&operation).expect("updates").modified, 10);
    let mut operation = DeleteOperation::new(namespace(), filter.as_raw());
    operation.multi = true;
    assert_eq!(session.delete(&operation).expect("deletes").deleted, 10);
    assert_eq!(cached(&session), one("n", true));
}

#[test]
fn changed_indexes_and_commands_forget_plans() {
    let session = filled();
    let few = r#"{"half": 1, "n": {"$lt": 20}}"#;
    let other = r#"{"late": 1, "n": {"$lt": 20}}"#;
    let query = |text: &str| {
        find(&session, few);
        find(&session, other);
        let query = doc(text);
        let empty = RawDocument::EMPTY;
        let shape = QueryShape { query: query.as_raw(), sort: empty, projection: empty, collation: empty };
        session.clear_plan_cache(&namespace(), Some(&shape)).expect("clears");
        cached(&session).len()
    };
    assert_eq!(query(r#"{"half": 77, "n": {"$lt": 1}}"#), 1);
    assert_eq!(query(r#"{"n": 1}"#), 2, "no query of this shape");
    session.clear_plan_cache(&namespace(), None).expect("clears");
    assert!(cached(&session).is_empty());
    find(&session, few);
    create_index(&session, "fresh");
    assert!(cached(&session).is_empty(), "another index may do better");
}

#[test]
fn explanations_show_who_lost_and_leave_the_cache_alone() {
    let session = filled();
    let filter = doc(r#"{"half": 1, "n": {"$lt": 20}}"#);
    let explain = |filter: &RawDocumentBuf| {
        let target = ExplainTarget::Find(FindOperation::new(namespace(), filter.as_raw()));
        let operation = ExplainOperation { target, verbosity: Verbosity::QueryPlanner };
        json::to_relaxed(session.explain(&operation).expect("explains").as_raw())
    };
    let shown = explain(&filter);
    let (winner, losers) = shown.split_once("rejectedPlans").expect("both");
    assert!(winner.contains(r#""indexName":"n""#) && !winner.contains(r#""indexName":"half""#), "{shown}");
    assert!(losers.contains(r#""indexName":"half""#), "{shown}");
    assert!(cached(&session).is_empty());
    let hash = |shown: &str| shown.split_once("planCacheShapeHash").map(|(_, rest)| rest[3..11].to_owned());
    let same = explain(&doc(r#"{"half": 0, "n": {"$lt": 5}}"#));
    assert_eq!(hash(&shown), hash(&same));
    assert_ne!(hash(&shown), hash(&explain(&doc(r#"{"half": 0}"#))));
}

#[test]
fn an_answer_is_gone_on_with_whatever_would_be_chosen_now() {
    let session = filled();
    let filter = doc(r#"{"late": 0, "n": {"$lt": 200}}"#);
    let mut operation = FindOperation::new(namespace(), filter.as_raw());
    let mut cursor = session.find(&operation).expect("finds");
    let mut all = cursor.next_batch(20, usize::MAX).expect("a batch").documents;
    let position = cursor.position().expect("a position");
    // From now on the other index is the cached one.
    for _ in 0..4 {
        find(&session, r#"{"late": 1, "n": {"$lt": 3000}}"#);
    }
    assert_eq!(cached(&session), one("late", true));
    operation.resume_after = Some(&position);
    let mut rest = session.find(&operation).expect("goes on");
    all.extend(rest.next_batch(usize::MAX, usize::MAX).expect("the rest").documents);
    let ids: Vec<_> = all.iter().map(|document| document.as_raw().get("n")).collect();
    let wanted: Vec<_> = (0..200).map(|n| Some(ValueRef::Int32(n))).collect();
    assert_eq!(ids, wanted);
}
