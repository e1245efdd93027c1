//! A run of deletes goes, and the smallest files print.

use std::path::Path;

use sheaf_storage::{Store, StoreOptions, WriteBatch, inspect};

use crate::fixture::{DIRECTORY, memory, open, small_options};

fn key(number: usize) -> Vec<u8> {
    format!("i{number:06}").into_bytes()
}

fn fill(store: &Store, keys: usize, bytes: usize) {
    for start in (0..keys).step_by(100) {
        let mut batch = WriteBatch::new();
        (start..start + 100).for_each(|number| batch.put(key(number), vec![number as u8; bytes]));
        store.tablet().commit(batch, None).unwrap();
    }
}

/// All in one table of one level.
fn one_table() -> StoreOptions {
    StoreOptions {
        table_bytes_target: 64 << 20,
        level_base_bytes: 64 << 20,
        block_bytes_lower: 1 << 10,
        cache_bytes: 8 << 20,
        ..small_options()
    }
}

#[test]
fn a_run_of_deleted_keys_goes_although_the_rest_of_its_table_lives() {
    let (_, vfs) = memory();
    let store = open(&vfs, one_table()).unwrap();
    let tablet = store.tablet();
    fill(&store, 5_000, 60);
    tablet.compact_all().unwrap();
    let snapshot = tablet.snapshot();
    let mut batch = WriteBatch::new();
    (2_000..2_600).for_each(|number| batch.delete(key(number)));
    tablet.commit(batch, None).unwrap();
    // Merged while somebody may still read what they hide, so that they stay.
    tablet.compact_all().unwrap();
    let tombstones = || tablet.statistics().levels.iter().map(|level| level.tombstones).sum::<u64>();
    assert_eq!(tombstones(), 600);
    tablet.settle().unwrap();
    assert_eq!(tombstones(), 600);
    drop(snapshot);
    tablet.settle().unwrap();
    assert_eq!(tombstones(), 0, "an eighth of the table, and all of it in one place");
    assert_eq!(tablet.statistics().levels.iter().map(|level| level.entries).sum::<u64>(), 4_400);
}

#[test]
fn the_small_files_of_a_store_print_too() {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let print = |name: &str| {
        let mut out = Vec::new();
        inspect(&vfs, &Path::new(DIRECTORY).join(name), None, &mut out)
            .map(|()| String::from_utf8(out).unwrap())
    };
    let current = print("tablet-1/CURRENT").unwrap();
    assert!(current.starts_with("current manifest "), "{current}");
    assert_eq!(print("LOCK").unwrap(), "lock of a store\n");
    store.close().unwrap();
}
