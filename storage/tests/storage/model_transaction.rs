//! A part of the model test: a transaction reads what it must, and commits exactly if nobody wrote in between what it
//! depends on.

use std::collections::BTreeMap;

use sheaf_storage::{
    Durability, Error, Isolation, IterOptions, Operation, Tablet, Timestamp, Transaction, TransactionOptions,
    WriteBatch,
};

use crate::fixture::Dice;
use crate::model::{Model, Pairs, backward, forward, random_batch, random_key};

/// From a key up to another, exclusive.
type Range = (Vec<u8>, Vec<u8>);

/// What a transaction should look like.
struct Shadow<'a> {
    model: &'a Model,
    snapshot: Timestamp,
    /// Its own writes by key; `None` is a deletion.
    own: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The same in order.
    batch: WriteBatch,
    /// What it has read, if commit checks that.
    read: Vec<Range>,
}

/// The range that holds one key.
fn only(key: &[u8]) -> Range {
    (key.to_vec(), [key, &[0]].concat())
}

fn overlap(a: &Range, b: &Range) -> bool {
    a.0 < b.1 && b.0 < a.1
}

/// What a batch writes.
fn written(batch: &WriteBatch) -> Vec<Range> {
    let range = |operation: Operation<'_>| match operation {
        Operation::Put { key, .. } | Operation::Delete { key } => only(key),
        Operation::DeleteRange { lower, upper } => (lower.to_vec(), upper.to_vec()),
    };
    batch.operations().map(range).collect()
}

/// A range of at most thirty keys of one keyspace.
fn small_range(dice: &mut Dice, keys: u64) -> Range {
    let lower = random_key(dice, keys);
    let number: u64 = std::str::from_utf8(&lower[1..]).unwrap().parse().unwrap();
    let upper = format!("{}{:06}", char::from(lower[0]), number + 1 + dice.below(30));
    (lower, upper.into_bytes())
}

impl Shadow<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let own = self.own.get(key).cloned();
        own.unwrap_or_else(|| self.model.get(key, self.snapshot).cloned())
    }

    fn scan(&self, range: &Range) -> Pairs {
        let base = self.model.scan(self.snapshot, Some(&range.0), Some(&range.1));
        let mut all: BTreeMap<_, _> = base.into_iter().map(|(key, value)| (key, Some(value))).collect();
        let own = self.own.range(range.0.clone()..range.1.clone());
        all.extend(own.map(|(key, value)| (key.clone(), value.clone())));
        all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// A read or a write of both.
    fn step(&mut self, transaction: &mut Transaction, dice: &mut Dice, keys: u64) {
        let key = random_key(dice, keys);
        match dice.below(12) {
            0..=4 => {
                let value = vec![dice.below(256) as u8; dice.below(300) as usize];
                transaction.put(key.clone(), value.clone()).unwrap();
                self.batch.put(key.clone(), value.clone());
                self.own.insert(key, Some(value));
            }
            5..=6 => {
                transaction.delete(key.clone()).unwrap();
                self.batch.delete(key.clone());
                self.own.insert(key, None);
            }
            7 => {
                let (lower, upper) = small_range(dice, keys);
                transaction.delete_range(&lower, &upper).unwrap();
                for (key, _) in self.scan(&(lower.to_vec(), upper.to_vec())) {
                    self.own.insert(key, None);
                }
                self.batch.delete_range(lower, upper);
            }
            8..=9 => {
                assert_eq!(transaction.get(&key).unwrap().as_deref(), self.get(&key).as_deref());
                // What it wrote itself is not read from the snapshot.
                if !written(&self.batch).iter().any(|range| overlap(range, &only(&key))) {
                    self.read.push(only(&key));
                }
            }
            _ => {
                let range = small_range(dice, keys);
                let (lower, upper) = (Some(range.0.clone()), Some(range.1.clone()));
                let mut iter = transaction.iter(IterOptions { lower, upper, keys_only: false }).unwrap();
                assert_eq!(forward(&mut iter), self.scan(&range));
                assert_eq!(backward(&mut iter), self.scan(&range));
                self.read.push(range);
            }
        }
    }
}

/// Runs one transaction and, half of the time, a commit of somebody else beside it.
pub fn check(tablet: &Tablet, model: &mut Model, dice: &mut Dice, keys: u64) {
    let isolation = [Isolation::Snapshot, Isolation::Serializable][dice.below(2) as usize];
    let options = TransactionOptions { isolation, ..TransactionOptions::default() };
    let mut transaction = tablet.begin(options).unwrap();
    let snapshot = transaction.snapshot_timestamp();
    let (own, batch, read) = (BTreeMap::new(), WriteBatch::new(), Vec::new());
    let mut shadow = Shadow { model, snapshot, own, batch, read };
    let mut saved = None;
    for _ in 0..1 + dice.below(10) {
        match dice.below(10) {
            0 => {
                let savepoint = transaction.savepoint().unwrap();
                saved = Some((savepoint, shadow.own.clone(), shadow.batch.clone()));
            }
            1 if saved.is_some() => {
                let (savepoint, own, batch) = saved.clone().unwrap();
                transaction.rollback_to(savepoint).unwrap();
                (shadow.own, shadow.batch) = (own, batch);
            }
            _ => shadow.step(&mut transaction, dice, keys),
        }
    }
    let Shadow { batch, read, .. } = shadow;
    let mut other = WriteBatch::new();
    if dice.below(2) == 0 {
        other = random_batch(dice, keys);
        let timestamp = tablet.commit(other.clone(), Some(Durability::Async)).unwrap();
        model.apply(&other, timestamp);
        match dice.below(20) {
            0 => tablet.flush().unwrap(),
            1 => tablet.compact_all().unwrap(),
            _ => {}
        }
    }
    let mut depends = written(&batch);
    if isolation == Isolation::Serializable {
        depends.extend(read);
    }
    let others = written(&other);
    let conflict = others.iter().any(|other| depends.iter().any(|range| overlap(other, range)));
    match transaction.commit(Some(Durability::Async)) {
        Ok(timestamp) => {
            assert!(!conflict || batch.is_empty(), "{batch:?} passed beside {other:?}");
            model.apply(&batch, timestamp);
        }
        Err(Error::Conflict { .. }) => assert!(conflict, "{batch:?} failed beside {other:?}"),
        Err(error) => panic!("{error}"),
    }
}
