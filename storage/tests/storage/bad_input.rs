//! Every public call with what no caller should give it: a named error, and the store as it was.

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::{
    Error, IterOptions, Store, StoreOptions, Timestamp, TransactionOptions, Vfs, WriteBatch, inspect, salvage,
};

use crate::fixture::{memory, open, small_options};
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
fn a_snapshot_knows_its_tablet() {
    let ((_, first), (_, second)) = (one(), one());
    let snapshot = first.tablet().snapshot();
    assert!(snapshot.belongs_to(&first.tablet()));
    assert!(!snapshot.belongs_to(&second.tablet()));
}

#[test]
fn savepoints_of_another_transaction_and_of_before_a_rollback_are_refused() {
    let (_, store) = one();
    let tablet = store.tablet();
    let begin = || tablet.begin(TransactionOptions::default()).unwrap();
    let (mut first, mut second) = (begin(), begin());
    // As many writes and as many savepoints in both.
    first.put("a", "1").unwrap();
    second.put("b", "2").unwrap();
    let (of_first, of_second) = (first.savepoint().unwrap(), second.savepoint().unwrap());
    invalid("of another transaction", second.rollback_to(of_first));
    assert_eq!(second.len(), 1);
    first.put("c", "3").unwrap();
    let gone = first.savepoint().unwrap();
    first.rollback_to(of_first).unwrap();
    first.put("d", "4").unwrap();
    let again = first.savepoint().unwrap();
    invalid("of before the rollback", first.rollback_to(gone));
    first.put("e", "5").unwrap();
    first.rollback_to(again).unwrap();
    second.rollback_to(of_second).unwrap();
    first.commit(None).unwrap();
    second.rollback();
    let keys: Vec<_> = all(&store).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [b"a".to_vec(), b"d".to_vec(), b"k".to_vec()]);
}

#[test]
fn a_batch_over_the_limit_is_refused_whole() {
    let (_, store) = one();
    let mut batch = WriteBatch::new();
    // Zeros that nobody touches take no memory.
    for number in 0..=sheaf_storage::limits::BATCH_BYTES_MAX / VALUE_BYTES_MAX {
        batch.put(format!("big{number}"), vec![0; VALUE_BYTES_MAX]);
    }
    invalid("commit", store.tablet().commit(batch.clone(), None));
    invalid("commit at", store.tablet().commit_at(batch, Timestamp::from_parts(9_000, 1), None));
    assert_eq!(all(&store).len(), 1);
    // An empty one is a moment like any other.
    let before = store.tablet().last_timestamp();
    assert!(store.tablet().commit(WriteBatch::new(), None).unwrap() > before);
}

#[test]
fn an_iterator_that_stands_nowhere_shows_nothing_and_moves_nowhere() {
    let (_, store) = one();
    let snapshot = store.tablet().snapshot();
    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
    assert!(!iter.valid() && !iter.next().unwrap() && !iter.prev().unwrap());
    assert!(iter.key().is_empty() && iter.value().is_empty() && iter.value_slice().is_empty());
    iter.status().unwrap();
    assert!(iter.seek_to_last().unwrap() && !iter.next().unwrap() && !iter.valid());
    assert!(iter.seek_to_first().unwrap() && !iter.prev().unwrap() && !iter.valid());
    for (lower, upper) in [(b"x".to_vec(), b"x".to_vec()), (vec![b'k'; KEY_BYTES_MAX + 9], vec![b'z'])] {
        let options = IterOptions { lower: Some(lower), upper: Some(upper), ..IterOptions::default() };
        let mut empty = snapshot.iter(options).unwrap();
        assert!(!empty.seek_to_first().unwrap() && !empty.seek_to_last().unwrap());
        assert!(!empty.seek(b"").unwrap() && !empty.seek_for_prev(&vec![0xff; KEY_BYTES_MAX + 9]).unwrap());
    }
}

#[test]
fn places_that_are_no_store_are_named_and_left_alone() {
    let (disk, vfs) = memory();
    let options = || StoreOptions { create_if_missing: false, ..small_options() };
    invalid("nothing there", Store::open(Arc::clone(&vfs), Path::new("/nowhere"), options()).map(|_| ()));
    let salvaged = salvage(&vfs, Path::new("/nowhere"), Path::new("/saved"), small_options()).unwrap_err();
    assert!(matches!(&salvaged, Error::Io { operation: "list", file, .. } if file == Path::new("/nowhere")));
    invalid("read-only", open(&vfs, StoreOptions { read_only: true, ..small_options() }).map(|_| ()));
    let mut out = Vec::new();
    let missing = inspect(&vfs, Path::new("/nowhere/0000000001.sst"), None, &mut out).unwrap_err();
    assert!(matches!(missing, Error::Io { operation: "open", .. }), "{missing}");
    disk.create_dir(Path::new("/other")).unwrap();
    disk.create(Path::new("/other/notes.txt")).unwrap().append(b"hello, world").unwrap();
    invalid("a foreign file", inspect(&vfs, Path::new("/other/notes.txt"), None, &mut out));
    assert_eq!(out, b"");
    assert_eq!(disk.files().len(), 1);

    let (_, store) = one();
    let same = (Path::new("/one"), Path::new("/two"));
    let (disk, vfs) = memory();
    let first = Store::open(Arc::clone(&vfs), same.0, small_options()).unwrap();
    let second = Store::open(Arc::clone(&vfs), same.1, small_options()).unwrap();
    for taken in [same.0, same.1] {
        let locked = Store::open(Arc::clone(&vfs), taken, small_options()).map(|_| ());
        assert!(matches!(&locked, Err(Error::Locked { directory }) if directory == taken), "{locked:?}");
        let before = disk.files();
        invalid("checkpoint into a store", first.checkpoint(taken));
        invalid("checkpoint into a store", second.tablet().checkpoint(taken));
        assert_eq!(disk.files().len(), before.len());
    }
    let mut batch = WriteBatch::new();
    batch.put("k", "v");
    second.tablet().commit(batch, None).unwrap();
    second.close().unwrap();
    first.close().unwrap();
    invalid("salvage into a store", salvage(&vfs, same.0, same.1, small_options()).map(|_| ()));
    let again = Store::open(vfs, same.1, small_options()).unwrap();
    assert_eq!(all(&again), all(&store));
}
