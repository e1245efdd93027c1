//! How often the file system is asked: scans read ahead, many keys share blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sheaf_storage::{FaultVfs, IterOptions, Keyspace, KeyspaceOptions, Store, StoreOptions, Vfs, WriteBatch};

use crate::fixture::{memory, open, small_options};

const KEYS: usize = 4_000;

fn key(number: usize) -> Vec<u8> {
    format!("i{number:06}").into_bytes()
}

/// A store in one level with a cache that is empty, and a counter of reads of its sstables.
fn cold(options: &StoreOptions) -> (Store, Arc<AtomicU64>) {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let reads = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&reads);
    faults.set_hook(move |call| {
        if call.operation == "read" && call.path.extension().is_some_and(|extension| extension == "sst") {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let store = open(&vfs, options.clone()).unwrap();
    for start in (0..KEYS).step_by(100) {
        let mut batch = WriteBatch::new();
        (start..start + 100).for_each(|number| batch.put(key(number), vec![number as u8; 60]));
        store.tablet().commit(batch, None).unwrap();
    }
    store.tablet().compact_all().unwrap();
    store.close().unwrap();
    let store = open(&vfs, options.clone()).unwrap();
    // Index and filter are read by the first lookup.
    store.tablet().get(&key(0)).unwrap();
    reads.store(0, Ordering::Relaxed);
    (store, reads)
}

fn large_tables() -> StoreOptions {
    StoreOptions {
        table_bytes_target: 64 << 20,
        level_base_bytes: 64 << 20,
        block_bytes_lower: 1 << 10,
        cache_bytes: 4 << 20,
        index_part_bytes: 32 << 10,
        ..small_options()
    }
}

#[test]
fn a_scan_reads_several_blocks_at_once_and_a_short_one_does_not() {
    let (store, reads) = cold(&large_tables());
    let snapshot = store.tablet().snapshot();
    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
    assert!(iter.seek(&key(2_000)).unwrap());
    for _ in 0..10 {
        iter.next().unwrap();
    }
    let short = reads.swap(0, Ordering::Relaxed);
    assert!(short <= 4, "ten keys took {short} reads");
    let before = store.tablet().memory_report();
    let mut shown = 0;
    let mut more = iter.seek_to_first().unwrap();
    while more {
        assert_eq!(iter.value(), vec![shown as u8; 60]);
        shown += 1;
        more = iter.next().unwrap();
    }
    assert_eq!(shown, KEYS);
    let blocks = KEYS as u64 * 60 / 1_024;
    let long = reads.load(Ordering::Relaxed);
    assert!(long * 8 < blocks, "{blocks} blocks took {long} reads");
    drop(iter);
    let after = store.tablet().memory_report();
    assert!(after.held_block_bytes <= before.held_block_bytes, "what was read ahead is given back");
}

#[test]
fn keys_of_one_block_share_one_look() {
    let (store, _) = cold(&large_tables());
    let keys: Vec<Vec<u8>> = (0..1_000).map(|number| key(number * 3)).rev().collect();
    let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let looks = || {
        let cache = store.tablet().statistics().cache;
        cache.hits + cache.misses
    };
    let before = looks();
    let found = store.tablet().snapshot().multi_get(&asked).unwrap();
    let together = looks() - before;
    let before = looks();
    for (key, found) in keys.iter().zip(&found) {
        assert_eq!(store.tablet().get(key).unwrap().as_deref(), found.as_deref());
        assert!(found.is_some());
    }
    let alone = looks() - before;
    assert!(together * 3 < alone, "{together} looks together, {alone} one by one");
}

#[test]
fn statistics_know_what_is_alive_in_blob_files() {
    let (_, vfs) = memory();
    let mut options = StoreOptions { blob_garbage_percent_max: 100, ..small_options() };
    let separate = KeyspaceOptions { blob_threshold_bytes: Some(100), ..KeyspaceOptions::default() };
    options.keyspaces.insert(Keyspace(b'd'), separate);
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    let write = |length: usize| {
        let mut batch = WriteBatch::new();
        (0..20).for_each(|number| batch.put(format!("d{number:02}"), vec![number as u8; length]));
        tablet.commit(batch, None).unwrap();
        tablet.flush().unwrap();
    };
    write(300);
    let first = tablet.statistics();
    assert!(first.blob_live_bytes >= 6_000 && first.blob_garbage_bytes == 0, "{first:?}");
    let mut batch = WriteBatch::new();
    (0..10).for_each(|number| batch.delete(format!("d{number:02}")));
    tablet.commit(batch, None).unwrap();
    tablet.compact_all().unwrap();
    let second = tablet.statistics();
    assert_eq!(second.blob_live_bytes, first.blob_live_bytes / 2);
    assert_eq!(second.blob_garbage_bytes, first.blob_live_bytes / 2);
}
