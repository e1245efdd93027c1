//! What a salvage brings over: of a store that is whole, exactly what it holds; of a damaged one, all but what is damaged.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sheaf_storage::{FaultVfs, IterOptions, Store, StoreOptions, Tablet, Vfs, WriteBatch, salvage};

use crate::fixture::{DIRECTORY, Dice, memory, open, small_options};
use crate::model::{Model, forward, random_batch, random_key};

const KEYS: u64 = 60;

/// What the new store in `target` holds, after a salvage that lost nothing.
fn salvaged(vfs: &Arc<dyn Vfs>, target: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let report = salvage(vfs, Path::new(DIRECTORY), Path::new(target), small_options()).unwrap();
    assert!(report.lost.is_empty(), "{report:?}");
    content(vfs, target)
}

fn content(vfs: &Arc<dyn Vfs>, directory: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let store = Store::open(Arc::clone(vfs), Path::new(directory), small_options()).unwrap();
    forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap())
}

/// Fails with the keys that are not the same.
fn same(found: &[(Vec<u8>, Vec<u8>)], expected: &[(Vec<u8>, Vec<u8>)], seed: u64) {
    let key = |pair: &&(Vec<u8>, Vec<u8>)| String::from_utf8_lossy(&pair.0).into_owned();
    let only = |some: &[(Vec<u8>, Vec<u8>)], others: &[(Vec<u8>, Vec<u8>)]| {
        some.iter().filter(|pair| !others.contains(pair)).map(|pair| key(&pair)).collect::<Vec<_>>()
    };
    let (wrong, missing) = (only(found, expected), only(expected, found));
    assert!(wrong.is_empty() && missing.is_empty(), "seed {seed}: wrong {wrong:?}, missing {missing:?}");
}

fn ingestible(dice: &mut Dice) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs: Vec<_> =
        (0..20).map(|_| (random_key(dice, KEYS), vec![dice.below(256) as u8; 150])).collect();
    pairs.sort();
    pairs.dedup_by(|a, b| a.0 == b.0);
    pairs
}

#[test]
fn a_whole_store_comes_over_as_it_is() {
    for seed in 0..12 {
        let (_, vfs) = memory();
        let store = open(&vfs, small_options()).unwrap();
        let (tablet, mut model, mut dice) = (store.tablet(), Model::default(), Dice::new(seed));
        // Who reads keeps files that no longer count.
        let mut held = Vec::new();
        for step in 0..300 {
            if step % 60 == 59 {
                let pairs = ingestible(&mut dice);
                let mut batch = WriteBatch::new();
                pairs.iter().for_each(|(key, value)| batch.put(key.clone(), value.clone()));
                model.apply(&batch, tablet.ingest(pairs).unwrap());
            }
            let batch = random_batch(&mut dice, KEYS);
            model.apply(&batch, tablet.commit(batch.clone(), None).unwrap());
            if step % 70 == 0 {
                let mut iter = tablet.snapshot().iter(IterOptions::default()).unwrap();
                iter.seek_to_first().unwrap();
                held.push(iter);
            }
            if step == 150 {
                tablet.compact_all().unwrap();
            }
        }
        let expected = model.scan(tablet.snapshot().timestamp(), None, None);
        same(&salvaged(&vfs, "/while_open"), &expected, seed);
        drop(held);
        store.close().unwrap();
        same(&salvaged(&vfs, "/closed"), &expected, seed);
    }
}

#[test]
fn what_was_deleted_stays_deleted_wherever_that_is_written() {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    let commit = |write: &dyn Fn(&mut WriteBatch)| {
        let mut batch = WriteBatch::new();
        write(&mut batch);
        tablet.commit(batch, None).unwrap();
    };
    for key in ["compacted", "flushed", "logged", "ranged", "kept"] {
        commit(&|batch| batch.put(key, "old"));
    }
    tablet.flush().unwrap();
    let mut iter = tablet.snapshot().iter(IterOptions::default()).unwrap();
    iter.seek_to_first().unwrap();
    commit(&|batch| batch.delete("compacted"));
    tablet.compact_all().unwrap();
    commit(&|batch| batch.delete("flushed"));
    tablet.flush().unwrap();
    commit(&|batch| batch.delete("logged"));
    commit(&|batch| batch.delete_range("range", "rangf"));
    assert_eq!(salvaged(&vfs, "/saved"), [(b"kept".to_vec(), b"old".to_vec())]);
}

#[test]
fn an_ingested_version_has_the_time_of_its_ingestion() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    // A compaction would write the time into the entries.
    let apart = StoreOptions { l0_compaction_trigger: 20, l0_slowdown: 20, l0_stop: 30, ..small_options() };
    let store = open(&vfs, apart).unwrap();
    let put = |tablet: &Tablet, key: &str, value: &str| {
        let mut batch = WriteBatch::new();
        batch.put(key, value);
        tablet.commit(batch, None).unwrap();
    };
    let tablet = store.tablet();
    put(&tablet, "a", "before");
    put(&tablet, "b", "before");
    // Commits go on while the sstable is written, which has its time only when it is done.
    let (meanwhile, once) = (store.tablet(), AtomicBool::new(true));
    faults.set_hook(move |call| {
        if call.path.extension().is_some_and(|extension| extension == "sst")
            && once.swap(false, Ordering::Relaxed)
        {
            put(&meanwhile, "a", "meanwhile");
        }
    });
    let pair = |key: &str| (key.as_bytes().to_vec(), b"ingested".to_vec());
    tablet.ingest([pair("a"), pair("b"), pair("c")]).unwrap();
    faults.set_hook(|_| {});
    put(&tablet, "b", "after");
    let expected = [("a", "ingested"), ("b", "after"), ("c", "ingested")];
    let expected = expected.map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()));
    assert_eq!(forward(&mut tablet.snapshot().iter(IterOptions::default()).unwrap()), expected);
    assert_eq!(salvaged(&vfs, "/saved"), expected);
}

#[test]
fn of_a_table_only_the_damaged_block_is_lost() {
    let (disk, vfs) = memory();
    let one_table = StoreOptions {
        memtable_bytes: 1 << 20,
        wal_segment_bytes: 1 << 20,
        table_bytes_target: 1 << 20,
        ..small_options()
    };
    let store = open(&vfs, one_table).unwrap();
    let tablet = store.tablet();
    let key = |number: u32| format!("i{number:04}").into_bytes();
    for number in 0..400 {
        let mut batch = WriteBatch::new();
        batch.put(key(number), vec![number as u8; 20]);
        tablet.commit(batch, None).unwrap();
    }
    tablet.flush().unwrap();
    store.close().unwrap();
    let is_table = |path: &Path| path.extension().is_some_and(|extension| extension == "sst");
    let tables: Vec<_> = disk.files().into_iter().filter(|(path, _)| is_table(path)).collect();
    let [(path, _)] = tables.as_slice() else { panic!("{tables:?}") };
    let whole = disk.contents(path).unwrap();
    // Blocks of 256 bytes hold some ten keys.
    for at in [100, whole.len() / 3, whole.len() / 2] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        disk.overwrite(path, damaged).unwrap();
        let target = format!("/saved-{at}");
        let report = salvage(&vfs, Path::new(DIRECTORY), Path::new(&target), small_options()).unwrap();
        assert_eq!((report.tables, report.lost.len()), (1, 1), "{report:?}");
        let found: Vec<Vec<u8>> = content(&vfs, &target).into_iter().map(|(key, _)| key).collect();
        let lost: Vec<u32> = (0..400).filter(|number| !found.contains(&key(*number))).collect();
        let (first, last) = (lost[0], lost[lost.len() - 1]);
        assert!((1..=20).contains(&lost.len()), "{lost:?}");
        assert_eq!(last - first + 1, lost.len() as u32, "one block: {lost:?}");
    }
}
