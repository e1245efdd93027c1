//! Keyspaces whose entries live for a time: one answer for every timestamp, whatever compaction has done.

use std::sync::Arc;

use sheaf_storage::{
    Durability, IterOptions, Keyspace, KeyspaceOptions, ManualClock, Snapshot, StoreOptions, Timestamp,
    WriteBatch,
};

use crate::fixture::{Dice, deep, memory, open, small_options};
use crate::model::{Model, backward, forward, random_batch};

const LIFETIME_SECONDS: u32 = 50;

fn options() -> (Arc<ManualClock>, StoreOptions) {
    let clock = Arc::new(ManualClock::new(1_000));
    let mut options = StoreOptions { clock: clock.clone(), ..small_options() };
    let limited =
        KeyspaceOptions { expire_after_seconds: Some(LIFETIME_SECONDS), ..KeyspaceOptions::default() };
    options.keyspaces.insert(Keyspace(b'i'), limited);
    (clock, options)
}

/// What a reader at `at` sees: what the model has, less what is older than its lifetime.
fn expected(model: &Model, times: &Times, at: Timestamp) -> Vec<(Vec<u8>, Vec<u8>)> {
    let cut = Timestamp::from_parts(at.seconds().saturating_sub(LIFETIME_SECONDS), 0);
    let lives = |key: &[u8]| key[0] != b'i' || times.last(key, at) >= cut;
    model.scan(at, None, None).into_iter().filter(|(key, _)| lives(key)).collect()
}

/// When each key was written.
#[derive(Default)]
struct Times(std::collections::BTreeMap<Vec<u8>, Vec<Timestamp>>);

impl Times {
    fn note(&mut self, batch: &WriteBatch, timestamp: Timestamp) {
        for operation in batch.operations() {
            if let sheaf_storage::Operation::Put { key, .. } = operation {
                self.0.entry(key.to_vec()).or_default().push(timestamp);
            }
        }
    }

    fn last(&self, key: &[u8], at: Timestamp) -> Timestamp {
        self.0[key].iter().copied().filter(|time| *time <= at).max().unwrap()
    }
}

#[test]
fn deep_expiry_model() {
    let (seeds, steps) = if deep() { (60, 800) } else { (6, 300) };
    for seed in 0..seeds {
        let (_, vfs) = memory();
        let (clock, options) = options();
        let mut store = open(&vfs, options.clone()).unwrap();
        let (mut model, mut times, mut dice) = (Model::default(), Times::default(), Dice::new(seed + 40));
        let keys = [20, 300][(seed % 2) as usize];
        let mut pinned: Vec<Snapshot> = Vec::new();
        for step in 0..steps {
            let tablet = store.tablet();
            clock.advance_micros(dice.below(3_000_000));
            let batch = random_batch(&mut dice, keys);
            let timestamp = tablet.commit(batch.clone(), Some(Durability::Async)).unwrap();
            model.apply(&batch, timestamp);
            times.note(&batch, timestamp);
            match dice.below(40) {
                0 if pinned.len() < 3 => pinned.push(tablet.snapshot()),
                1 => pinned.clear(),
                2 => tablet.compact_all().unwrap(),
                3 => {
                    pinned.clear();
                    store.close().unwrap();
                    store = open(&vfs, options.clone()).unwrap();
                }
                _ => {}
            }
            if step % 10 == 0 {
                let now = store.tablet().snapshot();
                for snapshot in pinned.iter().chain([&now]) {
                    let expected = expected(&model, &times, snapshot.timestamp());
                    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
                    assert_eq!(forward(&mut iter), expected, "seed {seed} step {step}");
                    assert_eq!(backward(&mut iter), expected, "seed {seed} step {step}");
                    for number in 0..keys {
                        let key = format!("i{number:06}").into_bytes();
                        let found = snapshot.get(&key).unwrap();
                        let at = expected.binary_search_by(|(other, _)| other.cmp(&key));
                        assert_eq!(found.as_deref(), at.ok().map(|at| expected[at].1.as_slice()));
                    }
                }
            }
        }
    }
    println!("stage expiry_model: {seeds} seeds of {steps} steps");
}

#[test]
fn what_has_expired_leaves_the_disk_without_being_rewritten() {
    let (disk, vfs) = memory();
    let (clock, options) = options();
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    let write = |keyspace: char, count: usize| {
        for number in 0..count {
            let mut batch = WriteBatch::new();
            batch.put(format!("{keyspace}{number:04}"), vec![number as u8; 100]);
            tablet.commit(batch, Some(Durability::Async)).unwrap();
        }
    };
    let bytes = || -> u64 {
        let files = disk.files().into_iter();
        files.filter(|(path, _)| path.extension().is_some_and(|e| e == "sst")).map(|(_, length)| length).sum()
    };
    write('i', 300);
    write('k', 30);
    tablet.compact_all().unwrap();
    let full = bytes();
    clock.advance_micros(60_000_000);
    tablet.settle().unwrap();
    assert_eq!(bytes(), full, "time passes with commits");
    let rewritten = tablet.statistics().compaction_written_bytes;
    write('k', 1);
    tablet.flush().unwrap();
    tablet.settle().unwrap();
    assert!(bytes() * 4 < full, "{} of {full} bytes", bytes());
    assert_eq!(tablet.statistics().compaction_written_bytes, rewritten);
    let left = forward(&mut tablet.snapshot().iter(IterOptions::default()).unwrap());
    assert_eq!(left.len(), 30);
}

#[test]
fn a_table_that_holds_another_keyspace_as_well_stays() {
    let (_, vfs) = memory();
    // No keyspace has options of its own yet, so their keys share tables.
    let store = open(&vfs, StoreOptions { keyspaces: Default::default(), ..small_options() }).unwrap();
    let mut batch = WriteBatch::new();
    batch.put("i1", "expires");
    batch.put("k1", "stays");
    store.tablet().commit(batch, None).unwrap();
    store.tablet().compact_all().unwrap();
    assert_eq!(store.tablet().statistics().levels.iter().map(|level| level.tables).sum::<usize>(), 1);
    store.close().unwrap();
    let (clock, options) = options();
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    clock.advance_micros(1_000_000 * u64::from(2 * LIFETIME_SECONDS));
    let mut batch = WriteBatch::new();
    batch.put("k2", "time passes with commits");
    tablet.commit(batch, None).unwrap();
    tablet.flush().unwrap();
    tablet.settle().unwrap();
    tablet.compact_all().unwrap();
    let left = forward(&mut tablet.snapshot().iter(IterOptions::default()).unwrap());
    let keys: Vec<_> = left.iter().map(|(key, _)| key.as_slice()).collect();
    assert_eq!(keys, [b"k1", b"k2"]);
}
