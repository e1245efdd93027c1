//! Pipelines, views and writing stages.

use sheaf_document::{RawDocumentBuf, ValueRef};
use sheaf_engine::catalog::CollectionOptions;
use sheaf_engine::operation::{AggregateOperation, AggregateTarget, CreateCollectionOperation};
use sheaf_engine::{Namespace, Result, Session, error_code};

use crate::support::{create_index, database, doc, find, insert, json, namespace, update};

fn run(session: &Session, target: AggregateTarget, stages: &[&str]) -> Result<Vec<String>> {
    let stages: Vec<RawDocumentBuf> = stages.iter().map(|stage| doc(stage)).collect();
    let pipeline = stages.iter().map(|stage| ValueRef::Document(stage.as_raw())).collect();
    let mut cursor = session.aggregate(&AggregateOperation::new(target, pipeline))?;
    let mut found = Vec::new();
    while !cursor.is_exhausted() {
        found.extend(cursor.next_batch(3, 1 << 20)?.documents.iter().map(|document| json(document.as_raw())));
    }
    Ok(found)
}

fn aggregate(session: &Session, stages: &[&str]) -> Vec<String> {
    run(session, AggregateTarget::Collection(namespace()), stages).expect("runs")
}

fn shop() -> Session {
    let session = database().session();
    insert(
        &session,
        &[
            r#"{"_id":1,"c":"x","n":5,"t":["a","b"]}"#,
            r#"{"_id":2,"c":"y","n":7,"t":[]}"#,
            r#"{"_id":3,"c":"x","n":1,"t":["b"]}"#,
            r#"{"_id":4,"c":"z","n":2}"#,
        ],
    );
    session
}

#[test]
fn stages_follow_each_other() {
    let session = shop();
    assert_eq!(
        aggregate(
            &session,
            &[
                r#"{"$match": {"c": {"$in": ["x", "y"]}}}"#,
                r#"{"$group": {"_id": "$c", "sum": {"$sum": "$n"}}}"#,
                r#"{"$sort": {"_id": 1}}"#,
            ]
        ),
        [r#"{"_id":"x","sum":6}"#, r#"{"_id":"y","sum":7}"#]
    );
    assert_eq!(
        aggregate(
            &session,
            &[r#"{"$unwind": "$t"}"#, r#"{"$sort": {"t": -1, "_id": 1}}"#, r#"{"$project": {"t": 1}}"#]
        ),
        [r#"{"_id":1,"t":"b"}"#, r#"{"_id":3,"t":"b"}"#, r#"{"_id":1,"t":"a"}"#]
    );
    assert_eq!(
        aggregate(&session, &[r#"{"$skip": 1}"#, r#"{"$limit": 2}"#, r#"{"$count": "n"}"#]),
        [r#"{"n":2}"#]
    );
}

#[test]
fn documents_need_no_collection() {
    let session = database().session();
    let target = || AggregateTarget::Database("test".to_owned());
    let stages = [r#"{"$documents": [{"a": 1}, {"a": 2}]}"#, r#"{"$match": {"a": 2}}"#];
    assert_eq!(run(&session, target(), &stages).expect("runs"), [r#"{"a":2}"#]);
    let error = run(&session, target(), &[r#"{"$match": {}}"#]).expect_err("refused");
    assert_eq!(error.code, error_code::INVALID_NAMESPACE);
}

#[test]
fn lookups_facets_and_unions() {
    let session = shop();
    assert_eq!(
        aggregate(
            &session,
            &[
                r#"{"$match": {"_id": 3}}"#,
                r#"{"$lookup": {"from": "things", "localField": "c", "foreignField": "c", "as": "same",
                    "pipeline": [{"$project": {"n": 1}}]}}"#,
                r#"{"$project": {"same": 1}}"#,
            ]
        ),
        [r#"{"_id":3,"same":[{"_id":1,"n":5},{"_id":3,"n":1}]}"#]
    );
    assert_eq!(
        aggregate(
            &session,
            &[
                r#"{"$match": {"_id": 1}}"#,
                r#"{"$lookup": {"from": "things", "let": {"n": "$n"}, "as": "more",
                    "pipeline": [{"$match": {"$expr": {"$gt": ["$n", "$$n"]}}}, {"$project": {"_id": 1}}]}}"#,
                r#"{"$project": {"more": 1}}"#,
            ]
        ),
        [r#"{"_id":1,"more":[{"_id":2}]}"#]
    );
    assert_eq!(
        aggregate(
            &session,
            &[
                r#"{"$facet": {"n": [{"$count": "all"}], "first": [{"$limit": 1}, {"$project": {"_id": 1}}]}}"#
            ]
        ),
        [r#"{"n":[{"all":4}],"first":[{"_id":1}]}"#]
    );
    assert_eq!(
        aggregate(
            &session,
            &[
                r#"{"$match": {"_id": 1}}"#,
                r#"{"$unionWith": {"coll": "things", "pipeline": [{"$match": {"n": 7}}]}}"#,
                r#"{"$project": {"n": 1}}"#,
            ]
        ),
        [r#"{"_id":1,"n":5}"#, r#"{"_id":2,"n":7}"#]
    );
}

#[test]
fn graphs_are_walked_once() {
    let session = database().session();
    insert(&session, &[r#"{"_id":"a","to":"b"}"#, r#"{"_id":"b","to":"c"}"#, r#"{"_id":"c","to":"a"}"#]);
    assert_eq!(
        aggregate(
            &session,
            &[
                r#"{"$match": {"_id": "a"}}"#,
                r#"{"$graphLookup": {"from": "things", "startWith": "$to", "connectFromField": "to",
                    "connectToField": "_id", "as": "found", "depthField": "d"}}"#,
                r#"{"$unwind": "$found"}"#,
                r#"{"$project": {"_id": "$found._id", "d": "$found.d"}}"#,
            ]
        ),
        [r#"{"_id":"b","d":0}"#, r#"{"_id":"c","d":1}"#, r#"{"_id":"a","d":2}"#]
    );
}

fn try_view(session: &Session, name: &str, view_on: &str, stages: &[&str]) -> sheaf_engine::Result<()> {
    let options = CollectionOptions {
        view_on: Some(view_on.to_owned()),
        pipeline: Some(stages.iter().map(|stage| doc(stage)).collect()),
        ..CollectionOptions::default()
    };
    let namespace = Namespace::new("test", name).expect("valid");
    session.create_collection(&CreateCollectionOperation { namespace, options })
}

fn view(session: &Session, name: &str, view_on: &str, stages: &[&str]) {
    try_view(session, name, view_on, stages).expect("creates");
}

#[test]
fn views_compose_and_cannot_be_written() {
    let session = shop();
    view(&session, "small", "things", &[r#"{"$match": {"n": {"$lt": 6}}}"#]);
    view(&session, "names", "small", &[r#"{"$project": {"c": 1}}"#]);
    let names = AggregateTarget::Collection(Namespace::new("test", "names").expect("valid"));
    assert_eq!(
        run(&session, names, &[r#"{"$match": {"c": "x"}}"#, r#"{"$count": "n"}"#]).expect("runs"),
        [r#"{"n":2}"#]
    );
    view(&session, "ring", "ring2", &[]);
    let closed = try_view(&session, "ring2", "ring", &[]).expect_err("a ring");
    assert_eq!(closed.code, error_code::GRAPH_CONTAINS_CYCLE);
    let documents = [doc("{}")];
    let into_view = sheaf_engine::operation::InsertOperation::new(
        Namespace::new("test", "names").expect("valid"),
        documents.iter().map(RawDocumentBuf::as_raw).collect(),
    );
    let error = session.insert(&into_view).expect_err("refused");
    assert_eq!(error.code, error_code::COMMAND_NOT_SUPPORTED_ON_VIEW);
}

#[test]
fn out_replaces_and_merge_merges() {
    let session = shop();
    let target = AggregateTarget::Collection(Namespace::new("test", "target").expect("valid"));
    let all = |session: &Session| run(session, target.clone(), &[r#"{"$sort": {"_id": 1}}"#]).expect("runs");
    aggregate(&session, &[r#"{"$match": {"c": "x"}}"#, r#"{"$project": {"n": 1}}"#, r#"{"$out": "target"}"#]);
    assert_eq!(all(&session), [r#"{"_id":1,"n":5}"#, r#"{"_id":3,"n":1}"#]);
    aggregate(
        &session,
        &[
            r#"{"$match": {"_id": {"$gte": 3}}}"#,
            r#"{"$project": {"c": 1}}"#,
            r#"{"$merge": {"into": "target"}}"#,
        ],
    );
    assert_eq!(all(&session), [r#"{"_id":1,"n":5}"#, r#"{"_id":3,"n":1,"c":"x"}"#, r#"{"_id":4,"c":"z"}"#]);
    let no_index = [r#"{"$merge": {"into": "target", "on": "c"}}"#];
    let error = run(&session, AggregateTarget::Collection(namespace()), &no_index).expect_err("refused");
    assert_eq!(error.code.0, 51_183);
}

#[test]
fn an_update_may_be_a_pipeline() {
    let session = shop();
    create_index(&session, r#"{"key": {"n": 1}, "name": "n_1"}"#).expect("creates");
    let filter = doc(r#"{"c": "x"}"#);
    let stage = doc(r#"{"s": [{"$set": {"n": {"$add": ["$n", 100]}}}, {"$unset": "t"}]}"#);
    let Some(stages) = stage.as_raw().get("s") else { panic!("an array") };
    let mut operation = sheaf_engine::operation::UpdateOperation::new(namespace(), filter.as_raw(), stages);
    operation.multi = true;
    assert_eq!(session.update(&operation).expect("updates").modified, 2);
    assert_eq!(
        find(&session, r#"{"n": {"$gt": 100}}"#),
        [r#"{"_id":3,"c":"x","n":101}"#, r#"{"_id":1,"c":"x","n":105}"#]
    );
    assert!(update(&session, "{}", r#"{"$nope": {}}"#, false, false).is_err());
}

#[test]
fn system_stages_are_strict_about_their_arguments() {
    let session = shop();
    let collection = || AggregateTarget::Collection(namespace());
    let code = |target, stage| run(&session, target, &[stage]).expect_err("refused").code.0;
    assert_eq!(code(collection(), r#"{"$collStats": {"Count": {}}}"#), 40_415);
    assert_eq!(code(collection(), r#"{"$querySettings": {}}"#), 73);
    assert_eq!(code(AggregateTarget::Database("test".to_owned()), r#"{"$currentOp": {}}"#), 73);
    let admin = || AggregateTarget::Database("admin".to_owned());
    assert_eq!(code(admin(), r#"{"$currentOp": {"allUsers": 1}}"#), 14);
    assert_eq!(code(admin(), r#"{"$listLocalSessions": {"users": [{"user": "u"}]}}"#), 40_414);
    assert_eq!(
        aggregate(&session, &[r#"{"$collStats": {"count": {}}}"#, r#"{"$project": {"count": 1}}"#]),
        [r#"{"count":4}"#]
    );
    assert_eq!(
        aggregate(&session, &[r#"{"$indexStats": {}}"#, r#"{"$project": {"name": 1}}"#]),
        [r#"{"name":"_id_"}"#]
    );
}

#[test]
fn places_and_texts_are_found() {
    let session = database().session();
    insert(
        &session,
        &[
            r#"{"_id":1,"p":{"type":"Point","coordinates":[10,10]},"t":"running dogs"}"#,
            r#"{"_id":2,"p":{"type":"Point","coordinates":[1,1]},"t":"a cat"}"#,
        ],
    );
    let near = r#"{"p": {"$near": {"$geometry": {"type": "Point", "coordinates": [0, 0]}}}}"#;
    let refused = crate::support::find_with(&session, doc(near).as_raw(), |_| {}).expect_err("no index");
    assert_eq!(refused.code, error_code::NO_QUERY_EXECUTION_PLANS);
    create_index(&session, r#"{"key": {"p": "2dsphere"}, "name": "p"}"#).expect("creates");
    let ids: Vec<_> = find(&session, near).iter().map(|found| found.chars().nth(7).expect("an id")).collect();
    assert_eq!(ids, ['2', '1']);
    let near = r#"{"$geoNear": {"near": {"type": "Point", "coordinates": [0, 0]}, "distanceField": "d.m",
        "distanceMultiplier": 0.001, "maxDistance": 200000, "includeLocs": "at"}}"#;
    assert_eq!(
        aggregate(
            &session,
            &[near, r#"{"$project": {"d": {"$round": ["$d.m", 0]}, "at": "$at.coordinates"}}"#]
        ),
        [r#"{"_id":2,"d":157.0,"at":[1,1]}"#]
    );
    let text = r#"{"$text": {"$search": "dog"}}"#;
    let refused = crate::support::find_with(&session, doc(text).as_raw(), |_| {}).expect_err("no index");
    assert_eq!(refused.code, error_code::INDEX_NOT_FOUND);
    create_index(&session, r#"{"key": {"t": "text"}, "name": "t_text"}"#).expect("creates");
    assert_eq!(find(&session, text).len(), 1);
    let bad = insert(&session, &[r#"{"_id":3,"p":"nowhere"}"#]);
    assert_eq!(bad.errors[0].error.code.0, 16_755);
}
