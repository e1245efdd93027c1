//! Comparing documents with index entries, building indexes again, and making them unique after the fact.

use std::path::Path;
use std::sync::Arc;

use sheaf_document::{DocumentBuilder, RawDocument, ValueRef};
use sheaf_engine::operation::{
    DropIndexesOperation, ExplainTarget, FindOperation, IndexReport, IndexTarget, ValidationReport,
};
use sheaf_engine::{Database, Session, error_code};
use sheaf_storage::{IterOptions, MemoryVfs, WriteBatch};

use crate::support::{create_index, database, doc, find, insert, namespace, options, update};

/// One index of every kind.
const INDEXES: [&str; 6] = [
    r#"{"key": {"a": 1, "b": -1}, "name": "plain"}"#,
    r#"{"key": {"n": 1}, "name": "unique", "unique": true}"#,
    r#"{"key": {"a": "hashed"}, "name": "hashed", "partialFilterExpression": {"a": {"$type": "number"}}}"#,
    r#"{"key": {"p": "2dsphere", "n": 1}, "name": "geo"}"#,
    r#"{"key": {"t": "text"}, "name": "text"}"#,
    r#"{"key": {"$**": 1}, "name": "all"}"#,
];

fn filled() -> Session {
    let session = database().session();
    fill(&session);
    session
}

fn fill(session: &Session) {
    insert(
        session,
        &[
            r#"{"_id": 1, "n": 1, "a": 1, "p": [1, 2], "t": "brown fox"}"#,
            r#"{"_id": 2, "n": 2, "a": "x", "b": [1, 2, 2], "t": "fox"}"#,
            r#"{"_id": 3, "n": 3, "p": {"type": "LineString", "coordinates": [[0, 0], [9, 9]]}}"#,
        ],
    );
    for index in INDEXES {
        create_index(session, index).expect("creates");
    }
    insert(session, &[r#"{"_id": 4, "n": 4, "a": 5}"#]);
}

fn report(session: &Session) -> ValidationReport {
    session.validate_collection(&namespace()).expect("validates")
}

fn of<'r>(report: &'r ValidationReport, name: &str) -> &'r IndexReport {
    report.indexes.iter().find(|index| index.name == name).expect("is there")
}

/// The keys of a keyspace with their values.
pub fn stored(session: &Session, keyspace: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
    let snapshot = session.database().store().tablet().snapshot();
    let options = IterOptions {
        lower: Some(vec![keyspace]),
        upper: Some(vec![keyspace + 1]),
        ..IterOptions::default()
    };
    let mut iter = snapshot.iter(options).expect("reads");
    let mut found = Vec::new();
    let mut valid = iter.seek_to_first().expect("reads");
    while valid {
        found.push((iter.key().to_vec(), iter.value().to_vec()));
        valid = iter.next().expect("reads");
    }
    found
}

fn commit(session: &Session, change: impl FnOnce(&mut WriteBatch)) {
    let mut batch = WriteBatch::new();
    change(&mut batch);
    session.database().store().tablet().commit(batch, None).expect("commits");
}

#[test]
fn a_sound_collection_is_valid_and_counted() {
    let session = filled();
    let report = report(&session);
    assert!(report.is_valid(), "{report:?}");
    assert_eq!(report.documents, 4);
    let keys: Vec<_> = report.indexes.iter().map(|index| (index.name.as_str(), index.keys)).collect();
    let geo = of(&report, "geo").keys;
    assert!(geo > 2, "a line has several cells");
    let expected =
        [("_id_", 4), ("plain", 5), ("unique", 4), ("hashed", 2), ("geo", geo), ("text", 3), ("all", 16)];
    assert_eq!(keys, expected);
}

#[test]
fn what_is_dropped_leaves_nothing_in_the_store() {
    let session = filled();
    let before = stored(&session, 0x30).len();
    let target = IndexTarget::Names(vec!["all".to_owned()]);
    session.drop_indexes(&DropIndexesOperation { namespace: namespace(), target }).expect("drops");
    let left = stored(&session, 0x30).len();
    assert!(0 < left && left < before, "{before} {left}");
    session.drop_collection(&namespace()).expect("drops");
    assert!(stored(&session, 0x20).is_empty() && stored(&session, 0x30).is_empty());
}

#[test]
fn every_kind_of_damage_is_found_and_built_again() {
    for number in 0..40 {
        let session = filled();
        let entries = stored(&session, 0x30);
        let Some((key, value)) = entries.get(number) else { break };
        // An entry goes.
        commit(&session, |batch| {
            batch.delete(key.clone());
        });
        let damaged = report(&session);
        let missing: u64 = damaged.indexes.iter().map(|index| index.missing).sum();
        assert_eq!((damaged.is_valid(), missing), (false, 1), "entry {number}");
        assert_eq!(session.reindex(&namespace()).expect("builds"), 7);
        assert!(report(&session).is_valid(), "entry {number}");
        // An entry of nothing appears.
        let entries = stored(&session, 0x30);
        let (key, _) = entries.get(number).expect("as many as before");
        let mut other = key.clone();
        other.push(7);
        commit(&session, |batch| {
            batch.put(other, value.clone());
        });
        let damaged = report(&session);
        let extra: u64 = damaged.indexes.iter().map(|index| index.extra).sum();
        assert_eq!((damaged.is_valid(), extra), (false, 1), "entry {number}");
        session.reindex(&namespace()).expect("builds");
        assert!(report(&session).is_valid(), "entry {number}");
        assert_eq!(find(&session, r#"{"n": 2}"#).len(), 1);
    }
}

#[test]
fn a_damaged_document_is_reported_and_left_alone() {
    let session = filled();
    let (key, value) = stored(&session, 0x20).swap_remove(1);
    commit(&session, |batch| {
        batch.put(key.clone(), value.get(..value.len() - 3).expect("long"));
    });
    let report = report(&session);
    assert_eq!((report.documents, report.invalid_documents, report.corrupt.len()), (4, 1, 1));
    // Its entries are of no document now.
    assert!(of(&report, "plain").extra > 0);
}

#[test]
fn indexes_of_the_first_format_scan_until_they_are_built() {
    let vfs = Arc::new(MemoryVfs::new());
    let open =
        || Database::open_with(Arc::clone(&vfs) as _, Path::new("/db"), options()).expect("opens").session();
    let session = open();
    fill(&session);
    // As the first format left it: no mark, no entries of special indexes, version 1.
    let special = ["geo", "text", "all"];
    for (key, value) in stored(&session, 0x10) {
        let record = RawDocument::validate(&value).expect("a record");
        let Some(ValueRef::Array(indexes)) = record.get("indexes") else { continue };
        let mut old = DocumentBuilder::new();
        for element in record.iter().filter(|element| element.key() != "indexes") {
            old.append_element(element);
        }
        old.array("indexes", |array| {
            for index in indexes.iter().filter_map(ValueRef::as_document) {
                let name =
                    index.get("specification").and_then(ValueRef::as_document).and_then(|s| s.get("name"));
                let id = index.get("id").and_then(|id| match id {
                    ValueRef::Int64(id) => u32::try_from(id).ok(),
                    _ => None,
                });
                if special.iter().any(|special| name == Some(ValueRef::String(special))) {
                    let [a, b, c, d] = id.expect("an id").to_be_bytes();
                    commit(&session, |batch| {
                        batch.delete_range(vec![0x30, a, b, c, d], vec![0x30, a, b, c, d, 0xFF]);
                    });
                }
                array.document(|entry| {
                    for element in index.iter().filter(|element| element.key() != "filled") {
                        entry.append_element(element);
                    }
                });
            }
        });
        commit(&session, |batch| {
            batch.put(key, old.build().into_bytes());
        });
    }
    let mut version = DocumentBuilder::new();
    version.append("version", 1i64);
    commit(&session, |batch| {
        batch.put(vec![0x10, 1], version.build().into_bytes());
    });
    session.database().close().expect("closes");

    let session = open();
    let asked = r#"{"$text": {"$search": "fox"}}"#;
    let plan = |session: &Session| {
        let filter = doc(asked);
        let operation = FindOperation::new(namespace(), filter.as_raw());
        session.explain_text(&ExplainTarget::Find(operation)).expect("plans")
    };
    assert!(plan(&session).contains("CollScan"), "{}", plan(&session));
    assert_eq!(find(&session, asked).len(), 2);
    insert(&session, &[r#"{"_id": 9, "n": 9, "t": "red fox", "p": [3, 3]}"#]);
    let found = report(&session);
    assert!(found.is_valid() && special.iter().all(|name| of(&found, name).is_unfilled), "{found:?}");
    session.reindex(&namespace()).expect("builds");
    assert!(plan(&session).contains("IxScan: text"), "{}", plan(&session));
    assert_eq!(find(&session, asked).len(), 3);
    session.database().close().expect("closes");
    let session = open();
    assert!(plan(&session).contains("IxScan: text"));
    assert!(report(&session).is_valid());
}

#[test]
fn a_unique_key_may_change_its_type_in_place() {
    let session = filled();
    let changed =
        update(&session, r#"{"_id": 1}"#, r#"{"$set": {"n": {"$numberDouble": "1.0"}}}"#, false, false);
    assert_eq!(changed.expect("updates").modified, 1);
    let refused =
        update(&session, r#"{"_id": 1}"#, r#"{"$set": {"n": {"$numberDouble": "2.0"}}}"#, false, false);
    assert_eq!(refused.expect_err("refused").code, error_code::DUPLICATE_KEY);
    assert!(report(&session).is_valid());
}

fn prepare(session: &Session, name: &str) {
    let change = |specification: &mut sheaf_engine::catalog::IndexSpecification| {
        specification.prepare_unique = true;
        Ok(())
    };
    session.change_index(&namespace(), name, change).expect("changes");
}

#[test]
fn an_index_becomes_unique_once_its_duplicates_are_gone() {
    let session = database().session();
    insert(&session, &[r#"{"_id": 1, "a": [1, 5]}"#, r#"{"_id": 2, "a": 1}"#, r#"{"_id": 3, "a": 2}"#]);
    create_index(&session, r#"{"key": {"a": 1}, "name": "a"}"#).expect("creates");
    prepare(&session, "a");
    // The duplicates that are there stay and may be changed elsewhere; no other comes.
    update(&session, r#"{"_id": 2}"#, r#"{"$set": {"b": 1}}"#, false, false).expect("updates");
    let errors = insert(&session, &[r#"{"_id": 4, "a": {"$numberDouble": "2.0"}}"#]).errors;
    assert_eq!(errors.first().expect("refused").error.code, error_code::DUPLICATE_KEY);
    let refused = update(&session, r#"{"_id": 3}"#, r#"{"$set": {"a": 5}}"#, false, false);
    assert_eq!(refused.expect_err("refused").code, error_code::DUPLICATE_KEY);
    let refused = session.make_index_unique(&namespace(), "a", false).expect_err("refused");
    assert_eq!(refused.code, error_code::CANNOT_CONVERT_INDEX_TO_UNIQUE);
    let details = refused.details.expect("violations");
    assert_eq!(crate::support::json(details.as_raw()), r#"{"violations":[{"ids":[1,2]}]}"#);
    update(&session, r#"{"_id": 2}"#, r#"{"$set": {"a": 9}}"#, false, false).expect("updates");
    session.make_index_unique(&namespace(), "a", true).expect("could be");
    session.make_index_unique(&namespace(), "a", false).expect("is made");
    let errors = insert(&session, &[r#"{"_id": 4, "a": [7, 9]}"#]).errors;
    assert_eq!(errors.first().expect("refused").error.code, error_code::DUPLICATE_KEY);
    assert!(report(&session).is_valid());
    assert_eq!(find(&session, r#"{"a": 9}"#).len(), 1);
}

#[test]
fn of_several_inserts_of_one_prepared_key_one_gets_in() {
    let session = database().session();
    create_index(&session, r#"{"key": {"a": 1}, "name": "a"}"#).expect("creates");
    prepare(&session, "a");
    for round in 0..20 {
        let inserted: u64 = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let session = session.database().session();
                    scope.spawn(move || {
                        let document = format!("{{\"_id\": {}, \"a\": {round}}}", round * 10 + writer);
                        insert(&session, &[&document]).inserted
                    })
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().expect("ends")).sum()
        });
        assert_eq!(inserted, 1, "round {round}");
    }
    session.make_index_unique(&namespace(), "a", false).expect("has no duplicates");
}

#[test]
fn a_damaged_file_is_named() {
    let vfs = MemoryVfs::new();
    let database = Database::open_with(Arc::new(vfs.clone()), Path::new("/db"), options()).expect("opens");
    let session = database.session();
    fill(&session);
    database.store().tablet().flush().expect("flushes");
    assert!(session.verify_files().is_empty());
    let mut paths = vfs.files().into_iter().map(|(path, _)| path);
    let path = paths.find(|path| path.extension().is_some_and(|found| found == "sst")).expect("a flush");
    let mut bytes = vfs.contents(&path).expect("reads");
    *bytes.get_mut(9).expect("it is longer") ^= 1;
    vfs.overwrite(&path, bytes).expect("writes");
    let problems = session.verify_files();
    let named = |problem: &String| problem.contains(&path.display().to_string());
    assert!(!problems.is_empty() && problems.iter().all(named), "{problems:?}");
}
