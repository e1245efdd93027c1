//! The way of a batch: admitted, queued, appended to the log, applied to the memtable, published.
//!
//! Within [`Tablet::commit_group`], which one thread runs at a time:
//!
//! 1. A full memtable is sealed; a full log segment is left for the next.
//! 2. Each request is checked for conflicts, gets its timestamp and index, and is framed into the log's buffer.
//! 3. The replicator makes them committed: alone, the log is written, and synced if any request asks for it. If that fails,
//!    all fail and the store is poisoned: nothing has been applied.
//! 4. Each batch is applied to the memtable. No reader looks that far yet.
//! 5. The newest timestamp is published: all batches of the group become visible.

use std::sync::atomic::Ordering;

use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::memtable::{Memtable, NewEntry};
use crate::options::{BackgroundWork, Durability, WalCompression};
use crate::planted::{Bug, planted};
use crate::replicator::{Proposal, Role};
use crate::tablet::commit_queue::Request;
use crate::tablet::lagging::{NO_SEGMENT, Tail};
use crate::tablet::{Order, SealedMemtable, Tablet, TabletInner, lock};
use crate::timestamp::Timestamp;
use crate::transaction::conflict::{ConflictCheck, GroupWrites};
use crate::wal::compression::EncodedOperations;
use crate::wal::log::Log;
use crate::wal::record::{RecordHead, RecordKind};
use crate::write_batch::{Operation, WriteBatch};

/// The term of a store alone.
const LOCAL_TERM: u64 = 1;

impl Tablet {
    /// Commits a batch: all of its writes become visible at once, at the timestamp returned. `durability` overrides the store's.
    ///
    /// [`Error::InvalidInput`]: a key or value over its limit, a range reversed, a read-only store. [`Error::WriteStalled`] and
    /// [`Error::MemoryExceeded`]: not now. [`Error::NotLeader`], [`Error::Closed`], [`Error::TabletDropped`]: not here. After all of
    /// these nothing has been written. After an error of the file system the batch may be there whole or not at all when the store is
    /// opened again, and until then writes are refused with [`Error::Poisoned`].
    pub fn commit(&self, batch: WriteBatch, durability: Option<Durability>) -> Result<Timestamp> {
        self.commit_checked(batch, durability, None, None)
    }

    /// Commits a batch at a timestamp the caller has decided on. It must be newer than every version of the keys it
    /// writes, or the batch is refused with [`Error::InvalidInput`]; readers at or above it that are already open will see it. Other
    /// errors as of [`Tablet::commit`].
    pub fn commit_at(
        &self,
        batch: WriteBatch,
        timestamp: Timestamp,
        durability: Option<Durability>,
    ) -> Result<Timestamp> {
        if timestamp == Timestamp::ZERO || timestamp == Timestamp::MAX {
            return Err(Error::invalid("a commit timestamp lies between the smallest and the largest"));
        }
        self.commit_checked(batch, durability, Some(timestamp), None)
    }

    /// Commits a batch if nothing `check` depends on has changed.
    pub(crate) fn commit_checked(
        &self,
        batch: WriteBatch,
        durability: Option<Durability>,
        timestamp: Option<Timestamp>,
        check: Option<ConflictCheck>,
    ) -> Result<Timestamp> {
        batch.validate()?;
        let inner = &*self.inner;
        inner.admit()?;
        let flushable = inner.is_flushable(batch.size_bytes());
        inner.admit_memory(batch.size_bytes(), flushable)?;
        let compression = if flushable { WalCompression::None } else { inner.wal_compression()? };
        let operations = EncodedOperations::new(batch.reduce(), compression);
        let durability = durability.unwrap_or(inner.options.durability);
        let request = Request { operations, durability, timestamp, check };
        let result = if flushable {
            inner.commit_flushable(&request)
        } else {
            inner.queue.commit(request, |group| inner.commit_group(&group))
        };
        if inner.options.background == BackgroundWork::Inline {
            inner.shared.work_inline();
        }
        result
    }
}

impl TabletInner {
    /// How records may be compressed now.
    fn wal_compression(&self) -> Result<WalCompression> {
        let may_compress = self.log()?.may_compress();
        Ok(if may_compress { self.options.wal_compression } else { WalCompression::None })
    }

    /// Fails if no commit can succeed.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.dropped.load(Ordering::Acquire) {
            return Err(Error::TabletDropped(self.id));
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        if self.options.read_only {
            return Err(Error::invalid("the store is read-only"));
        }
        self.poison.check()
    }

    /// Commits a group of requests and answers for each, in order.
    fn commit_group(&self, group: &[Request]) -> Vec<Result<Timestamp>> {
        let order = &mut *lock(&self.order);
        let committed = self
            .writing_term()
            .and_then(|term| self.seal_if_full(order).map(|()| term))
            .and_then(|term| self.append_and_propose(order, group, term));
        let mut results = match committed {
            Ok(results) => results,
            Err(error) => return group.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut newest = Timestamp::ZERO;
        let (mut committed_bytes, mut logged_bytes) = (0, 0);
        for (request, result) in group.iter().zip(&mut results) {
            if let Ok(timestamp) = result {
                committed_bytes += request.operations.plain_bytes() as u64;
                logged_bytes += request.operations.bytes().len() as u64;
                apply(&order.active, *timestamp, request.operations.batch().operations());
                newest = newest.max(*timestamp);
            }
        }
        self.visible.fetch_max(newest.0, Ordering::Release);
        self.statistics.committed_bytes.fetch_add(committed_bytes, Ordering::Relaxed);
        self.statistics.logged_bytes.fetch_add(logged_bytes, Ordering::Relaxed);
        self.shared.note_active_bytes(self, order.active.memory_bytes() as u64);
        if self.shared.is_over_active() {
            self.account_memory();
            self.shared.work.wake();
        }
        results
    }

    /// The term in which this member may write, if it may.
    fn writing_term(&self) -> Result<u64> {
        self.check_writable()?;
        match self.options.replicator.role() {
            Role::Standalone => Ok(LOCAL_TERM),
            Role::Leader { term } => Ok(term),
            Role::Follower { leader } => Err(Error::NotLeader { leader }),
        }
    }

    /// Appends a group to the log and has it committed. A failure of the second leaves records in the log that nobody may
    /// apply, so it stops writes.
    fn append_and_propose(
        &self,
        order: &mut Order,
        group: &[Request],
        term: u64,
    ) -> Result<Vec<Result<Timestamp>>> {
        let log = self.log()?;
        let first_index = order.last_index + 1;
        let results = self.append_group(log, order, group, term);
        let accepted = group.iter().zip(&results).filter(|(_, result)| result.is_ok());
        if let Some(durability) = accepted.map(|(request, _)| request.durability).max() {
            let proposal =
                Proposal { tablet: self.id, first_index, last_index: order.last_index, durability };
            let proposed = self.options.replicator.propose(log, &proposal);
            proposed.map_err(|error| self.poison.set(error))?;
        }
        Ok(results)
    }

    /// Frames every request that has no conflict into the log's buffer.
    fn append_group(
        &self,
        log: &Log,
        order: &mut Order,
        group: &[Request],
        term: u64,
    ) -> Vec<Result<Timestamp>> {
        let wall_seconds = self.options.clock.wall_seconds();
        let mut earlier = GroupWrites::default();
        let checks = group.len() > 1 && group.iter().any(|request| request.check.is_some());
        let mut results = Vec::with_capacity(group.len());
        self.hold_segment(log);
        for request in group {
            let mut assigned = self.assign(order, request, &earlier, wall_seconds);
            if let Ok(timestamp) = assigned {
                order.last_index += 1;
                order.last_timestamp = order.last_timestamp.max(timestamp);
                let head = RecordHead {
                    kind: RecordKind::Batch,
                    compressed: request.operations.is_compressed(),
                    group: self.id.0,
                    term,
                    index: order.last_index,
                    timestamp,
                };
                let appended = log.append(&mut order.scratch, &head, request.operations.bytes());
                assigned = appended.map(|_| timestamp);
                self.keep_record(order, &head, request.operations.bytes());
                if checks {
                    earlier.add(request.operations.batch().operations());
                }
            }
            results.push(assigned);
        }
        results
    }

    /// The timestamp a request gets, or why it is refused.
    fn assign(
        &self,
        order: &Order,
        request: &Request,
        earlier: &GroupWrites<'_>,
        wall_seconds: u32,
    ) -> Result<Timestamp> {
        if let Some(check) = request.check.as_ref().filter(|_| !planted(Bug::IgnoreConflict)) {
            earlier.check(check)?;
            check.run(&self.view())?;
        }
        let Some(timestamp) = request.timestamp else {
            return Ok(order.last_timestamp.advance(wall_seconds));
        };
        if timestamp <= order.last_timestamp {
            let written =
                ConflictCheck::of_writes(Timestamp(timestamp.0 - 1), request.operations.batch().operations());
            let not_newer = |_| Error::invalid(format!("a key has a version at or after {timestamp}"));
            earlier.check(&written).and_then(|()| written.run(&self.view())).map_err(not_newer)?;
        }
        Ok(timestamp)
    }

    /// Seals the memtable if it is full, or if the log segment is and no other tablet has a larger one.
    fn seal_if_full(&self, order: &mut Order) -> Result<()> {
        let bytes = order.active.memory_bytes();
        let full = bytes >= self.options.memtable_bytes;
        self.ask_for_next(bytes);
        let log = self.log()?;
        let (segment_bytes, write_back_due) = log.fill();
        if write_back_due {
            self.shared.work.ask_write_back();
        }
        let segment_full = segment_bytes >= self.options.wal_segment_bytes;
        if !order.active.is_empty() && (full || segment_full && self.shared.is_largest(self)) {
            return self.seal(order);
        }
        if segment_full && self.shared.has_several() {
            log.rotate_past(self.options.wal_segment_bytes)?;
            // Somebody may hold back too many segments now.
            self.shared.work.wake();
        }
        Ok(())
    }

    /// Seals the memtable: writes go on in a new memtable, the log in a new segment unless others have a use for this one.
    pub(crate) fn seal(&self, order: &mut Order) -> Result<()> {
        let log_segment = self.shared.end_segment()?;
        self.seal_before(order, log_segment);
        // What was written last before it, and the new segment's head, may have to become durable.
        self.shared.work.ask_sync();
        Ok(())
    }

    /// Seals the memtable if there is anything in it.
    pub(crate) fn seal_active(&self) -> Result<()> {
        let order = &mut *lock(&self.order);
        self.check_writable()?;
        if order.active.is_empty() { Ok(()) } else { self.seal(order) }
    }

    /// Seals the memtable, whose records are written, and to which no record in `log_segment` or after will belong.
    pub(crate) fn seal_before(&self, order: &mut Order, log_segment: u64) {
        let next = self.take_next(order.active.entries());
        let sealed = SealedMemtable {
            memtable: std::mem::replace(&mut order.active, next),
            log_segment,
            first_segment: self.active_since.load(Ordering::Acquire).min(log_segment),
            applied_index: order.last_index,
            last_timestamp: order.last_timestamp,
        };
        lock(&self.sealed).push_back(sealed);
        self.active_since.store(NO_SEGMENT, Ordering::Release);
        order.tail = Tail::default();
        self.tail_bytes.store(0, Ordering::Relaxed);
        self.shared.note_active_bytes(self, 0);
        self.change_view(|view| view.memtables.insert(0, order.active.clone()));
        self.account_memory();
        self.shared.work.wake();
    }
}

/// Adds a batch to a memtable.
pub(crate) fn apply<'a>(
    memtable: &Memtable,
    timestamp: Timestamp,
    operations: impl Iterator<Item = Operation<'a>> + Clone,
) {
    let points = operations.clone().filter_map(|operation| match operation {
        Operation::Put { key, value } => Some(NewEntry { key, kind: ValueKind::Put, value }),
        Operation::Delete { key } => Some(NewEntry { key, kind: ValueKind::Delete, value: &[] }),
        Operation::DeleteRange { .. } => None,
    });
    memtable.insert_all(timestamp, points);
    for operation in operations {
        if let Operation::DeleteRange { lower, upper } = operation {
            memtable.insert_range_delete(lower, upper, timestamp);
        }
    }
}
