//! Databases as earlier builds wrote them still open, answer, and can be written. One directory per format version of the document
//! layer, never changed once released.
//!
//! `frozen/v2` was written by [`write_database`] with the environment variable below naming the directory the others are in.
//! `frozen/v1` has what versions 1 and 2 store alike (collections by `_id`, ordered and hashed indexes), and the version record of
//! 1. A change that makes this build unable to read one needs a new format version.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sheaf_document::{RawDocumentBuf, ValueRef};
use sheaf_engine::catalog::{CollectionOptions, IndexSpecification};
use sheaf_engine::operation::{
    CreateCollectionOperation, CreateIndexesOperation, InsertOperation, UpdateOperation,
};
use sheaf_engine::{Database, Namespace, Result, Session, error_code};
use sheaf_storage::{DiskVfs, MemoryVfs, Store, Vfs, WriteBatch};

use crate::support::{doc, find_with, options};

/// Every format version there has been.
const VERSIONS: [i32; 2] = [1, 2];
/// Where to write new frozen databases; unset in an ordinary run.
const FREEZE_DIRECTORY: &str = "SHEAF_FREEZE_DIRECTORY";
/// The key of the record that holds the version.
const FORMAT_KEY: [u8; 2] = [0x10, 0x01];

fn name(collection: &str) -> Namespace {
    Namespace::new("test", collection).expect("valid")
}

/// Documents with every kind of value that has a key, some of them arrays, some missing.
fn documents() -> Vec<RawDocumentBuf> {
    let values = [
        "null",
        r#"{"$numberInt":"7"}"#,
        r#"{"$numberLong":"7"}"#,
        r#"{"$numberDouble":"7.5"}"#,
        r#"{"$numberDecimal":"8.50"}"#,
        r#"{"$numberDouble":"NaN"}"#,
        r#""text""#,
        r#"{"x":1}"#,
        r#"[1,"two",[3]]"#,
        "[]",
        r#"{"$binary":{"base64":"AAEC","subType":"00"}}"#,
        r#"{"$oid":"0123456789abcdef01234567"}"#,
        "true",
        r#"{"$date":{"$numberLong":"-1"}}"#,
        r#"{"$timestamp":{"t":5,"i":6}}"#,
        r#"{"$regularExpression":{"pattern":"a.b","options":"i"}}"#,
        r#"{"$minKey":1}"#,
        r#"{"$maxKey":1}"#,
    ];
    let with = |(number, value): (usize, &&str)| {
        doc(&format!(
            r#"{{"_id":{number},"v":{value},"n":{},"long":"{}","place":{{"type":"Point","coordinates":[{},{}]}}}}"#,
            number % 5,
            "words of a document ".repeat(number * 20),
            number * 9,
            number * 4
        ))
    };
    let mut documents: Vec<RawDocumentBuf> = values.iter().enumerate().map(with).collect();
    // Values as identifiers, but for those that cannot be one.
    // The integer is there twice, once long: one identifier.
    let may_be_id = |value: &&&str| {
        !value.starts_with('[') && !value.contains("regular") && !value.contains("Long\":\"7")
    };
    documents.extend(
        values.iter().filter(may_be_id).map(|value| doc(&format!(r#"{{"_id":{{"of":{value}}},"n":9}}"#))),
    );
    documents
}

/// Indexes that are the same in both versions, then those that came with 2.
fn indexes(version: i32) -> Vec<&'static str> {
    let mut indexes = vec![
        r#"{"key":{"v":1},"name":"v_1"}"#,
        r#"{"key":{"n":1,"v":-1},"name":"n_1_v_-1"}"#,
        r#"{"key":{"n":"hashed"},"name":"n_hashed"}"#,
        r#"{"key":{"place.type":1},"name":"sparse","sparse":true}"#,
        r#"{"key":{"v":1,"_id":1},"name":"unique","unique":true}"#,
    ];
    if version > 1 {
        indexes.extend([
            r#"{"key":{"place":"2dsphere"},"name":"place_2dsphere"}"#,
            r#"{"key":{"long":"text"},"name":"long_text"}"#,
            r#"{"key":{"$**":1},"name":"all"}"#,
        ]);
    }
    indexes
}

fn insert(session: &Session, collection: &str, documents: &[RawDocumentBuf]) -> Result<()> {
    let raw = documents.iter().map(RawDocumentBuf::as_raw).collect();
    let outcome = session.insert(&InsertOperation::new(name(collection), raw))?;
    assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
    Ok(())
}

fn create(session: &Session, collection: &str, options: CollectionOptions) -> Result<()> {
    session.create_collection(&CreateCollectionOperation { namespace: name(collection), options }).map(drop)
}

fn numbered(number: i64) -> RawDocumentBuf {
    let milliseconds = number * 700_000;
    doc(&format!(
        r#"{{"_id":{number},"t":{{"$date":{{"$numberLong":"{milliseconds}"}}}},"m":{}}}"#,
        number % 3
    ))
}

/// Writes the frozen database of a version.
fn write_database(vfs: &Arc<dyn Vfs>, path: &Path, version: i32) -> Result<()> {
    let database = Database::open_with(Arc::clone(vfs), path, options())?;
    let session = database.session();
    let documents = documents();
    let (first, rest) = documents.split_at(10);
    insert(&session, "things", first)?;
    let parsed = indexes(version).into_iter().map(|index| IndexSpecification::parse(doc(index).as_raw()));
    let indexes = parsed.collect::<Result<Vec<_>>>()?;
    session.create_indexes(&CreateIndexesOperation { namespace: name("things"), indexes })?;
    insert(&session, "things", rest)?;
    if version > 1 {
        let capped = CollectionOptions {
            capped: true,
            size_bytes: Some(4_096),
            documents_max: Some(5),
            ..Default::default()
        };
        create(&session, "capped", capped)?;
        let series = Some(doc(r#"{"timeField":"t","metaField":"m"}"#));
        create(&session, "series", CollectionOptions { time_series: series, ..Default::default() })?;
        for collection in ["capped", "series"] {
            insert(&session, collection, &(0..12).map(numbered).collect::<Vec<_>>())?;
        }
    }
    drop(session);
    database.close()?;
    drop(database);
    let store = Store::open(Arc::clone(vfs), path, options().store).expect("opens");
    let mut batch = WriteBatch::new();
    batch.put(FORMAT_KEY, doc(&format!(r#"{{"version":{{"$numberInt":"{version}"}}}}"#)).into_bytes());
    store.tablet().commit(batch, None).expect("commits");
    store.close().expect("closes");
    Ok(())
}

fn copy(from: &dyn Vfs, source: &Path, to: &MemoryVfs, target: &Path) {
    for part in ["", "log", "tablet-1"] {
        let (source, target) = (source.join(part), target.join(part));
        to.create_dir(&target).expect("creates");
        for name in from.list(&source).expect("lists") {
            if let Ok(file) = from.open_read(&source.join(&name))
                && name.contains(|letter: char| letter == '.' || letter.is_ascii_uppercase())
            {
                let mut bytes = vec![0; usize::try_from(file.len().expect("has a length")).expect("small")];
                file.read_exact_at(0, &mut bytes).expect("reads");
                to.create(&target.join(name)).expect("creates").append(&bytes).expect("writes");
            }
        }
    }
}

fn find(session: &Session, collection: &str, filter: &str) -> Vec<String> {
    find_with(session, doc(filter).as_raw(), |operation| operation.namespace = name(collection))
        .expect("finds")
}

/// That the database answers what one that was written just now answers.
fn compare(frozen: &Session, fresh: &Session, version: i32) {
    let mut filters = vec![
        r#"{}"#,
        r#"{"_id":3}"#,
        r#"{"_id":{"of":7}}"#,
        r#"{"v":7}"#,
        r#"{"v":"two"}"#,
        r#"{"v":{"$gte":7}}"#,
        r#"{"n":{"$gt":1},"v":{"$type":"string"}}"#,
        r#"{"n":4}"#,
    ];
    if version > 1 {
        filters.extend([
            r#"{"place":{"$nearSphere":{"$geometry":{"type":"Point","coordinates":[18,8]},"$maxDistance":2000000}}}"#,
            r#"{"$text":{"$search":"document"}}"#,
        ]);
    }
    for filter in filters {
        let found = find(frozen, "things", filter);
        assert!(!found.is_empty(), "{filter}");
        assert_eq!(found, find(fresh, "things", filter), "{filter}");
    }
    for collection in if version > 1 { ["capped", "series"].as_slice() } else { &[] } {
        let found = find(frozen, collection, "{}");
        assert_eq!(found, find(fresh, collection, "{}"), "{collection}");
        assert_eq!(found.len(), if *collection == "capped" { 5 } else { 12 });
    }
    let indexes = |session: &Session| session.list_indexes(&name("things")).expect("lists");
    assert_eq!(indexes(frozen), indexes(fresh));
}

#[test]
fn databases_of_every_released_format_version_open() {
    if let Some(directory) = std::env::var_os(FREEZE_DIRECTORY) {
        let vfs: Arc<dyn Vfs> = Arc::new(DiskVfs);
        for version in VERSIONS {
            let path = Path::new(&directory).join(format!("v{version}"));
            write_database(&vfs, &path, version).expect("writes");
        }
    }
    let frozen = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/engine/frozen");
    for version in VERSIONS {
        let path = Path::new("/db");
        let (disk, fresh) = (MemoryVfs::new(), Arc::new(MemoryVfs::new()) as Arc<dyn Vfs>);
        copy(&DiskVfs, &frozen.join(format!("v{version}")), &disk, path);
        write_database(&fresh, path, version).expect("writes");
        let fresh = Database::open_with(fresh, path, options()).expect("opens");
        // The first time it may be taken over, the second time it has been.
        for _ in 0..2 {
            let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
            let database = Database::open_with(vfs, path, options()).expect("opens");
            compare(&database.session(), &fresh.session(), version);
            database.close().expect("closes");
        }
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        let session = Database::open_with(vfs, path, options()).expect("opens").session();
        let documents = documents();
        let taken = InsertOperation::new(name("things"), vec![documents[0].as_raw()]);
        let refused = session.insert(&taken).expect("runs").errors;
        assert_eq!(refused[0].error.code, error_code::DUPLICATE_KEY);
        let (filter, change) = (doc(r#"{"_id":3}"#), doc(r#"{"$set":{"v":"changed"}}"#));
        let mut update =
            UpdateOperation::new(name("things"), filter.as_raw(), ValueRef::Document(change.as_raw()));
        update.multi = false;
        session.update(&update).expect("updates");
        assert_eq!(find(&session, "things", r#"{"v":"changed"}"#).len(), 1, "through the index");
    }
}
