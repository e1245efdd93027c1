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
//! An optimistic transaction holds no lock: it never makes a reader or another writer wait, it fails instead. A
//! pessimistic one locks the keys it writes or reads with `get_for_update`, and waits for those that others have locked
//! (see [`locks`]); what it reads under the lock is the newest value, and the check for that key is against the moment
//! of locking. Readers never wait for either. Ranges are not locked: a range deletion, and what serializable reads, are
//! checked at commit.
//!
//! A transaction that wrote nothing is checked all the same if it read anything with `get_for_update`: what it read
//! under a lock is newer than its snapshot, so it is not serialised there. Without such reads it is, and never fails.
//!
//! Checking reads against what was committed since they were made, one committer at a time, is backward validation after Kung and
//! Robinson (1981).

pub(crate) mod conflict;
mod held_memory;
pub(crate) mod locks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::limits::SAVEPOINTS_MAX;
use crate::memtable::Memtable;
use crate::options::Durability;
use crate::read::snapshot::{Snapshot, own_value};
use crate::read::{Iter, IterOptions};
use crate::sync::scheduled::Mutex;
use crate::tablet::{Tablet, lock};
use crate::timestamp::Timestamp;
use crate::transaction::conflict::{ConflictCheck, KeyRange};
use crate::transaction::held_memory::HeldMemory;
use crate::transaction::locks::HeldLocks;
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

/// When a transaction finds out that it is not alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locking {
    /// At commit.
    #[default]
    Optimistic,
    /// When it first touches a key that another pessimistic transaction has locked.
    Pessimistic {
        /// How long it waits for a key.
        patience: Duration,
    },
}

/// How a transaction behaves.
#[derive(Clone, Debug, Default)]
pub struct TransactionOptions {
    /// What it is protected from.
    pub isolation: Isolation,
    /// When it finds out that it is not alone.
    pub locking: Locking,
    /// Read as of this timestamp instead of now.
    pub read_timestamp: Option<Timestamp>,
}

/// A place in a transaction to go back to. No other transaction takes it for one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint(u64);

/// How many savepoints the process has made: no two are the same, of whatever transaction.
static SAVEPOINTS: AtomicU64 = AtomicU64::new(0);

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
    /// Its writes, for its own reads: newer than everything. Shared with its views.
    own: Arc<OwnWrites>,
    /// Live savepoints, and how many writes there were at each.
    savepoints: Vec<(Savepoint, usize)>,
    /// What else must not have changed.
    reads: Mutex<ReadSet>,
    /// The keys it has locked; `None` when it is optimistic. Released when the transaction ends, after its commit.
    locks: Option<Mutex<HeldLocks>>,
}

/// The writes of a transaction for who reads them: itself, its views, and their share of the memory budget.
pub(crate) struct OwnWrites {
    /// The writes, all at the largest timestamp.
    pub(crate) memtable: Memtable,
    /// What they and the transaction's batch take.
    memory: Mutex<HeldMemory>,
}

impl OwnWrites {
    /// What a batch writes. It may take what room there is not: whoever has it has more already.
    fn of(tablet: &Tablet, batch: &WriteBatch) -> Arc<OwnWrites> {
        let memory = Mutex::new(HeldMemory::new(tablet.clone()));
        let own = OwnWrites { memtable: Memtable::new(), memory };
        batch.operations().for_each(|operation| apply_own(&own.memtable, operation));
        if !batch.is_empty() {
            own.measure(batch);
        }
        Arc::new(own)
    }

    /// Counts what the memtable and the batch take now.
    fn measure(&self, batch: &WriteBatch) {
        lock(&self.memory).settle(self.memtable.memory_bytes() + batch.memory_bytes());
    }
}

/// What a transaction has read.
struct ReadSet {
    /// What it and the locks take.
    memory: HeldMemory,
    /// Keys that must not change, and since when: the snapshot, or the moment they were locked.
    keys: BTreeMap<Vec<u8>, Timestamp>,
    /// Ranges.
    ranges: Vec<KeyRange>,
    /// Keys a pessimistic transaction has read without locking them.
    unlocked: BTreeSet<Vec<u8>>,
    /// Whether a pessimistic transaction has opened an iterator.
    scanned: bool,
    /// Whether a value was read that must not change before the commit.
    guarded: bool,
}

impl ReadSet {
    /// Nothing.
    fn new(tablet: &Tablet) -> ReadSet {
        ReadSet {
            memory: HeldMemory::new(tablet.clone()),
            keys: BTreeMap::new(),
            ranges: Vec::new(),
            unlocked: BTreeSet::new(),
            scanned: false,
            guarded: false,
        }
    }

    /// Notes that a key must not change, since when unless that was said before. Since when it is.
    fn guard(&mut self, key: &[u8], since: Timestamp) -> Result<Timestamp> {
        if let Some(&since) = self.keys.get(key) {
            return Ok(since);
        }
        self.memory.grow_by_key(key.len())?;
        self.keys.insert(key.to_vec(), since);
        Ok(since)
    }
}

impl Tablet {
    /// Begins a transaction. Fails as [`Tablet::snapshot_at`] does if it is to read at a timestamp.
    pub fn begin(&self, options: TransactionOptions) -> Result<Transaction> {
        let snapshot = match options.read_timestamp {
            Some(timestamp) => self.snapshot_at(timestamp)?,
            None => self.snapshot(),
        };
        let locks = match options.locking {
            Locking::Optimistic => None,
            Locking::Pessimistic { patience } => Some(Mutex::new(HeldLocks::new(self.clone(), patience))),
        };
        Ok(Transaction {
            tablet: self.clone(),
            snapshot,
            isolation: options.isolation,
            batch: WriteBatch::new(),
            own: OwnWrites::of(self, &WriteBatch::new()),
            savepoints: Vec::new(),
            reads: Mutex::new(ReadSet::new(self)),
            locks,
        })
    }
}

impl Transaction {
    /// The timestamp it reads at.
    pub fn snapshot_timestamp(&self) -> Timestamp {
        self.snapshot.timestamp()
    }

    /// A snapshot that sees what the transaction does: its moment, and on top of it its own writes, those to come
    /// included. It outlives the transaction. After [`Transaction::rollback_to`] it still sees what was forgotten.
    pub fn view(&self) -> Snapshot {
        self.snapshot.with_own(Arc::clone(&self.own))
    }

    /// Fails with [`Error::Conflict`] if its commit would, as of now. Nothing is promised for later.
    pub fn check_conflicts(&self) -> Result<()> {
        let mut check = ConflictCheck::of_writes(self.snapshot.timestamp(), self.batch.operations());
        let reads = lock(&self.reads);
        check.keys.retain(|(key, _)| !reads.keys.contains_key(key));
        check.keys.extend(reads.keys.iter().map(|(key, since)| (key.clone(), *since)));
        check.run(&self.tablet.inner.view())
    }

    /// What its reads see beneath its own writes.
    fn reading(&self) -> Snapshot {
        match self.isolation {
            Isolation::ReadCommitted => self.tablet.snapshot(),
            Isolation::Snapshot | Isolation::Serializable => self.snapshot.clone(),
        }
    }

    /// The value of a key, as of the transaction's own writes and its isolation. Errors as of [`Tablet::get`]; under
    /// [`Isolation::Serializable`], or with locks, a read takes memory too, and may get [`Error::MemoryExceeded`] for it.
    pub fn get(&self, key: &[u8]) -> Result<Option<ValueSlice>> {
        if let Some(own) = own_value(&self.own.memtable, key) {
            return Ok(own);
        }
        self.note_read(key)?;
        self.reading().get(key)
    }

    /// Notes a read that commit, or a later lock, must know of.
    fn note_read(&self, key: &[u8]) -> Result<()> {
        if self.isolation == Isolation::Serializable {
            lock(&self.reads).guard(key, self.snapshot.timestamp())?;
        }
        if self.locks.is_some() {
            let reads = &mut *lock(&self.reads);
            // One that must not have changed already needs no second note.
            if !reads.keys.contains_key(key) && !reads.unlocked.contains(key) {
                reads.memory.grow_by_key(key.len())?;
                reads.unlocked.insert(key.to_vec());
            }
        }
        Ok(())
    }

    /// Locks a key, if the transaction is pessimistic. From then on it must not change; if the transaction has read it
    /// before, or anything by iterator, it must not have changed since the snapshot either.
    fn lock_key(&self, key: &[u8]) -> Result<()> {
        let Some(locks) = &self.locks else { return Ok(()) };
        lock(&self.reads).memory.grow_by_lock(key.len())?;
        let acquired = lock(locks).acquire(key);
        if !matches!(acquired, Ok(true)) {
            lock(&self.reads).memory.shrink_by_lock(key.len());
            return acquired.map(drop);
        }
        let now = self.tablet.last_timestamp();
        let reads = &mut *lock(&self.reads);
        let read_before = reads.scanned || reads.unlocked.contains(key);
        let since = if read_before { self.snapshot.timestamp() } else { now };
        reads.guard(key, since).map(drop)
    }

    /// The value of a key, which must not change before this transaction commits. A pessimistic transaction waits for
    /// the key's lock and gets the newest value, or [`Error::LockTimeout`], [`Error::Deadlock`], or, if it has read the key before,
    /// finds at commit that it changed.
    pub fn get_for_update(&self, key: &[u8]) -> Result<Option<ValueSlice>> {
        self.lock_key(key)?;
        let since = {
            let reads = &mut *lock(&self.reads);
            reads.guarded = true;
            reads.guard(key, self.snapshot.timestamp())?
        };
        let own = own_value(&self.own.memtable, key).is_some();
        match (own, self.locks.is_some()) {
            (true, _) => self.get(key),
            (false, true) if since > self.snapshot.timestamp() => self.tablet.get(key),
            // The check is against the snapshot, so the value has to come from there, under read committed too.
            (false, _) => self.snapshot.get(key),
        }
    }

    /// An iterator that sees the snapshot and the transaction's own writes up to now.
    pub fn iter(&self, options: IterOptions) -> Result<Iter> {
        if self.isolation == Isolation::Serializable {
            let (lower, upper) = (options.lower.clone(), options.upper.clone());
            let bytes = lower.as_ref().map_or(0, Vec::len) + upper.as_ref().map_or(0, Vec::len);
            let reads = &mut *lock(&self.reads);
            reads.memory.grow_by_key(bytes)?;
            reads.ranges.push((lower, upper));
        }
        lock(&self.reads).scanned = true;
        self.reading().iter_over(Some(&self.own.memtable), options)
    }

    /// Gives `key` the value. [`Error::InvalidInput`] for a key or value over its limit, [`Error::MemoryExceeded`] if the budget has no
    /// room; a pessimistic transaction waits for the key and may get [`Error::LockTimeout`] or [`Error::Deadlock`]. What was written
    /// before stays.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.write(Operation::Put { key: key.as_ref(), value: value.as_ref() })
    }

    /// Deletes `key`; fine if it is absent. Errors as of [`Transaction::put`].
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<()> {
        self.write(Operation::Delete { key: key.as_ref() })
    }

    /// Deletes every key in `[lower, upper)`, those that do not exist yet for the transaction included: a key that another one
    /// commits into the range is a conflict. Nothing is locked. Errors as of [`Transaction::put`].
    pub fn delete_range(&mut self, lower: impl AsRef<[u8]>, upper_exclusive: impl AsRef<[u8]>) -> Result<()> {
        self.write(Operation::DeleteRange { lower: lower.as_ref(), upper: upper_exclusive.as_ref() })
    }

    /// Adds a write.
    fn write(&mut self, operation: Operation<'_>) -> Result<()> {
        operation.validate()?;
        if let Operation::Put { key, .. } | Operation::Delete { key } = operation {
            self.lock_key(key)?;
        }
        lock(&self.own.memory).grow_by_write(operation.size_bytes())?;
        apply_own(&self.own.memtable, operation);
        self.batch.push(operation);
        self.own.measure(&self.batch);
        Ok(())
    }

    /// Bytes of the keys and values it has written.
    pub fn size_bytes(&self) -> usize {
        self.batch.size_bytes()
    }

    /// Number of writes.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether it has written nothing.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Marks a place to go back to. At most [`SAVEPOINTS_MAX`] at once, or [`Error::InvalidInput`].
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        if self.savepoints.len() >= SAVEPOINTS_MAX {
            return Err(Error::invalid(format!("more than {SAVEPOINTS_MAX} savepoints")));
        }
        let savepoint = Savepoint(SAVEPOINTS.fetch_add(1, Ordering::Relaxed));
        self.savepoints.push((savepoint, self.batch.len()));
        Ok(savepoint)
    }

    /// Forgets the writes since a savepoint, and the savepoints after it; the savepoint itself stays, and so do locks and what was
    /// read. [`Error::InvalidInput`] if it is another transaction's, or one that was forgotten.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        let found = self.savepoints.iter().enumerate().rfind(|(_, (live, _))| *live == savepoint);
        let Some((at, &(_, writes))) = found else {
            return Err(Error::invalid("the savepoint is not one of this transaction, or is gone"));
        };
        self.savepoints.truncate(at + 1);
        self.batch.truncate(writes);
        self.own = OwnWrites::of(&self.tablet, &self.batch);
        Ok(())
    }

    /// Commits, at the timestamp returned. [`Error::Conflict`] means that nothing was written and the transaction may be run again;
    /// other errors as of [`Tablet::commit`]. One that wrote nothing returns a timestamp at which it may be taken to have run.
    pub fn commit(self, durability: Option<Durability>) -> Result<Timestamp> {
        let reads = self.reads.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let snapshot = self.snapshot.timestamp();
        let mut check = ConflictCheck { snapshot, ..ConflictCheck::default() };
        if self.isolation != Isolation::ReadCommitted {
            check.add_writes(self.batch.operations());
            check.keys.retain(|(key, _)| !reads.keys.contains_key(key));
        }
        check.keys.extend(reads.keys);
        check.ranges.extend(reads.ranges);
        if self.batch.is_empty() && !reads.guarded {
            // All its reads were of one snapshot: it is serialised there.
            return Ok(snapshot);
        }
        if self.batch.is_empty() {
            // All its reads are still what they were now, after the last of them: it is serialised here. A batch that is
            // being applied meanwhile comes after it, or is a conflict.
            let now = self.tablet.last_timestamp();
            check.run(&self.tablet.inner.view())?;
            return Ok(now);
        }
        // The commit takes memory for its copies of the batch; what nobody reads any more is not to stand in its way.
        drop(self.own);
        self.tablet.commit_checked(self.batch, durability, None, Some(check))
    }

    /// Forgets everything.
    pub fn rollback(self) {
        drop(self);
    }
}

/// Adds a write to a transaction's own memtable. All have the same timestamp there, so a range deletion, which does not
/// touch writes of its own timestamp, deletes the earlier ones one by one.
fn apply_own(own: &Memtable, operation: Operation<'_>) {
    match operation {
        Operation::Put { key, value } => own.insert(key, Timestamp::MAX, ValueKind::Put, value),
        Operation::Delete { key } => own.insert(key, Timestamp::MAX, ValueKind::Delete, &[]),
        Operation::DeleteRange { lower, upper } => {
            let mut covered = Vec::new();
            let mut cursor = own.cursor();
            cursor.seek(lower, Timestamp::MAX);
            while let Some(entry) = cursor.entry().filter(|entry| entry.key() < upper) {
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
