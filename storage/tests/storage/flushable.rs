//! Large batches go into sstables at once: read like any other, past the log, all or nothing.

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::{
    Durability, Error, IterOptions, StoreOptions, Tablet, Timestamp, TransactionOptions, Vfs, WriteBatch,
};

use crate::crash::crash_with;
use crate::fixture::{Dice, deep, memory, open, small_options};
use crate::model::{Model, backward, forward, random_batch, random_key};

/// Every batch of more than a few operations is large.
fn options() -> StoreOptions {
    StoreOptions { flushable_batch_bytes: Some(400), ..small_options() }
}

/// Puts, deletes and range deletes, in any order.
fn large_batch(dice: &mut Dice, keys: u64) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for _ in 0..20 + dice.below(60) {
        let key = random_key(dice, keys);
        match dice.below(12) {
            0..=1 => batch.delete(key),
            2 if dice.below(3) == 0 => {
                let other = random_key(dice, keys);
                if other != key {
                    batch.delete_range(key.clone().min(other.clone()), key.max(other));
                }
            }
            _ => batch.put(key, vec![dice.below(256) as u8; dice.below(200) as usize]),
        }
    }
    batch
}

fn check(tablet: &Tablet, model: &Model) {
    let snapshot = tablet.snapshot();
    let expected = model.scan(snapshot.timestamp(), None, None);
    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
    assert_eq!(forward(&mut iter), expected);
    assert_eq!(backward(&mut iter), expected);
    for (key, value) in expected.iter().step_by(5) {
        assert_eq!(snapshot.get(key).unwrap().as_deref(), Some(value.as_slice()));
    }
}

#[test]
fn deep_flushable_model() {
    let (seeds, steps) = if deep() { (60, 500) } else { (6, 120) };
    for seed in 0..seeds {
        let (_, vfs) = memory();
        let mut store = open(&vfs, options()).unwrap();
        let (mut model, mut dice) = (Model::default(), Dice::new(seed + 900));
        let keys = [30, 400][(seed % 2) as usize];
        let mut pinned = Vec::new();
        for step in 0..steps {
            let tablet = store.tablet();
            let batch =
                if dice.below(3) == 0 { large_batch(&mut dice, keys) } else { random_batch(&mut dice, keys) };
            let timestamp = tablet.commit(batch.clone(), Some(Durability::Async)).unwrap();
            model.apply(&batch, timestamp);
            match dice.below(30) {
                0 => pinned.push(tablet.snapshot()),
                1 => tablet.compact_all().unwrap(),
                2 => {
                    pinned.clear();
                    store.close().unwrap();
                    store = open(&vfs, options()).unwrap();
                }
                _ => {}
            }
            if step % 5 == 0 {
                check(&store.tablet(), &model);
                for snapshot in &pinned {
                    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
                    assert_eq!(forward(&mut iter), model.scan(snapshot.timestamp(), None, None));
                }
            }
        }
        assert!(store.tablet().verify().problems.is_empty());
    }
    println!("stage flushable_model: {seeds} seeds of {steps} steps");
}

#[test]
fn a_large_batch_passes_the_log_and_is_not_replayed() {
    let (disk, vfs) = memory();
    let options = StoreOptions { memtable_bytes: 256 << 10, wal_segment_bytes: 1 << 20, ..small_options() };
    let store = open(&vfs, options.clone()).unwrap();
    let tablet = store.tablet();
    let batch_of = |bytes: usize| {
        let mut batch = WriteBatch::new();
        (0..bytes / 1_000).for_each(|number| batch.put(format!("k{number:04}"), vec![7; 1_000]));
        batch
    };
    let log_bytes = || tablet.statistics().log.written_bytes;
    let start = log_bytes();
    tablet.commit(batch_of(100 << 10), Some(Durability::Sync)).unwrap();
    let small = log_bytes() - start;
    assert!(small > 100 << 10, "below half a memtable: {small}");
    // Not durable by itself, and yet it may not be lost when what comes after it is not.
    let mut before = WriteBatch::new();
    before.put("z", "before");
    tablet.commit(before, Some(Durability::None)).unwrap();
    tablet.commit(batch_of(200 << 10), Some(Durability::None)).unwrap();
    assert!(log_bytes() - start < small + 100, "half a memtable and above: {}", log_bytes() - start);
    let crashed: Arc<dyn Vfs> = Arc::new(disk.crash_clone(1, 0));
    drop((tablet, store));
    let store = open(&crashed, options).unwrap();
    let report = store.tablet().memory_report();
    assert!(report.active_memtable_bytes < 64 << 10, "{report:?}");
    assert_eq!(store.tablet().get(b"z").unwrap().as_deref(), Some(&b"before"[..]));
    assert_eq!(forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap()).len(), 205);
}

#[test]
fn a_large_batch_that_conflicts_leaves_nothing() {
    let (disk, vfs) = memory();
    let store = open(&vfs, options()).unwrap();
    let tablet = store.tablet();
    let mut transaction = tablet.begin(TransactionOptions::default()).unwrap();
    for number in 0..30 {
        transaction.put(format!("k{number}"), vec![1; 50]).unwrap();
    }
    let mut other = WriteBatch::new();
    other.put("k7", "first");
    let decided = tablet.commit(other, None).unwrap();
    let sstables =
        || disk.files().iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "sst")).count();
    tablet.flush().unwrap();
    let before = sstables();
    assert!(matches!(transaction.commit(None), Err(Error::Conflict { .. })));
    assert_eq!(sstables(), before);
    let mut large = WriteBatch::new();
    (0..30).for_each(|number| large.put(format!("k{number}"), vec![1; 50]));
    let earlier = Timestamp(decided.0 - 1);
    assert!(matches!(tablet.commit_at(large.clone(), earlier, None), Err(Error::InvalidInput(_))));
    assert_eq!(sstables(), before);
    assert_eq!(tablet.get(b"k7").unwrap().as_deref(), Some(&b"first"[..]));
    let late = Timestamp(decided.0 + 500);
    assert_eq!(tablet.commit_at(large, late, None).unwrap(), late);
    assert_eq!(tablet.last_timestamp(), late);
    assert_eq!(tablet.get(b"k7").unwrap().unwrap().len(), 50);
    let mut next = WriteBatch::new();
    next.put("a", "b");
    assert!(tablet.commit(next, None).unwrap() > late);
}

#[test]
fn deep_crash_flushable() {
    let options = StoreOptions { flushable_batch_bytes: Some(250), ..small_options() };
    let (points, seeds) =
        if deep() { crash_with(&options, 10_000, 600, &[]) } else { crash_with(&options, 600, 300, &[]) };
    println!("stage crash_flushable: {points} points over {seeds} seeds");
}

#[test]
fn a_large_batch_is_not_put_under_what_its_keys_have_already() {
    let (disk, vfs) = memory();
    let store = open(&vfs, options()).unwrap();
    let tablet = store.tablet();
    let mut small = WriteBatch::new();
    small.put("i1", "newer");
    let last = tablet.commit(small, None).unwrap();
    let large = |key: &str| {
        let mut batch = WriteBatch::new();
        batch.put(key, vec![7; 500]);
        batch
    };
    for flushed in [false, true] {
        if flushed {
            tablet.flush().unwrap();
        }
        for at in [last, Timestamp(last.0 - 1)] {
            let refused = tablet.commit_at(large("i1"), at, None);
            assert!(matches!(refused, Err(Error::InvalidInput(_))), "{refused:?}");
            let tables: usize = tablet.statistics().levels.iter().map(|level| level.tables).sum();
            let is_table = |path: &Path| path.extension().is_some_and(|extension| extension == "sst");
            assert_eq!(disk.files().iter().filter(|(path, _)| is_table(path)).count(), tables);
        }
        let other = format!("other {flushed}");
        assert_eq!(tablet.commit_at(large(&other), last, None).unwrap(), last);
        assert!(tablet.get(other.as_bytes()).unwrap().is_some());
    }
    assert_eq!(tablet.get(b"i1").unwrap().as_deref(), Some(&b"newer"[..]));
}
