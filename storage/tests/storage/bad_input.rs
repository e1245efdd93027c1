//! Every public call with what no caller should give it: a named error, and the store as it was.

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::{
    Error, IterOptions, Locking, Store, StoreOptions, Timestamp, TransactionOptions, Vfs, WriteBatch,
};

use crate::fixture::{DIRECTORY, memory, open, small_options};
use crate::model::forward;

const KEY_BYTES_MAX: usize = sheaf_storage::limits::KEY_BYTES_MAX;
const VALUE_BYTES_MAX: usize = sheaf_storage::limits::VALUE_BYTES_MAX;

fn all(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap())
}

fn one() -> (Arc<dyn Vfs>, Store) {
    let (_, vfs) = memory();
    let options = StoreOptions { memory_bytes: Some(1 << 30), ..small_options() };
    let store = open(&vfs, options).unwrap();
    let mut batch = WriteBatch::new();
    batch.put("k", "v");
    store.tablet().commit(batch, None).unwrap();
    (vfs, store)
}

fn invalid<T: std::fmt::Debug>(what: &str, result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::InvalidInput(_))), "{what}: {result:?}");
}

fn closed<T: std::fmt::Debug>(what: &str, result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Closed)), "{what}: {result:?}");
}

#[test]
fn empty_and_oversized_keys_are_refused_by_writes_and_absent_for_reads() {
    let (_, store) = one();
    let tablet = store.tablet();
    for key in [Vec::new(), vec![b'k'; KEY_BYTES_MAX + 1]] {
        let mut put = WriteBatch::new();
        put.put(key.clone(), "v");
        invalid("put", tablet.commit(put.clone(), None));
        invalid("put at", tablet.commit_at(put, Timestamp::from_parts(9_000, 1), None));
        let mut delete = WriteBatch::new();
        delete.delete(key.clone());
        invalid("delete", tablet.commit(delete, None));
        let mut range = WriteBatch::new();
        range.delete_range(key.clone(), vec![b'z'; 9]);
        if !key.is_empty() {
            invalid("range", tablet.commit(range, None));
        }
        invalid("ingest", tablet.ingest([(key.clone(), b"v".to_vec())]));
        invalid("excise", tablet.excise(&key, b"zz"));
        let mut transaction = tablet.begin(TransactionOptions::default()).unwrap();
        let written = transaction.put(key.clone(), "v").and_then(|()| transaction.commit(None).map(|_| ()));
        invalid("transaction", written);
        assert_eq!(tablet.get(&key).unwrap(), None);
        let snapshot = tablet.snapshot();
        assert_eq!(snapshot.multi_get(&[&key, b"k"]).unwrap().iter().flatten().count(), 1);
        let mut iter =
            snapshot.iter(IterOptions { lower: Some(key.clone()), ..IterOptions::default() }).unwrap();
        let found = iter.seek(&key).unwrap();
        assert_eq!(found, key.is_empty());
        iter.seek_for_prev(&key).unwrap();
        let transaction = tablet.begin(TransactionOptions::default()).unwrap();
        assert_eq!(transaction.get(&key).unwrap(), None);
    }
    let mut largest = WriteBatch::new();
    largest.put(vec![b'k'; KEY_BYTES_MAX], "v");
    tablet.commit(largest, None).unwrap();
    tablet.compact_all().unwrap();
    assert!(tablet.get(&vec![b'k'; KEY_BYTES_MAX]).unwrap().is_some());
    assert_eq!(all(&store).len(), 2);
}

#[test]
fn values_over_the_limit_are_refused_and_the_largest_is_kept() {
    let (_, store) = one();
    let tablet = store.tablet();
    let value = vec![7; VALUE_BYTES_MAX + 1];
    let mut put = WriteBatch::new();
    put.put("big", value.clone());
    invalid("put", tablet.commit(put, None));
    invalid("ingest", tablet.ingest([(b"big".to_vec(), value.clone())]));
    let mut transaction = tablet.begin(TransactionOptions::default()).unwrap();
    invalid("transaction", transaction.put("big", value).and_then(|()| transaction.commit(None).map(|_| ())));
    assert_eq!(all(&store).len(), 1);
    let mut put = WriteBatch::new();
    put.put("big", vec![7; VALUE_BYTES_MAX]);
    tablet.commit(put, None).unwrap();
    assert_eq!(tablet.get(b"big").unwrap().unwrap().len(), VALUE_BYTES_MAX);
}

#[test]
fn bounds_and_timestamps_that_make_no_sense_are_refused() {
    let (_, store) = one();
    let tablet = store.tablet();
    let mut put = WriteBatch::new();
    put.put("k", "w");
    for timestamp in [Timestamp::ZERO, Timestamp::MAX] {
        invalid("commit at", tablet.commit_at(put.clone(), timestamp, None));
    }
    invalid("the future", tablet.snapshot_at(Timestamp::MAX).map(|_| ()));
    invalid("a transaction in the future", {
        let options =
            TransactionOptions { read_timestamp: Some(Timestamp::MAX), ..TransactionOptions::default() };
        tablet.begin(options).map(|_| ())
    });
    for (lower, upper) in [("b", "a"), ("a", "a")] {
        let mut batch = WriteBatch::new();
        batch.delete_range(lower, upper);
        invalid("range", tablet.commit(batch, None));
        invalid("excise", tablet.excise(lower.as_bytes(), upper.as_bytes()));
        let mut transaction = tablet.begin(TransactionOptions::default()).unwrap();
        let deleted =
            transaction.delete_range(lower, upper).and_then(|()| transaction.commit(None).map(|_| ()));
        invalid("transaction", deleted);
    }
    let reversed =
        IterOptions { lower: Some(b"b".to_vec()), upper: Some(b"a".to_vec()), ..IterOptions::default() };
    invalid("iterator", tablet.snapshot().iter(reversed).map(|_| ()));
    // A savepoint of another transaction.
    let mut first = tablet.begin(TransactionOptions::default()).unwrap();
    first.put("a", "1").unwrap();
    let savepoint = first.savepoint().unwrap();
    let mut second = tablet.begin(TransactionOptions::default()).unwrap();
    invalid("foreign savepoint", second.rollback_to(savepoint));
    assert_eq!(all(&store), [(b"k".to_vec(), b"v".to_vec())]);
}

#[test]
fn a_closed_store_refuses_every_write_and_still_reads() {
    let (vfs, store) = one();
    let tablet = store.tablet();
    let snapshot = tablet.snapshot();
    let mut pessimistic = tablet
        .begin(TransactionOptions {
            locking: Locking::Pessimistic { patience: std::time::Duration::ZERO },
            ..TransactionOptions::default()
        })
        .unwrap();
    pessimistic.put("k", "w").unwrap();
    store.close().unwrap();
    let mut put = WriteBatch::new();
    put.put("k", "w");
    closed("commit", tablet.commit(put.clone(), None));
    closed("commit at", tablet.commit_at(put, Timestamp::from_parts(9_000, 1), None));
    closed("transaction", pessimistic.commit(None));
    closed("ingest", tablet.ingest([(b"a".to_vec(), b"b".to_vec())]));
    closed("excise", tablet.excise(b"a", b"b"));
    closed("flush", tablet.flush());
    closed("sync", tablet.sync());
    closed("compact", tablet.compact_all());
    closed("settle", tablet.settle());
    closed("checkpoint", tablet.checkpoint(Path::new("/copy")));
    closed("rotate", store.rotate_master_key(&crate::fixture::master_key("x")));
    store.close().unwrap();
    assert_eq!(snapshot.get(b"k").unwrap().as_deref(), Some(&b"v"[..]));
    assert!(tablet.verify().problems.is_empty());
    assert!(tablet.memory_report().total_bytes() > 0);
    let again = open(&vfs, small_options()).unwrap();
    assert_eq!(all(&again), [(b"k".to_vec(), b"v".to_vec())]);
    assert_eq!(
        snapshot.get(b"k").unwrap().as_deref(),
        Some(&b"v"[..]),
        "a handle of before reads what it read"
    );
}

#[test]
fn a_snapshot_knows_its_tablet() {
    let ((_, first), (_, second)) = (one(), one());
    let snapshot = first.tablet().snapshot();
    assert!(snapshot.belongs_to(&first.tablet()));
    assert!(!snapshot.belongs_to(&second.tablet()));
}

#[test]
fn options_that_can_not_work_are_refused_before_anything_is_created() {
    let (disk, vfs) = memory();
    let wrong: Vec<(&str, StoreOptions)> = vec![
        ("memtable", StoreOptions { memtable_bytes: 10, ..small_options() }),
        ("sealed", StoreOptions { sealed_memtables_max: 0, ..small_options() }),
        ("segment", StoreOptions { wal_segment_bytes: 10, ..small_options() }),
        ("open files", StoreOptions { open_files_max: 0, ..small_options() }),
        ("filter part", StoreOptions { filter_part_bytes: 1, ..small_options() }),
        ("index part", StoreOptions { index_part_bytes: 1, ..small_options() }),
        ("memory", StoreOptions { memory_bytes: Some(1), ..small_options() }),
        ("level growth", StoreOptions { level_growth: 1, ..small_options() }),
        ("stop", StoreOptions { l0_stop: 1, ..small_options() }),
        ("garbage", StoreOptions { blob_garbage_percent_max: 101, ..small_options() }),
    ];
    for (what, options) in wrong {
        invalid(what, open(&vfs, options).map(|_| ()));
    }
    invalid("no store", open(&vfs, StoreOptions { create_if_missing: false, ..small_options() }).map(|_| ()));
    invalid("read-only", open(&vfs, StoreOptions { read_only: true, ..small_options() }).map(|_| ()));
    assert!(disk.files().iter().all(|(path, _)| !path.starts_with(DIRECTORY)));
}
