//! Records of the log that are whole and do not follow each other, and a log that goes on while it is read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use super::*;
use crate::options::{BackgroundWork, StoreOptions};
use crate::vfs::{FaultVfs, MemoryVfs, Vfs};
use crate::wal::record::RecordHead;
use crate::write_batch::WriteBatch;

fn open(vfs: &Arc<dyn Vfs>) -> Store {
    let options = StoreOptions { background: BackgroundWork::Inline, ..StoreOptions::default() };
    Store::open(Arc::clone(vfs), Path::new("/db"), options).unwrap()
}

fn put(store: &Store) {
    let mut batch = WriteBatch::new();
    batch.put("key", "value");
    store.tablet().commit(batch, None).unwrap();
}

/// A record: its kind, its tablet, its index.
type Written = (RecordKind, u64, u64);

/// What is found after a record of this kind, tablet and index was written behind the others.
fn found_after(store: &Store, (kind, group, index): Written) -> Vec<Error> {
    let timestamp = store.tablet().last_timestamp().next();
    let head = RecordHead { kind, compressed: false, group, term: 1, index, timestamp };
    let mut batch = WriteBatch::new();
    batch.put("key", "another");
    let shared = &store.inner.shared;
    let log = shared.log().unwrap();
    log.append(&mut Vec::new(), &head, batch.reduce().encoded()).unwrap();
    log.sync().unwrap();
    store.verify().problems
}

#[test]
fn a_record_that_does_not_follow_the_one_before_it_is_named() {
    let (batch, again) = (RecordKind::Batch, RecordKind::Again);
    // Commits in sstables, commits in the log alone, the record behind them, and what is said of it.
    let cases: [(usize, usize, Written, Option<&str>); 12] = [
        (0, 0, (batch, 0, 1), None),
        (0, 0, (batch, 0, 2), Some("record 2 of tablet 0 follows record 0")),
        (0, 2, (batch, 0, 3), None),
        (0, 2, (batch, 0, 4), Some("record 4 of tablet 0 follows record 2")),
        (0, 2, (batch, 0, 2), Some("record 2 of tablet 0 follows record 2")),
        (0, 2, (batch, 0, 1), Some("record 1 of tablet 0 follows record 2")),
        (0, 2, (again, 0, 2), None),
        (0, 2, (again, 0, 4), Some("record 4 of tablet 0 follows record 2")),
        (3, 0, (batch, 0, 4), None),
        (3, 0, (batch, 0, 5), Some("record 5 of tablet 0 follows record 3")),
        (3, 1, (batch, 0, 6), Some("record 6 of tablet 0 follows record 4")),
        (0, 1, (batch, 9, 1), Some("tablet 9, which the store never had")),
    ];
    for (in_tables, in_log, record, said) in cases {
        let store = open(&(Arc::new(MemoryVfs::new()) as Arc<dyn Vfs>));
        (0..in_tables).for_each(|_| put(&store));
        store.tablet().flush().unwrap();
        (0..in_log).for_each(|_| put(&store));
        assert!(store.verify().problems.is_empty());
        let problems = found_after(&store, record);
        let what = format!("{in_tables}, {in_log}, {record:?}: {problems:?}");
        match said {
            None => assert!(problems.is_empty(), "{what}"),
            Some(said) => assert!(
                matches!(problems.as_slice(), [Error::Corruption { file, detail, .. }]
                    if file.extension().is_some_and(|e| e == "wal") && detail.contains(said)),
                "{what}"
            ),
        }
    }
}

#[test]
fn segments_that_a_flush_removes_while_they_are_read_are_no_damage() {
    let faults = FaultVfs::new(Arc::new(MemoryVfs::new()));
    let store = Arc::new(open(&(Arc::new(faults.clone()) as Arc<dyn Vfs>)));
    put(&store);
    store.tablet().inner.log().unwrap().rotate().unwrap();
    put(&store);
    let (inner, left, opened) = (store.tablet(), AtomicU64::new(1), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&opened);
    faults.set_hook(move |call| {
        let is_segment = call.path.extension().is_some_and(|extension| extension == "wal");
        if call.operation == "open" && is_segment {
            counted.fetch_add(1, Ordering::Relaxed);
            // Once: what verify has listed is gone before it is opened.
            if left.swap(0, Ordering::Relaxed) > 0 {
                inner.flush().unwrap();
            }
        }
    });
    let report = store.verify();
    faults.set_hook(|_| {});
    assert!(opened.load(Ordering::Relaxed) > 0);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(report.log_records, 0, "all of them are in sstables by now");
}
