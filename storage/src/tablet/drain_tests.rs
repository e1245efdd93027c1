//! Who asks for everything to be compacted, settled or closed finds the files nobody needs gone, whatever the pace of removals.

use std::path::Path;

use super::*;
use crate::options::StoreOptions;
use crate::read::IterOptions;
use crate::store::Store;
use crate::vfs::MemoryVfs;
use crate::write_batch::WriteBatch;

/// A store in which files wait to be removed as if a thread were to do it and took its time.
fn store() -> (MemoryVfs, Store) {
    let disk = MemoryVfs::new();
    let options = StoreOptions {
        background: BackgroundWork::Inline,
        l0_compaction_trigger: 3,
        ..StoreOptions::default()
    };
    let store = Store::open(std::sync::Arc::new(disk.clone()), Path::new("/db"), options).unwrap();
    store.tablet().inner.shared.open_files.removals.begin();
    (disk, store)
}

fn put(tablet: &Tablet, key: &str) {
    let mut batch = WriteBatch::new();
    batch.put(key, "value");
    tablet.commit(batch, None).unwrap();
}

fn sstables(disk: &MemoryVfs) -> usize {
    let paths = disk.files().into_iter().map(|(path, _)| path);
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "sst")).count()
}

#[test]
fn what_was_compacted_is_gone_when_a_compaction_of_everything_returns() {
    let (disk, store) = store();
    for key in ["a", "b"] {
        put(&store.tablet(), key);
        store.tablet().flush().unwrap();
    }
    assert_eq!(sstables(&disk), 2);
    store.tablet().compact_all().unwrap();
    assert_eq!(sstables(&disk), 1);
}

#[test]
fn what_was_compacted_is_gone_when_a_store_has_settled() {
    let (disk, store) = store();
    for key in ["k1", "k2", "k3"] {
        put(&store.tablet(), key);
        store.tablet().inner.seal_active().unwrap();
        store.tablet().inner.flush_sealed().unwrap();
    }
    store.tablet().settle().unwrap();
    let levels = store.tablet().statistics().levels;
    assert_eq!((levels[0].tables, sstables(&disk)), (0, levels.iter().map(|level| level.tables).sum()));
}

#[test]
fn what_a_reader_kept_is_gone_when_a_store_was_closed() {
    let (disk, store) = store();
    for key in ["a", "b"] {
        put(&store.tablet(), key);
        store.tablet().flush().unwrap();
    }
    let held = store.tablet().snapshot().iter(IterOptions::default()).unwrap();
    store.tablet().compact_all().unwrap();
    assert_eq!(sstables(&disk), 3, "an iterator reads two of them");
    drop(held);
    assert_eq!(store.tablet().inner.shared.open_files.removals.waiting().0, 2);
    store.close().unwrap();
    assert_eq!(sstables(&disk), 1);
}
