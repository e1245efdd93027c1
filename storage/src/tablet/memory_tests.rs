//! What is reserved of the budget is what memtables, files and buffers take, after everything that changes it.

use super::*;
use crate::options::{BackgroundWork, Durability, StoreOptions};
use crate::read::IterOptions;
use crate::store::Store;
use crate::tablet::TabletId;
use crate::vfs::{FaultVfs, MemoryVfs};
use crate::write_batch::WriteBatch;

fn options() -> StoreOptions {
    StoreOptions { background: BackgroundWork::Inline, memtable_bytes: 256 << 10, ..StoreOptions::default() }
}

fn put(tablet: &Tablet, key: &str, bytes: usize) {
    let mut batch = WriteBatch::new();
    batch.put(key, vec![7; bytes]);
    tablet.commit(batch, Some(Durability::Async)).unwrap();
}

/// What was counted last is what there is: the parts of the report, the active memtables at the full size of one, and as much
/// again for the one to come.
#[track_caller]
fn is_reserved(shared: &Shared) {
    let (report, full) = (memory_report(shared), shared.options.memtable_bytes as u64);
    let counted = report.sealed_memtable_bytes
        + report.held_memtable_bytes
        + report.metadata_bytes
        + report.log_buffer_bytes;
    let active = shared.active_bytes().max(full) + full;
    assert_eq!(shared.cache.reserved_bytes(), counted + active, "{report:?}");
    assert!(shared.active_bytes() <= report.active_memtable_bytes, "{report:?}");
}

#[test]
fn what_is_reserved_is_what_is_taken_and_is_given_back() {
    let faults = FaultVfs::new(Arc::new(MemoryVfs::new()));
    let store = Store::open(Arc::new(faults.clone()), "/db".as_ref(), options()).unwrap();
    let tablet = store.tablet();
    let (inner, shared) = (&*tablet.inner, &*tablet.inner.shared);
    is_reserved(shared);
    let mut iters = Vec::new();
    for round in 0..4 {
        (0..20).for_each(|number| put(&tablet, &format!("k{number}"), 3_000));
        let mut iter = tablet.snapshot().iter(IterOptions::default()).unwrap();
        assert!(iter.seek_to_first().unwrap());
        iters.push(iter);
        shared.account_memory();
        assert!(memory_report(shared).log_buffer_bytes > 3_000 && shared.active_bytes() > 60_000);
        is_reserved(shared);
        inner.seal_active().unwrap();
        assert_eq!(shared.active_bytes(), 0);
        is_reserved(shared);
        // Nothing is given back by a flush that fails, and nothing taken.
        let before = memory_report(shared);
        faults.add_rule("fail write *.sst errno 28 once").unwrap();
        assert!(matches!(inner.flush_sealed(), Err(Error::Full { .. })));
        assert_eq!(memory_report(shared), before);
        is_reserved(shared);
        inner.flush_sealed().unwrap();
        let report = memory_report(shared);
        assert_eq!((report.sealed_memtable_bytes, report.log_buffer_bytes), (0, 0));
        assert!(report.held_memtable_bytes > 60_000 * (round + 1), "{report:?}");
        is_reserved(shared);
    }
    // A flush with no readers: those before have been flushed for long.
    iters.clear();
    put(&tablet, "k", 10);
    tablet.flush().unwrap();
    is_reserved(shared);
    put(&tablet, "k", 10);
    tablet.flush().unwrap();
    assert!(lock(&inner.retired).len() <= 1, "nobody reads the others");
    let before = memory_report(shared);
    faults.add_rule("fail write *.sst errno 28 once").unwrap();
    assert!(matches!(tablet.compact_all(), Err(Error::Full { .. })));
    let after = memory_report(shared);
    // What was read is open now.
    assert_eq!(MemoryReport { open_file_bytes: before.open_file_bytes, ..after }, before);
    tablet.compact_all().unwrap();
    assert_eq!(memory_report(shared).held_block_bytes, 0);
    is_reserved(shared);
    tablet.ingest([(b"l".to_vec(), vec![7; 10])]).unwrap();
    is_reserved(shared);
}

#[test]
fn what_tablets_take_beside_each_other_is_given_back() {
    let store = Store::open(Arc::new(MemoryVfs::new()), "/db".as_ref(), options()).unwrap();
    let tablet = store.tablet();
    let shared = &*tablet.inner.shared;
    put(&tablet, "k", 10);
    tablet.flush().unwrap();
    let before = (memory_report(shared), shared.cache.reserved_bytes(), shared.active_bytes());
    let second = store.create_tablet(TabletId(2)).unwrap();
    (0..5).for_each(|number| put(&second, &format!("k{number}"), 2_000));
    assert!(second.inner.tail_bytes.load(Ordering::Relaxed) > 10_000, "to be appended again");
    let tail = second.inner.tail_bytes.load(Ordering::Relaxed);
    assert_eq!(memory_report(shared).log_buffer_bytes, shared.log_buffer_bytes() + tail);
    let active = second.inner.active_bytes.load(Ordering::Relaxed);
    assert!(active > 10_000 && shared.active_bytes() == active);
    second.flush().unwrap();
    assert_eq!(second.inner.tail_bytes.load(Ordering::Relaxed), 0);
    assert_eq!(shared.active_bytes(), 0);
    put(&second, "last", 2_000);
    store.drop_tablet(TabletId(2)).unwrap();
    drop(second);
    // The segment it wrote to is the store's, and so is its buffer.
    tablet.inner.account_memory();
    let after = memory_report(shared);
    assert_eq!(MemoryReport { log_buffer_bytes: before.0.log_buffer_bytes, ..after }, before.0);
    assert_eq!(shared.cache.reserved_bytes() - after.log_buffer_bytes, before.1);
    assert_eq!(shared.active_bytes(), before.2);
}
