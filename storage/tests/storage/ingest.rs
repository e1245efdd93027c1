//! Bulk load: older versions are hidden, newer ones hide, snapshots see nothing, crashes leave all or nothing.

use std::path::Path;
use std::sync::{Arc, Mutex};

use sheaf_storage::{
    Durability, Error, FaultVfs, IterOptions, MemoryVfs, Store, StoreOptions, Tablet, Vfs, WriteBatch,
};

use crate::fixture::{DIRECTORY, Dice, deep, memory, open, small_options};
use crate::model::{Model, backward, forward, random_batch, random_key};

/// Sorted pairs without duplicates.
fn random_pairs(dice: &mut Dice, keys: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs: Vec<_> = (0..1 + dice.below(60))
        .map(|_| (random_key(dice, keys), vec![dice.below(256) as u8; dice.below(250) as usize]))
        .collect();
    pairs.sort();
    pairs.dedup_by(|a, b| a.0 == b.0);
    pairs
}

fn as_batch(pairs: &[(Vec<u8>, Vec<u8>)]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    pairs.iter().for_each(|(key, value)| batch.put(key.clone(), value.clone()));
    batch
}

fn check(tablet: &Tablet, model: &Model) {
    let snapshot = tablet.snapshot();
    let expected = model.scan(snapshot.timestamp(), None, None);
    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
    assert_eq!(forward(&mut iter), expected);
    assert_eq!(backward(&mut iter), expected);
    for (key, value) in expected.iter().step_by(3) {
        assert_eq!(snapshot.get(key).unwrap().as_deref(), Some(value.as_slice()));
    }
}

#[test]
fn deep_ingest_model() {
    let (seeds, steps) = if deep() { (60, 600) } else { (6, 200) };
    for seed in 0..seeds {
        let (_, vfs) = memory();
        let mut store = open(&vfs, small_options()).unwrap();
        let (mut model, mut dice) = (Model::default(), Dice::new(seed + 500));
        let keys = [30, 400][(seed % 2) as usize];
        let mut pinned = Vec::new();
        for step in 0..steps {
            let tablet = store.tablet();
            match dice.below(10) {
                0..=1 => {
                    let pairs = random_pairs(&mut dice, keys);
                    let timestamp = tablet.ingest(pairs.clone()).unwrap();
                    model.apply(&as_batch(&pairs), timestamp);
                }
                2 if dice.below(8) == 0 => pinned.push(tablet.snapshot()),
                3 if dice.below(10) == 0 => tablet.compact_all().unwrap(),
                4 if dice.below(10) == 0 => {
                    pinned.clear();
                    store.close().unwrap();
                    store = open(&vfs, small_options()).unwrap();
                }
                _ => {
                    let batch = random_batch(&mut dice, keys);
                    let timestamp = tablet.commit(batch.clone(), Some(Durability::Async)).unwrap();
                    model.apply(&batch, timestamp);
                }
            }
            if step % 10 == 0 {
                check(&store.tablet(), &model);
                for snapshot in &pinned {
                    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
                    assert_eq!(forward(&mut iter), model.scan(snapshot.timestamp(), None, None));
                }
            }
        }
        assert!(store.tablet().verify().problems.is_empty());
    }
    println!("stage ingest_model: {seeds} seeds of {steps} steps");
}

#[test]
fn a_wrong_ingestion_leaves_nothing() {
    let (disk, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let pair = |key: &str| (key.as_bytes().to_vec(), b"v".to_vec());
    let before = disk.files();
    for wrong in [vec![pair("b"), pair("a")], vec![pair("a"), pair("a")], vec![pair("")]] {
        assert!(matches!(store.tablet().ingest(wrong), Err(Error::InvalidInput(_))));
    }
    assert_eq!(disk.files(), before);
    let nothing = store.tablet().ingest(Vec::new()).unwrap();
    assert_eq!(nothing, store.tablet().last_timestamp());
    store.close().unwrap();
    assert!(matches!(store.tablet().ingest(vec![pair("a")]), Err(Error::Closed)));
}

#[test]
fn a_crash_leaves_all_of_an_ingestion_or_nothing() {
    let (memory, base) = memory();
    let faults = FaultVfs::new(base);
    let wrecks: Arc<Mutex<Vec<MemoryVfs>>> = Arc::default();
    let (kept, dice) = (Arc::clone(&wrecks), Mutex::new(Dice::new(3)));
    faults.set_hook(move |_| {
        let mut dice = dice.lock().unwrap();
        let survive = [0, 50, 100][dice.below(3) as usize];
        kept.lock().unwrap().push(memory.crash_clone(dice.below(u64::MAX), survive));
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let store = open(&vfs, small_options()).unwrap();
    let (mut model, mut dice) = (Model::default(), Dice::new(8));
    let mut times = Vec::new();
    for _ in 0..12 {
        let batch = random_batch(&mut dice, 40);
        let timestamp = store.tablet().commit(batch.clone(), Some(Durability::None)).unwrap();
        model.apply(&batch, timestamp);
        let pairs = random_pairs(&mut dice, 40);
        let timestamp = store.tablet().ingest(pairs.clone()).unwrap();
        model.apply(&as_batch(&pairs), timestamp);
        times.push(timestamp);
    }
    drop((store, vfs));
    let wrecks = std::mem::take(&mut *wrecks.lock().unwrap());
    for disk in &wrecks {
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        let store = Store::open(vfs, Path::new(DIRECTORY), small_options()).unwrap();
        check(&store.tablet(), &model);
    }
    println!("stage ingest_crash: {} points", wrecks.len());
    assert!(wrecks.len() > 200, "{}", wrecks.len());
}

#[test]
fn files_go_to_the_lowest_level_that_nothing_overlaps() {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    let pairs = |prefix: &str| -> Vec<_> {
        (0..50).map(|number| (format!("i{prefix}{number:03}").into_bytes(), vec![1; 100])).collect()
    };
    let tables = || -> Vec<usize> { tablet.statistics().levels.iter().map(|level| level.tables).collect() };
    tablet.ingest(pairs("a")).unwrap();
    tablet.ingest(pairs("c")).unwrap();
    let bottom = tables();
    assert!(bottom[6] >= 4 && bottom[..6] == [0; 6], "{bottom:?}");
    assert_eq!(tablet.statistics().compactions, 0, "and are not compacted again");
    // Between two that are there: still the bottom. Over one of them: above.
    tablet.ingest(pairs("b")).unwrap();
    assert_eq!(tables()[..6], [0; 6]);
    tablet.ingest(pairs("a")).unwrap();
    assert!(tables()[..6] != [0; 6], "{:?}", tables());
    // What is in a memtable is older and must not end up above what is ingested.
    let mut batch = WriteBatch::new();
    batch.put("id010", "older");
    tablet.commit(batch, None).unwrap();
    tablet.ingest(pairs("d")).unwrap();
    assert_eq!(tablet.get(b"id010").unwrap().unwrap().len(), 100);
    tablet.compact_all().unwrap();
    assert_eq!(tablet.get(b"id010").unwrap().unwrap().len(), 100);
}

#[test]
fn what_a_memtable_deletes_by_range_is_older_than_what_is_ingested() {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    let mut batch = WriteBatch::new();
    batch.delete_range("ia", "iz");
    tablet.commit(batch, None).unwrap();
    tablet.ingest(vec![(b"ib".to_vec(), b"1".to_vec()), (b"iz".to_vec(), b"2".to_vec())]).unwrap();
    assert_eq!(tablet.get(b"ib").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(tablet.get(b"iz").unwrap().as_deref(), Some(&b"2"[..]));
    let all = |tablet: &Tablet| forward(&mut tablet.snapshot().iter(IterOptions::default()).unwrap()).len();
    assert_eq!(all(&tablet), 2);
    tablet.compact_all().unwrap();
    assert_eq!(all(&tablet), 2);
}

#[test]
fn files_ingested_during_a_compaction_stay_above_what_it_writes() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let options = StoreOptions { l0_compaction_trigger: 8, l0_slowdown: 8, l0_stop: 10, ..small_options() };
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    for key in ["ia", "iz"] {
        tablet.ingest(vec![(key.as_bytes().to_vec(), vec![1; 50])]).unwrap();
        let mut batch = WriteBatch::new();
        batch.put(key, "newer");
        tablet.commit(batch, None).unwrap();
        tablet.flush().unwrap();
    }
    // No table covers the place yet. Between the keys that the compaction reads, so that its output covers the place.
    let (during, once) = (tablet.clone(), std::sync::atomic::AtomicBool::new(false));
    faults.set_hook(move |call| {
        let sstable = call.path.extension().is_some_and(|extension| extension == "sst");
        if call.operation == "sync" && sstable && !once.swap(true, std::sync::atomic::Ordering::SeqCst) {
            let tablet = during.clone();
            let ingest = move || tablet.ingest(vec![(b"im".to_vec(), vec![2; 50])]).unwrap();
            std::thread::spawn(ingest).join().unwrap();
        }
    });
    tablet.compact_all().unwrap();
    faults.set_hook(|_| {});
    let levels: Vec<usize> = tablet.statistics().levels.iter().map(|level| level.tables).collect();
    assert_eq!(levels[0], 1, "{levels:?}");
    let all = forward(&mut tablet.snapshot().iter(IterOptions::default()).unwrap());
    assert_eq!(all.len(), 3);
    assert!(tablet.statistics().poisoned.is_none());
    tablet.compact_all().unwrap();
    assert_eq!(forward(&mut tablet.snapshot().iter(IterOptions::default()).unwrap()), all);
}

#[test]
fn what_was_committed_before_an_ingestion_is_as_durable_as_it_is() {
    for durability in [Durability::None, Durability::Async] {
        let (disk, vfs) = memory();
        let store = open(&vfs, small_options()).unwrap();
        let tablet = store.tablet();
        let pairs = |key: &str| vec![(key.as_bytes().to_vec(), b"value".to_vec())];
        tablet.commit(as_batch(&pairs("a")), Some(durability)).unwrap();
        tablet.ingest(pairs("z")).unwrap();
        // The power goes, and nothing that was not synced is there.
        let vfs: Arc<dyn Vfs> = Arc::new(disk.crash_clone(1, 0));
        let after = open(&vfs, small_options()).unwrap().tablet();
        let found = [b"a", b"z"].map(|key| after.get(key).unwrap().is_some());
        assert_eq!(found, [true, true], "{durability:?}");
    }
}
