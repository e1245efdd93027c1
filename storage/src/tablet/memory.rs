//! Where the memory of a store is, and what its tablets do to keep the budget. The account itself is the cache's
//! ([`crate::cache`]).

use std::sync::atomic::Ordering;
use std::sync::{Arc, TryLockError, Weak};

use crate::compaction::picker::debt_bytes;
use crate::error::{Error, Result};
use crate::manifest::Version;
use crate::memtable::Memtable;
use crate::read::ReadView;
use crate::store::Shared;
use crate::tablet::background::Stall;
use crate::tablet::{Tablet, TabletInner, lock};

/// While it is committed, a batch is in memory as operations, as a record, framed in the log's buffer, and in the memtable.
const COPIES_OF_A_BATCH: u64 = 4;
/// What the manifest's knowledge of a file takes beside its keys, roughly.
const FILE_BYTES: u64 = 512;

/// Where a store's memory is, in bytes. The parts add up to what the store takes from the process, give or take a tenth;
/// what is not in it are threads' stacks and the buffers of a running flush or compaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// The active memtables, and those that are ready to follow them.
    pub active_memtable_bytes: u64,
    /// Memtables waiting for their flush.
    pub sealed_memtable_bytes: u64,
    /// Memtables that are flushed and that somebody still reads.
    pub held_memtable_bytes: u64,
    /// Blocks and large values in the cache, with its bookkeeping.
    pub cache_bytes: u64,
    /// Blocks and large values that left the cache and that somebody still reads.
    pub held_block_bytes: u64,
    /// Transactions' own writes, the keys they have locked, and what they have read.
    pub transaction_bytes: u64,
    /// Index roots, filters and range tombstones of open files.
    pub open_file_bytes: u64,
    /// What is known of files without opening them.
    pub metadata_bytes: u64,
    /// Framed records not yet written, and records kept to be appended again.
    pub log_buffer_bytes: u64,
    /// What all of it may take.
    pub budget_bytes: u64,
}

impl MemoryReport {
    /// All of it.
    pub fn total_bytes(&self) -> u64 {
        [
            self.active_memtable_bytes,
            self.sealed_memtable_bytes,
            self.held_memtable_bytes,
            self.cache_bytes,
            self.held_block_bytes,
            self.transaction_bytes,
            self.open_file_bytes,
            self.metadata_bytes,
            self.log_buffer_bytes,
        ]
        .iter()
        .sum()
    }
}

/// What a memtable takes.
fn bytes_of(memtable: &Arc<Memtable>) -> u64 {
    memtable.memory_bytes() as u64
}

/// What is known of a version's files without opening them.
fn metadata_bytes(version: &Version) -> u64 {
    let tables = version.levels.iter().flatten();
    let keys: usize =
        tables.clone().map(|table| table.meta.smallest.len() + table.meta.largest.key.len()).sum();
    let files = tables.count() + version.blobs.len();
    keys as u64 + files as u64 * FILE_BYTES
}

/// Where the memory of a store is, all its tablets together.
pub(crate) fn memory_report(shared: &Shared) -> MemoryReport {
    let cache = shared.cache.statistics();
    let mut report = MemoryReport {
        cache_bytes: cache.used_bytes,
        held_block_bytes: cache.held_bytes,
        transaction_bytes: cache.transaction_bytes,
        open_file_bytes: cache.pinned_bytes,
        log_buffer_bytes: shared.log_buffer_bytes(),
        budget_bytes: cache.memory_bytes,
        ..MemoryReport::default()
    };
    for tablet in shared.tablets() {
        let view = tablet.view();
        let mut memtables = view.memtables.iter().map(bytes_of);
        report.active_memtable_bytes += memtables.next().unwrap_or(0) + tablet.next_memtable_bytes();
        report.sealed_memtable_bytes += memtables.sum::<u64>();
        report.held_memtable_bytes += tablet.held_memtable_bytes(&view);
        report.metadata_bytes += metadata_bytes(&view.version);
        report.log_buffer_bytes += tablet.tail_bytes.load(Ordering::Relaxed);
    }
    report
}

impl Tablet {
    /// Where the memory of the whole store is: there is one budget for all its tablets.
    pub fn memory_report(&self) -> MemoryReport {
        memory_report(&self.inner.shared)
    }
}

impl Shared {
    /// What the log's buffer takes, filled or not.
    fn log_buffer_bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.buffer_memory_bytes() as u64)
    }

    /// Reserves what memtables take (the active ones at the full size of one at least, and once more for the one a seal
    /// begins), metadata and the log's buffer, as the tablets counted them last.
    pub(crate) fn reserve_memory(&self) {
        let full = self.options.memtable_bytes as u64;
        let active = self.active_bytes().max(full) + full;
        let counted = self.tablets().into_iter().map(|tablet| {
            tablet.counted_bytes.load(Ordering::Relaxed) + tablet.tail_bytes.load(Ordering::Relaxed)
        });
        self.cache.reserve(active + counted.sum::<u64>() + self.log_buffer_bytes());
    }

    /// The same after every tablet has counted.
    fn account_memory(&self) {
        self.tablets().iter().for_each(|tablet| tablet.count_memory());
        self.reserve_memory();
    }

    /// Whether no flush is to come or under way that would give memory back; readers may hold what is missing for ever.
    fn nothing_to_wait_for(&self) -> bool {
        // In this order: a flush takes its memtables out of the sealed ones before it lets go of them.
        self.tablets().iter().all(|tablet| {
            lock(&tablet.sealed).is_empty()
                && !matches!(tablet.flushing.try_lock(), Err(TryLockError::WouldBlock))
        })
    }
}

impl TabletInner {
    /// Remembers memtables that are about to leave the view: readers may keep them in memory.
    pub(crate) fn retire_memtables(&self, memtables: &[Arc<Memtable>]) {
        let mut retired = lock(&self.retired);
        retired.retain(|memtable| memtable.strong_count() > 0);
        retired.extend(memtables.iter().map(Arc::downgrade));
    }

    /// What memtables take that are not, or will soon not be, in the view and that somebody still reads; those of `view` apart.
    fn held_memtable_bytes(&self, view: &ReadView) -> u64 {
        let held: Vec<_> = lock(&self.retired).iter().filter_map(Weak::upgrade).collect();
        let counted = |held: &&Arc<Memtable>| view.memtables.iter().any(|of_view| Arc::ptr_eq(of_view, held));
        held.iter().filter(|held| !counted(held)).map(bytes_of).sum()
    }

    /// Counts what the tablet takes beside its active memtable.
    fn count_memory(&self) {
        let view = self.view();
        let sealed: u64 = view.memtables.iter().skip(1).map(bytes_of).sum();
        // What one empty memtable takes is reserved in any case; of many it adds up.
        let empty = view.memtables.first().filter(|active| active.is_empty() && self.shared.has_several());
        let counted = empty.map_or(0, bytes_of)
            + sealed
            + self.held_memtable_bytes(&view)
            + metadata_bytes(&view.version);
        self.counted_bytes.store(counted, Ordering::Relaxed);
        // Changes with the files, as what is counted here does.
        self.debt_bytes.store(debt_bytes(&view.version, &self.options), Ordering::Relaxed);
    }

    /// Counts what the tablet takes, and reserves what all of them do.
    pub(crate) fn account_memory(&self) {
        self.count_memory();
        self.shared.reserve_memory();
    }

    /// Takes `bytes` of the budget for a transaction. Waits while a flush is to come that would make room.
    pub(crate) fn take_memory(&self, bytes: u64) -> Result<()> {
        if self.cache.admit_transaction(bytes).is_ok() {
            return Ok(());
        }
        self.wait_for_room(|| self.cache.admit_transaction(bytes))
    }

    /// Waits until there is room for what is `admitted`, and returns its refusal if there never is. Of several tablets the largest
    /// active memtable is sealed before anybody gives up: its flush is what would make room.
    fn wait_for_room(&self, admitted: impl Fn() -> Result<()>) -> Result<()> {
        let shared = &self.shared;
        let mut stall = Stall::begin(shared);
        loop {
            shared.account_memory();
            let Err(refused) = admitted() else { return Ok(()) };
            // What a flush gave back after it was counted is progress.
            let mut hopeless = shared.nothing_to_wait_for() && stall.nothing_happened();
            if hopeless && shared.has_several() && shared.active_bytes() > self.options.memtable_bytes as u64
            {
                match shared.seal_largest() {
                    // Whose it is may be going meanwhile, and then its memory is too.
                    Ok(()) | Err(Error::Closed | Error::TabletDropped(_)) => hopeless = false,
                    Err(error) => return Err(error),
                }
            }
            if hopeless || stall.is_over() {
                return Err(refused);
            }
            stall.wait();
            self.check_writable()?;
        }
    }

    /// Waits until a batch of `batch_bytes` fits into the budget, and refuses it if it never does.
    pub(crate) fn admit_memory(&self, batch_bytes: usize, flushable: bool) -> Result<()> {
        let copies = if flushable { 1 } else { COPIES_OF_A_BATCH };
        let wanted = (batch_bytes as u64).saturating_mul(copies);
        let budget = self.cache.memory_bytes();
        if wanted > budget {
            return Err(Error::MemoryExceeded(format!(
                "a batch of {batch_bytes} bytes takes {wanted} while it is committed; the budget is {budget}"
            )));
        }
        // Most batches are within the share of the active memtable, which is reserved already.
        let full = self.options.memtable_bytes as u64;
        let reserved = wanted <= full / 2;
        if reserved && !self.cache.is_over() {
            return Ok(());
        }
        let wanted = if reserved { 0 } else { wanted };
        self.wait_for_room(|| match self.cache.room_bytes() {
            Some(room) if room >= wanted => Ok(()),
            room => Err(Error::MemoryExceeded(format!(
                "a batch of {batch_bytes} bytes takes {wanted} while it is committed; {} of {budget} are left",
                room.unwrap_or_default()
            ))),
        })
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
