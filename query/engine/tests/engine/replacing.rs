//! A collection that is replaced: whatever fails on the way, there is the old one or the new one, whole.

use std::path::Path;
use std::sync::Arc;

use sheaf_document::ValueRef;
use sheaf_engine::operation::{
    AggregateOperation, AggregateTarget, InsertOperation, RenameCollectionOperation,
};
use sheaf_engine::{Database, Namespace, Result, Session};
use sheaf_storage::{FaultVfs, MemoryVfs, Vfs};

use crate::support::{create_index, doc, find, insert, namespace, options};
use crate::validation::stored;

/// More calls of the file system than any of the operations needs.
const CALLS_MAX: u64 = 2_000;

fn open(vfs: Arc<dyn Vfs>) -> Result<Database> {
    Database::open_with(vfs, Path::new("/db"), options())
}

fn other() -> Namespace {
    Namespace::new("test", "others").expect("valid")
}

/// A collection with an index, and another one beside it, on disk.
fn filled() -> MemoryVfs {
    let vfs = MemoryVfs::new();
    let database = open(Arc::new(vfs.clone())).expect("opens");
    let session = database.session();
    let old: Vec<String> =
        (0..30).map(|id| format!(r#"{{"_id":{id},"v":{},"t":"{}"}}"#, id % 7, "x".repeat(50))).collect();
    insert(&session, &old.iter().map(String::as_str).collect::<Vec<_>>());
    create_index(&session, r#"{"key": {"v": 1}, "name": "v"}"#).expect("creates");
    let new: Vec<_> =
        (0..20).map(|id| doc(&format!(r#"{{"_id":{id},"v":{},"new":true}}"#, 100 + id))).collect();
    let new = new.iter().map(sheaf_document::RawDocumentBuf::as_raw).collect();
    session.insert(&InsertOperation::new(other(), new)).expect("inserts");
    drop(session);
    database.close().expect("closes");
    vfs
}

/// The documents and indexes of the collection, after a look at whether all is sound; and that with its collections
/// everything is gone.
fn everything(vfs: MemoryVfs) -> Vec<String> {
    let database = open(Arc::new(vfs)).expect("opens again");
    let session = database.session();
    let report = session.validate_collection(&namespace()).expect("validates");
    assert!(report.is_valid(), "{report:?}");
    let mut found = find(&session, "{}");
    found.extend(report.indexes.into_iter().map(|index| index.name));
    session.drop_database("test").expect("drops");
    for keyspace in [0x20, 0x30] {
        assert!(stored(&session, keyspace).is_empty(), "something is left that belongs to no collection");
    }
    found
}

/// Runs `replace` again and again, each time with another call of the file system failing and everything behind it, and
/// looks after the power cut that follows.
fn check(replace: impl Fn(&Session) -> Result<()>) {
    let filled = filled();
    let old = everything(filled.crash_clone(0, 100));
    let undisturbed = filled.crash_clone(0, 100);
    let database = open(Arc::new(undisturbed.clone())).expect("opens");
    replace(&database.session()).expect("replaces");
    drop(database);
    let new = everything(undisturbed);
    assert!(old != new && !new.is_empty(), "{old:?} {new:?}");
    let (mut were_old, mut were_new) = (0, 0);
    for call in 0..CALLS_MAX {
        let disk = filled.crash_clone(0, 100);
        let faults = FaultVfs::new(Arc::new(disk.clone()));
        let database = open(Arc::new(faults.clone())).expect("opens");
        faults.add_rule(&format!("fail any after {call}")).expect("a rule");
        let outcome = replace(&database.session());
        let was_disturbed = faults.failures() > 0;
        let survive_percent = match call % 3 {
            0 => 0,
            1 => 50,
            _ => 100,
        };
        let found = everything(disk.crash_clone(call, survive_percent));
        drop(database);
        assert!(found == old || found == new, "call {call}: {outcome:?}, {found:?}");
        if found == old {
            were_old += 1;
        } else {
            were_new += 1;
        }
        if !was_disturbed {
            assert!(outcome.is_ok(), "{outcome:?}");
            assert!(were_old > 0 && were_new > 0, "{were_old} {were_new}");
            return;
        }
    }
    panic!("{CALLS_MAX} calls are not enough");
}

#[test]
fn by_the_result_of_a_pipeline() {
    check(|session| {
        let out = doc(r#"{"$out": "things"}"#);
        let pipeline = vec![ValueRef::Document(out.as_raw())];
        session.aggregate(&AggregateOperation::new(AggregateTarget::Collection(other()), pipeline)).map(drop)
    });
}

#[test]
fn by_a_collection_that_gets_its_name() {
    check(|session| {
        let operation = RenameCollectionOperation { from: other(), to: namespace(), drop_target: true };
        session.rename_collection(&operation)
    });
}

#[test]
fn by_a_capped_copy_of_itself() {
    check(|session| session.copy_as_capped(&namespace(), &namespace(), 1_000));
}

/// Nothing is replaced here, but built beside what is there.
#[test]
fn by_itself_with_another_index() {
    check(|session| create_index(session, r#"{"key": {"t": 1, "v": -1}, "name": "tv"}"#));
}
