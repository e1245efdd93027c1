//! Opening, closing, checkpoints, and what is refused.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sheaf_storage::{
    BackgroundWork, DiskVfs, Durability, Error, IterOptions, ManualClock, Store, StoreOptions, Timestamp,
    Vfs, WriteBatch,
};

use crate::fixture::{DIRECTORY, memory, open, small_options};
use crate::model::forward;

fn put(key: &str, value: &str) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(key, value);
    batch
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let (_, vfs) = memory();
    for round in 0..5 {
        let store = open(&vfs, small_options()).unwrap();
        let tablet = store.tablet();
        for earlier in 0..round {
            let value = tablet.get(format!("k{earlier}").as_bytes()).unwrap().unwrap();
            assert_eq!(&*value, format!("v{earlier}").as_bytes());
        }
        tablet.commit(put(&format!("k{round}"), &format!("v{round}")), None).unwrap();
        if round % 2 == 0 {
            store.close().unwrap();
        }
    }
}

#[test]
fn a_real_disk_with_threads_keeps_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/store");
    let vfs: Arc<dyn Vfs> = Arc::new(DiskVfs);
    let options = StoreOptions { background: BackgroundWork::Threads, ..small_options() };
    let store = Store::open(Arc::clone(&vfs), &path, options.clone()).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let tablet = store.tablet();
            scope.spawn(move || {
                for number in 0..200 {
                    let durability = if number % 100 == 0 { Durability::Sync } else { Durability::Async };
                    let batch = put(&format!("d{writer}-{number:04}"), &"x".repeat(number));
                    tablet.commit(batch, Some(durability)).unwrap();
                }
            });
        }
    });
    store.tablet().compact_all().unwrap();
    store.close().unwrap();
    let store = Store::open(vfs, &path, options).unwrap();
    let mut iter = store.tablet().snapshot().iter(IterOptions::default()).unwrap();
    assert_eq!(forward(&mut iter).len(), 800);
    assert!(store.tablet().verify().problems.is_empty());
}

#[test]
fn a_second_opening_is_refused_while_the_first_lives() {
    let (_, vfs) = memory();
    let first = open(&vfs, small_options()).unwrap();
    assert!(matches!(open(&vfs, small_options()), Err(Error::Locked { .. })));
    first.close().unwrap();
    open(&vfs, small_options()).unwrap();
}

#[test]
fn a_store_of_another_format_version_is_named() {
    let (memory, vfs) = memory();
    open(&vfs, small_options()).unwrap().close().unwrap();
    let path = Path::new(DIRECTORY).join("STORE");
    let mut bytes = memory.contents(&path).unwrap();
    bytes[8] = 77;
    let checksum = crc32c::crc32c(&bytes[..60]).to_le_bytes();
    bytes[60..].copy_from_slice(&checksum);
    memory.overwrite(&path, bytes).unwrap();
    let error = open(&vfs, small_options()).err().unwrap();
    assert!(matches!(error, Error::FormatVersion { found: 77, .. }), "{error}");
}

#[test]
fn a_checkpoint_is_a_store_of_its_own() {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    for number in 0..300 {
        tablet.commit(put(&format!("d{number:03}"), &"v".repeat(number)), None).unwrap();
    }
    tablet.checkpoint(Path::new("/copies/first")).unwrap();
    tablet.commit(put("d000", "later"), None).unwrap();
    tablet.compact_all().unwrap();
    let copy = Store::open(Arc::clone(&vfs), Path::new("/copies/first"), small_options()).unwrap();
    assert_eq!(copy.tablet().get(b"d000").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(copy.tablet().get(b"d299").unwrap().unwrap().len(), 299);
    copy.tablet().commit(put("new", "x"), None).unwrap();
    assert_eq!(tablet.get(b"d000").unwrap().as_deref(), Some(&b"later"[..]));
    assert_eq!(tablet.get(b"new").unwrap(), None);
    assert!(matches!(tablet.checkpoint(Path::new("/copies/first")), Err(Error::InvalidInput(_))));
    drop(copy);
    Store::open(vfs, Path::new("/copies/first"), small_options()).unwrap();
}

#[test]
fn history_is_readable_within_the_retention_window_only() {
    let (_, vfs) = memory();
    let clock = Arc::new(ManualClock::new(1_000));
    let retention = Duration::from_secs(100);
    let store = open(&vfs, StoreOptions { clock: clock.clone(), retention, ..small_options() }).unwrap();
    let tablet = store.tablet();
    let first = tablet.commit(put("k", "1"), None).unwrap();
    clock.advance_micros(50_000_000);
    let second = tablet.commit(put("k", "2"), None).unwrap();
    tablet.compact_all().unwrap();
    assert_eq!(tablet.snapshot_at(first).unwrap().get(b"k").unwrap().as_deref(), Some(&b"1"[..]));
    clock.advance_micros(70_000_000);
    tablet.commit(put("k", "3"), None).unwrap();
    tablet.compact_all().unwrap();
    assert!(matches!(tablet.snapshot_at(first), Err(Error::SnapshotTooOld { .. })));
    assert_eq!(tablet.snapshot_at(second).unwrap().get(b"k").unwrap().as_deref(), Some(&b"2"[..]));
    assert!(matches!(tablet.snapshot_at(Timestamp::MAX), Err(Error::InvalidInput(_))));
    drop((tablet, store));
    let store = open(&vfs, StoreOptions { clock, retention, ..small_options() }).unwrap();
    assert!(matches!(store.tablet().snapshot_at(first), Err(Error::SnapshotTooOld { .. })));
}

#[test]
fn a_decided_timestamp_must_grow_per_key() {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    let late = Timestamp::from_parts(5_000, 1);
    assert_eq!(tablet.commit_at(put("a", "late"), late, None).unwrap(), late);
    let early = Timestamp::from_parts(4_000, 1);
    assert!(matches!(tablet.commit_at(put("a", "early"), early, None), Err(Error::InvalidInput(_))));
    tablet.commit_at(put("b", "early"), early, None).unwrap();
    assert!(tablet.commit(put("c", "next"), None).unwrap() > late);
    assert_eq!(tablet.snapshot_at(early).unwrap().get(b"b").unwrap().as_deref(), Some(&b"early"[..]));
}

#[test]
fn wrong_calls_have_named_errors_and_leave_the_store_as_it_was() {
    let (_, vfs) = memory();
    let missing = open(&vfs, StoreOptions { create_if_missing: false, ..small_options() });
    assert!(matches!(missing, Err(Error::InvalidInput(_))));
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    let refused = |batch: WriteBatch| {
        assert!(matches!(tablet.commit(batch, None), Err(Error::InvalidInput(_))));
    };
    refused(put("", "empty key"));
    refused(put(&"k".repeat(70_000), "long key"));
    let mut reversed = WriteBatch::new();
    reversed.delete_range("b", "a");
    refused(reversed);
    let bounds =
        IterOptions { lower: Some(b"b".to_vec()), upper: Some(b"a".to_vec()), ..IterOptions::default() };
    assert!(matches!(tablet.snapshot().iter(bounds), Err(Error::InvalidInput(_))));
    tablet.commit(put("k", "v"), None).unwrap();
    store.close().unwrap();
    store.close().unwrap();
    assert!(matches!(tablet.commit(put("k", "w"), None), Err(Error::Closed)));
    assert!(matches!(tablet.flush(), Err(Error::Closed)));
    let read_only = open(&vfs, StoreOptions { read_only: true, ..small_options() }).unwrap();
    assert_eq!(read_only.tablet().get(b"k").unwrap().as_deref(), Some(&b"v"[..]));
    assert!(matches!(read_only.tablet().commit(put("k", "w"), None), Err(Error::InvalidInput(_))));
}
