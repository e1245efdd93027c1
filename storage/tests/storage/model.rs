//! The engine against a map of (key, timestamp), with snapshots, both directions, transactions, flushes, compactions and
//! reopening.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use sheaf_storage::{
    Durability, Iter, IterOptions, Operation, Snapshot, Store, Tablet, Timestamp, Vfs, WriteBatch,
};

use crate::fixture::{Dice, deep, memory, open, small_options};

/// Every version of every key; `None` is a deletion.
#[derive(Default)]
pub struct Model {
    versions: BTreeMap<Vec<u8>, BTreeMap<Timestamp, Option<Vec<u8>>>>,
}

/// Keys with their values.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

impl Model {
    pub fn apply(&mut self, batch: &WriteBatch, timestamp: Timestamp) {
        for operation in batch.operations() {
            match operation {
                Operation::Put { key, value } => {
                    self.versions.entry(key.to_vec()).or_default().insert(timestamp, Some(value.to_vec()));
                }
                Operation::Delete { key } => {
                    self.versions.entry(key.to_vec()).or_default().insert(timestamp, None);
                }
                Operation::DeleteRange { lower, upper } => {
                    for (_, versions) in self.versions.range_mut(lower.to_vec()..upper.to_vec()) {
                        versions.insert(timestamp, None);
                    }
                }
            }
        }
    }

    pub fn get(&self, key: &[u8], at: Timestamp) -> Option<&Vec<u8>> {
        self.versions.get(key)?.range(..=at).next_back()?.1.as_ref()
    }

    pub fn scan(&self, at: Timestamp, lower: Option<&Vec<u8>>, upper: Option<&Vec<u8>>) -> Pairs {
        let from = lower.map_or(Bound::Unbounded, Bound::Included);
        let to = upper.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = self.versions.range::<Vec<u8>, _>((from, to)).map(|(key, _)| key);
        keys.filter_map(|key| Some((key.clone(), self.get(key, at)?.clone()))).collect()
    }
}

/// Everything an iterator shows, forward.
pub fn forward(iter: &mut Iter) -> Pairs {
    let mut found = Vec::new();
    let mut valid = iter.seek_to_first().unwrap();
    while valid {
        found.push((iter.key().to_vec(), iter.value().to_vec()));
        valid = iter.next().unwrap();
    }
    found
}

/// Everything an iterator shows, backward, in key order.
pub fn backward(iter: &mut Iter) -> Pairs {
    let mut found = Vec::new();
    let mut valid = iter.seek_to_last().unwrap();
    while valid {
        found.push((iter.key().to_vec(), iter.value().to_vec()));
        valid = iter.prev().unwrap();
    }
    found.reverse();
    found
}

/// A random key; every third in the keyspace whose large values go to blob files.
pub fn random_key(dice: &mut Dice, keys: u64) -> Vec<u8> {
    let keyspace = if dice.below(3) == 0 { 'd' } else { 'i' };
    format!("{keyspace}{:06}", dice.below(keys)).into_bytes()
}

/// Bounds of a random range: most of the time of a few keys or some hundred, so that a walk over many keys does not cost most
/// of a run; now and then across keyspaces, or of everything.
fn random_bounds(dice: &mut Dice, keys: u64) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let narrow = [4, 40, 400][dice.below(3) as usize];
    match dice.below(40) {
        0 => (None, None),
        1 => {
            let (a, b) = (random_key(dice, keys), random_key(dice, keys));
            (Some(a.clone().min(b.clone())), Some(a.max(b)))
        }
        // The end of one keyspace and the start of the next.
        2 => (
            Some(format!("d{:06}", keys.saturating_sub(narrow)).into_bytes()),
            Some(format!("i{narrow:06}").into_bytes()),
        ),
        choice => {
            let (keyspace, start) = (if choice % 3 == 0 { 'd' } else { 'i' }, dice.below(keys));
            let end = start + dice.below(narrow + 1);
            (
                Some(format!("{keyspace}{start:06}").into_bytes()),
                Some(format!("{keyspace}{end:06}").into_bytes()),
            )
        }
    }
}

/// A random batch.
pub fn random_batch(dice: &mut Dice, keys: u64) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for _ in 0..1 + dice.below(6) {
        let key = random_key(dice, keys);
        match dice.below(40) {
            0 => {
                let other = random_key(dice, keys);
                let (lower, upper) = if key < other { (key, other) } else { (other, key) };
                if lower < upper && upper[0] == lower[0] && dice.below(2) == 0 {
                    batch.delete_range(lower, upper);
                }
            }
            1..=8 => batch.delete(key),
            _ => {
                let length = dice.below(400) as usize;
                batch.put(key, vec![dice.below(256) as u8; length]);
            }
        }
    }
    batch
}

/// One run.
struct Run {
    vfs: Arc<dyn Vfs>,
    store: Store,
    tablet: Tablet,
    model: Model,
    dice: Dice,
    snapshots: Vec<Snapshot>,
    keys: u64,
    work: u64,
}

impl Run {
    fn new(seed: u64) -> Run {
        let (_, vfs) = memory();
        let store = open(&vfs, small_options()).unwrap();
        let tablet = store.tablet();
        let keys = [20, 300, 5_000][(seed % 3) as usize];
        let (model, dice) = (Model::default(), Dice::new(seed));
        Run { vfs, store, tablet, model, dice, snapshots: Vec::new(), keys, work: 0 }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            54..=59 => {
                crate::model_transaction::check(&self.tablet, &mut self.model, &mut self.dice, self.keys)
            }
            0..=53 => {
                let batch = random_batch(&mut self.dice, self.keys);
                let timestamp = self.tablet.commit(batch.clone(), Some(Durability::Async)).unwrap();
                self.model.apply(&batch, timestamp);
            }
            60..=79 => {
                let key = random_key(&mut self.dice, self.keys);
                let found = self.tablet.get(&key).unwrap();
                let expected = self.model.get(&key, self.tablet.last_timestamp());
                assert_eq!(found.as_deref(), expected.map(Vec::as_slice));
            }
            80..=89 => self.check_scan(),
            90..=92 => self.snapshots.push(self.tablet.snapshot()),
            93..=94 if !self.snapshots.is_empty() => {
                let at = self.dice.below(self.snapshots.len() as u64) as usize;
                self.snapshots.swap_remove(at);
            }
            95 if self.dice.below(10) == 0 => self.tablet.flush().unwrap(),
            96 if self.dice.below(40) == 0 => self.tablet.compact_all().unwrap(),
            97 if self.dice.below(40) == 0 => self.reopen(),
            _ => self.check_multi_get(),
        }
    }

    fn check_multi_get(&mut self) {
        let mut keys: Vec<Vec<u8>> = (0..5).map(|_| random_key(&mut self.dice, self.keys)).collect();
        keys.push(b"missing".to_vec());
        let snapshot = self.some_snapshot();
        let slices: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        for (key, value) in keys.iter().zip(snapshot.multi_get(&slices).unwrap()) {
            assert_eq!(value.as_deref(), self.model.get(key, snapshot.timestamp()).map(Vec::as_slice));
        }
    }

    fn some_snapshot(&mut self) -> Snapshot {
        let at = self.dice.below(self.snapshots.len() as u64 + 1) as usize;
        self.snapshots.get(at).cloned().unwrap_or_else(|| self.tablet.snapshot())
    }

    fn count_work(&mut self) {
        let statistics = self.tablet.statistics();
        self.work += statistics.flushes + statistics.compactions;
    }

    fn reopen(&mut self) {
        self.snapshots.clear();
        self.count_work();
        if self.dice.below(2) == 0 {
            self.tablet.flush().unwrap();
        }
        self.store.close().unwrap();
        self.store = open(&self.vfs, small_options()).unwrap();
        self.tablet = self.store.tablet();
    }

    fn check_scan(&mut self) {
        let (lower, upper) = random_bounds(&mut self.dice, self.keys);
        self.check_range(IterOptions { lower, upper, keys_only: false });
    }

    fn check_range(&mut self, options: IterOptions) {
        let snapshot = self.some_snapshot();
        let expected = self.model.scan(snapshot.timestamp(), options.lower.as_ref(), options.upper.as_ref());
        let mut iter = snapshot.iter(options).unwrap();
        if self.dice.below(2) == 0 {
            assert_eq!(forward(&mut iter), expected);
        } else {
            assert_eq!(backward(&mut iter), expected);
        }
        self.check_walk(&mut iter, &expected);
    }

    /// A drunken walk: seeks and turns.
    fn check_walk(&mut self, iter: &mut Iter, expected: &[(Vec<u8>, Vec<u8>)]) {
        let near = self.dice.below(expected.len() as u64 * 2 + 1) as usize;
        let target = match expected.get(near) {
            Some((key, _)) => key.clone(),
            None => random_key(&mut self.dice, self.keys),
        };
        let mut place = if self.dice.below(2) == 0 {
            iter.seek(&target).unwrap();
            Some(expected.partition_point(|(key, _)| key < &target)).filter(|&at| at < expected.len())
        } else {
            iter.seek_for_prev(&target).unwrap();
            expected.partition_point(|(key, _)| key <= &target).checked_sub(1)
        };
        for _ in 0..8 {
            assert_eq!(iter.valid(), place.is_some());
            let Some(at) = place else { return };
            assert_eq!((iter.key(), iter.value()), (expected[at].0.as_slice(), expected[at].1.as_slice()));
            if self.dice.below(2) == 0 {
                iter.next().unwrap();
                place = Some(at + 1).filter(|&at| at < expected.len());
            } else {
                iter.prev().unwrap();
                place = at.checked_sub(1);
            }
        }
    }
}

/// A run; returns how many flushes and compactions there were.
pub fn run(seed: u64, steps: u64) -> u64 {
    let mut run = Run::new(seed);
    for _ in 0..steps {
        run.step();
    }
    run.tablet.compact_all().unwrap();
    run.check_range(IterOptions::default());
    assert!(run.tablet.verify().problems.is_empty());
    run.count_work();
    run.work
}

#[test]
fn deep_model() {
    let (seeds, steps) = if deep() { (210, 5_000) } else { (9, 1_500) };
    let work: u64 = (0..seeds).map(|seed| run(seed, steps)).sum();
    println!("stage model: {} operations over {seeds} seeds, {work} flushes and compactions", seeds * steps);
    assert!(work > seeds * 20, "the thresholds are too large for the work to happen: {work}");
}
