//! A range of keys goes with its files: nothing is rewritten, snapshots keep theirs, crashes leave all or nothing.

use std::path::Path;
use std::sync::{Arc, Mutex};

use sheaf_storage::{
    Durability, Error, FaultVfs, IterOptions, MemoryVfs, StoreOptions, Tablet, Vfs, WriteBatch,
};

use crate::fixture::{Dice, memory, open, small_options};
use crate::model::{Model, backward, forward, random_batch, random_key};

fn filled(tablet: &Tablet, prefix: &str, count: usize) {
    for number in 0..count {
        let mut batch = WriteBatch::new();
        batch.put(format!("{prefix}{number:04}"), vec![number as u8; 40 + number % 200]);
        tablet.commit(batch, Some(Durability::Async)).unwrap();
    }
}

fn all(tablet: &Tablet) -> Vec<(Vec<u8>, Vec<u8>)> {
    forward(&mut tablet.snapshot().iter(IterOptions::default()).unwrap())
}

fn stored_bytes(disk: &MemoryVfs) -> u64 {
    let is_data = |path: &std::path::Path| path.extension().is_some_and(|e| e == "sst" || e == "blob");
    disk.files().iter().filter(|(path, _)| is_data(path)).map(|(_, length)| length).sum()
}

#[test]
fn the_files_go_and_nothing_is_rewritten() {
    let (disk, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    filled(&tablet, "dkeep", 40);
    filled(&tablet, "dmove", 400);
    filled(&tablet, "dstay", 40);
    tablet.compact_all().unwrap();
    let kept: Vec<_> = all(&tablet).into_iter().filter(|(key, _)| !key.starts_with(b"dmove")).collect();
    let before = (stored_bytes(&disk), tablet.statistics().compaction_written_bytes);
    let timestamp = tablet.excise(b"dmove", b"dmovf").unwrap();
    assert_eq!(timestamp, tablet.last_timestamp());
    assert_eq!(all(&tablet), kept);
    let after = stored_bytes(&disk);
    assert!(after * 2 < before.0, "{} bytes before, {after} after", before.0);
    let rewritten = tablet.statistics().compaction_written_bytes - before.1;
    assert!(rewritten * 5 < before.0, "{rewritten} bytes were rewritten");
    store.close().unwrap();
    let store = open(&vfs, small_options()).unwrap();
    assert_eq!(all(&store.tablet()), kept);
    filled(&store.tablet(), "dmove", 3);
    assert_eq!(all(&store.tablet()).len(), kept.len() + 3, "the range can be filled again");
}

#[test]
fn a_snapshot_keeps_what_it_saw_until_it_goes() {
    let (disk, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    filled(&tablet, "dmove", 300);
    tablet.flush().unwrap();
    let before = all(&tablet);
    let snapshot = tablet.snapshot();
    let full = stored_bytes(&disk);
    tablet.excise(b"d", b"e").unwrap();
    assert_eq!(all(&tablet), []);
    assert_eq!(forward(&mut snapshot.iter(IterOptions::default()).unwrap()), before);
    assert!(stored_bytes(&disk) * 10 > full * 9);
    drop(snapshot);
    tablet.settle().unwrap();
    assert!(stored_bytes(&disk) * 10 < full, "{} of {full} bytes", stored_bytes(&disk));
}

#[test]
fn wrong_bounds_are_refused() {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    for (lower, upper) in [("b", "a"), ("a", "a"), ("", "a")] {
        let error = store.tablet().excise(lower.as_bytes(), upper.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::InvalidInput(_)), "{error}");
    }
    store.close().unwrap();
    assert!(matches!(store.tablet().excise(b"a", b"b"), Err(Error::Closed)));
    let read_only = open(&vfs, StoreOptions { read_only: true, ..small_options() }).unwrap();
    assert!(matches!(read_only.tablet().excise(b"a", b"b"), Err(Error::InvalidInput(_))));
}

#[test]
fn a_crash_leaves_all_of_an_excision_or_nothing() {
    let (memory, base) = memory();
    let faults = FaultVfs::new(base);
    let wrecks: Arc<Mutex<Vec<MemoryVfs>>> = Arc::default();
    let (kept, dice) = (Arc::clone(&wrecks), Mutex::new(Dice::new(5)));
    faults.set_hook(move |_| {
        let mut dice = dice.lock().unwrap();
        if dice.below(3) == 0 {
            let survive = [0, 50, 100][dice.below(3) as usize];
            kept.lock().unwrap().push(memory.crash_clone(dice.below(u64::MAX), survive));
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let store = open(&vfs, small_options()).unwrap();
    let (mut model, mut dice) = (Model::default(), Dice::new(9));
    for round in 0..120 {
        let batch = random_batch(&mut dice, 60);
        let timestamp = store.tablet().commit(batch.clone(), Some(Durability::Async)).unwrap();
        model.apply(&batch, timestamp);
        if round % 12 == 11 {
            let (a, b) = (random_key(&mut dice, 60), random_key(&mut dice, 60));
            if a == b {
                continue;
            }
            let (lower, upper) = (a.clone().min(b.clone()), a.max(b));
            let timestamp = store.tablet().excise(&lower, &upper).unwrap();
            let mut batch = WriteBatch::new();
            batch.delete_range(lower, upper);
            model.apply(&batch, timestamp);
        }
    }
    drop((store, vfs));
    let wrecks = std::mem::take(&mut *wrecks.lock().unwrap());
    for disk in &wrecks {
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        let store = open(&vfs, small_options()).unwrap();
        let snapshot = store.tablet().snapshot();
        let expected = model.scan(snapshot.timestamp(), None, None);
        let mut iter = snapshot.iter(IterOptions::default()).unwrap();
        assert_eq!(forward(&mut iter), expected);
        assert_eq!(backward(&mut iter), expected);
    }
    println!("stage excise_crash: {} points", wrecks.len());
    assert!(wrecks.len() > 100, "{}", wrecks.len());
}

#[test]
fn a_deletion_of_everything_leaves_nothing_once_nobody_reads_what_was() {
    let (disk, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    for number in 0..200_u32 {
        let mut batch = WriteBatch::new();
        batch.put(format!("d{number:03}"), vec![7; 150]);
        tablet.commit(batch, None).unwrap();
    }
    let snapshot = tablet.snapshot();
    let mut batch = WriteBatch::new();
    batch.delete_range("d", "e");
    tablet.commit(batch, None).unwrap();
    let data = || {
        let is_data = |path: &Path| path.extension().is_some_and(|e| e == "sst" || e == "blob");
        disk.files().iter().filter(|(path, _)| is_data(path)).count()
    };
    tablet.compact_all().unwrap();
    assert!(data() > 0 && snapshot.get(b"d199").unwrap().is_some());
    drop(snapshot);
    tablet.compact_all().unwrap();
    assert_eq!(data(), 0, "nor the deletion itself");
    assert!(tablet.get(b"d000").unwrap().is_none());
}
