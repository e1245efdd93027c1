//! Transactions over keys: read a snapshot, write into a buffer, commit if nobody was in between.
//!
//! ```text
//!           T1 begins                T2 begins                 now
//!   key     at 10                    at 14
//!   a       v1@5   v2@12 (T2 did     reads v1 (snapshot 10)
//!           not see, T1 neither)
//! ```
//!
//! - Reads see the snapshot taken at the beginning and the transaction's own writes.
//! - Under **snapshot isolation** the commit fails if a key the transaction wrote, or read with `get_for_update`, has a
//!   version newer than the snapshot. Write skew is possible.
//! - Under **serializable** it also fails if a key it read, or a range it opened an iterator over, has changed.
//! - Under **read committed** each read takes the newest snapshot, and only keys read with `get_for_update` are checked.
//!
//! The check runs at the head of the log, one group at a time, so that nothing can change between check and commit.
//! A transaction holds no lock: it never makes a reader or another writer wait, it fails instead.

pub(crate) mod conflict;

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::limits::SAVEPOINTS_MAX;
use crate::memtable::Memtable;
use crate::options::Durability;
use crate::read::snapshot::Snapshot;
use crate::read::{Iter, IterOptions};
use crate::tablet::{Tablet, lock};
use crate::timestamp::Timestamp;
use crate::transaction::conflict::{ConflictCheck, KeyRange};
use crate::value_slice::ValueSlice;
use crate::write_batch::{Operation, WriteBatch};

/// What a transaction is protected from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Each read sees what is committed when it begins.
    ReadCommitted,
    /// All reads see one moment; two transactions that overlap never write the same key.
    #[default]
    Snapshot,
    /// As if transactions ran one after the other.
    Serializable,
}

/// How a transaction behaves.
#[derive(Clone, Debug, Default)]
pub struct TransactionOptions {
    /// What it is protected from.
    pub isolation: Isolation,
    /// Read as of this timestamp instead of now.
    pub read_timestamp: Option<Timestamp>,
}

/// A place in a transaction to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint {
    /// How many savepoints there were before it.
    number: usize,
    /// How many writes there were.
    writes: usize,
}

/// A transaction. Dropped without commit, it leaves nothing.
pub struct Transaction {
    /// Where it runs.
    tablet: Tablet,
    /// What it reads.
    snapshot: Snapshot,
    /// What it is protected from.
    isolation: Isolation,
    /// Its writes, in order.
    batch: WriteBatch,
    /// Its writes, for its own reads: newer than everything.
    own: Memtable,
    /// Live savepoints: how many writes there were at each.
    savepoints: Vec<usize>,
    /// What else must not have changed.
    reads: Mutex<ReadSet>,
}

/// What a transaction has read.
#[derive(Default)]
struct ReadSet {
    /// Keys.
    keys: BTreeSet<Vec<u8>>,
    /// Ranges.
    ranges: Vec<KeyRange>,
}

impl Tablet {
    /// Begins a transaction.
    pub fn begin(&self, options: TransactionOptions) -> Result<Transaction> {
        let snapshot = match options.read_timestamp {
            Some(timestamp) => self.snapshot_at(timestamp)?,
            None => self.snapshot(),
        };
        Ok(Transaction {
            tablet: self.clone(),
            snapshot,
            isolation: options.isolation,
            batch: WriteBatch::new(),
            own: Memtable::new(),
            savepoints: Vec::new(),
            reads: Mutex::default(),
        })
    }
}

impl Transaction {
    /// The timestamp it reads at.
    pub fn snapshot_timestamp(&self) -> Timestamp {
        self.snapshot.timestamp()
    }

    /// What its reads see beneath its own writes.
    fn reading(&self) -> Snapshot {
        match self.isolation {
            Isolation::ReadCommitted => self.tablet.snapshot(),
            Isolation::Snapshot | Isolation::Serializable => self.snapshot.clone(),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<ValueSlice>> {
        if let Some(version) = self.own.get(key, Timestamp::MAX) {
            return Ok((version.kind == ValueKind::Put).then(|| ValueSlice::copied(version.value)));
        }
        if self.own.range_tombstones().is_some_and(|ranges| ranges.fragment_of(key).is_some()) {
            return Ok(None);
        }
        if self.isolation == Isolation::Serializable {
            lock(&self.reads).keys.insert(key.to_vec());
        }
        self.reading().get(key)
    }

    /// The value of a key, which must not change before this transaction commits.
    pub fn get_for_update(&self, key: &[u8]) -> Result<Option<ValueSlice>> {
        lock(&self.reads).keys.insert(key.to_vec());
        if self.isolation == Isolation::ReadCommitted {
            // The check is against the transaction's snapshot, so the value has to come from there.
            let own = self.own.get(key, Timestamp::MAX).is_some();
            return if own { self.get(key) } else { self.snapshot.get(key) };
        }
        self.get(key)
    }

    /// An iterator that sees the snapshot and the transaction's own writes up to now.
    pub fn iter(&self, options: IterOptions) -> Result<Iter> {
        if self.isolation == Isolation::Serializable {
            lock(&self.reads).ranges.push((options.lower.clone(), options.upper.clone()));
        }
        self.reading().iter_over(Some(&self.own), options)
    }

    /// Gives `key` the value.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Result<()> {
        self.write(Operation::Put { key: key.into(), value: value.into() })
    }

    /// Deletes `key`; fine if it is absent.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) -> Result<()> {
        self.write(Operation::Delete { key: key.into() })
    }

    /// Deletes every key in `[lower, upper)`.
    pub fn delete_range(
        &mut self,
        lower: impl Into<Vec<u8>>,
        upper_exclusive: impl Into<Vec<u8>>,
    ) -> Result<()> {
        self.write(Operation::DeleteRange { lower: lower.into(), upper: upper_exclusive.into() })
    }

    /// Adds a write.
    fn write(&mut self, operation: Operation) -> Result<()> {
        let mut alone = WriteBatch::new();
        alone.push(operation);
        alone.validate()?;
        apply_own(&self.own, alone.operations());
        alone.operations().iter().for_each(|operation| self.batch.push(operation.clone()));
        Ok(())
    }

    /// Number of writes.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether it has written nothing.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Marks a place to go back to.
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        if self.savepoints.len() >= SAVEPOINTS_MAX {
            return Err(Error::invalid(format!("more than {SAVEPOINTS_MAX} savepoints")));
        }
        let savepoint = Savepoint { number: self.savepoints.len(), writes: self.batch.len() };
        self.savepoints.push(savepoint.writes);
        Ok(savepoint)
    }

    /// Forgets the writes since a savepoint, and the savepoints after it; the savepoint itself stays.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        if self.savepoints.get(savepoint.number) != Some(&savepoint.writes) {
            return Err(Error::invalid("the savepoint is not one of this transaction, or is gone"));
        }
        self.savepoints.truncate(savepoint.number + 1);
        self.batch.truncate(savepoint.writes);
        self.own = Memtable::new();
        apply_own(&self.own, self.batch.operations());
        Ok(())
    }

    /// Commits. [`Error::Conflict`] means that nothing was written and the transaction may be run again.
    pub fn commit(self, durability: Option<Durability>) -> Result<Timestamp> {
        let reads = self.reads.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut check = ConflictCheck {
            snapshot: self.snapshot.timestamp(),
            keys: reads.keys.into_iter().collect(),
            ranges: reads.ranges,
        };
        if self.isolation != Isolation::ReadCommitted {
            check.add_writes(self.batch.operations());
        }
        if self.batch.is_empty() {
            // All its reads were of one snapshot: it is serialised there.
            return Ok(self.snapshot.timestamp());
        }
        self.tablet.commit_checked(self.batch, durability, None, Some(check))
    }

    /// Forgets everything.
    pub fn rollback(self) {
        drop(self);
    }
}

/// Adds writes to a transaction's own memtable. All have the same timestamp there, so a range deletion, which does not
/// touch writes of its own timestamp, deletes the earlier ones one by one.
fn apply_own(own: &Memtable, operations: &[Operation]) {
    for operation in operations {
        match operation {
            Operation::Put { key, value } => own.insert(key, Timestamp::MAX, ValueKind::Put, value),
            Operation::Delete { key } => own.insert(key, Timestamp::MAX, ValueKind::Delete, &[]),
            Operation::DeleteRange { lower, upper } => {
                let mut covered = Vec::new();
                let mut cursor = own.cursor();
                cursor.seek(lower, Timestamp::MAX);
                while let Some(entry) = cursor.entry().filter(|entry| entry.key() < upper.as_slice()) {
                    if covered.last().is_none_or(|last: &Vec<u8>| last != entry.key()) {
                        covered.push(entry.key().to_vec());
                    }
                    cursor.advance();
                }
                covered.iter().for_each(|key| own.insert(key, Timestamp::MAX, ValueKind::Delete, &[]));
                own.insert_range_delete(lower, upper, Timestamp::MAX);
            }
        }
    }
}
