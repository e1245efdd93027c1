//! Where a tablet's memory is, and its part in keeping the budget. The account itself is the cache's ([`crate::cache`]).

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::manifest::Version;
use crate::memtable::Memtable;
use crate::options::BackgroundWork;
use crate::tablet::{Tablet, TabletInner, lock};

/// While it is committed, a batch is in memory as operations, as a record, framed in the log's buffer, and in the memtable.
const COPIES_OF_A_BATCH: u64 = 4;
/// A write waits at most this long for memory before it is refused.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How long it waits between two looks.
const WAIT_STEP: Duration = Duration::from_millis(100);
/// What the manifest's knowledge of a file takes beside its keys, roughly.
const FILE_BYTES: u64 = 512;

/// Where a store's memory is, in bytes. The parts add up to what the store takes from the process, give or take a tenth;
/// what is not in it are threads' stacks, the buffers of a running flush or compaction, and transactions' own writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// The active memtable.
    pub active_memtable_bytes: u64,
    /// Memtables waiting for their flush.
    pub sealed_memtable_bytes: u64,
    /// Memtables that are flushed and that somebody still reads.
    pub held_memtable_bytes: u64,
    /// Blocks and large values in the cache, with its bookkeeping.
    pub cache_bytes: u64,
    /// Blocks and large values that left the cache and that somebody still reads.
    pub held_block_bytes: u64,
    /// Index roots, filters and range tombstones of open files.
    pub open_file_bytes: u64,
    /// What is known of files without opening them.
    pub metadata_bytes: u64,
    /// Framed records not yet written.
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

impl Tablet {
    /// Where the store's memory is.
    pub fn memory_report(&self) -> MemoryReport {
        let inner = &*self.inner;
        let view = inner.view();
        let mut memtables = view.memtables.iter().map(bytes_of);
        let cache = inner.cache.statistics();
        MemoryReport {
            active_memtable_bytes: memtables.next().unwrap_or(0),
            sealed_memtable_bytes: memtables.sum(),
            held_memtable_bytes: inner.held_memtable_bytes(),
            cache_bytes: cache.used_bytes,
            held_block_bytes: cache.held_bytes,
            open_file_bytes: cache.pinned_bytes,
            metadata_bytes: metadata_bytes(&view.version),
            log_buffer_bytes: inner.log.get().map_or(0, |log| log.buffer_memory_bytes() as u64),
            budget_bytes: cache.memory_bytes,
        }
    }
}

impl TabletInner {
    /// Remembers memtables that leave the view: readers may keep them in memory.
    pub(crate) fn retire_memtables(&self, memtables: &[Arc<Memtable>]) {
        let mut retired = lock(&self.retired);
        retired.retain(|memtable| memtable.strong_count() > 0);
        retired.extend(memtables.iter().map(Arc::downgrade));
    }

    fn held_memtable_bytes(&self) -> u64 {
        let held: Vec<_> = lock(&self.retired).iter().filter_map(Weak::upgrade).collect();
        held.iter().map(bytes_of).sum()
    }

    /// Reserves what memtables take (the active one at its full size, and once more for the one a seal begins), metadata and
    /// the log's buffer.
    pub(crate) fn account_memory(&self) {
        let view = self.view();
        let mut memtables = view.memtables.iter().map(bytes_of);
        let full = self.options.memtable_bytes as u64;
        let active = memtables.next().unwrap_or(0).max(full) + full;
        let buffer = self.log.get().map_or(0, |log| log.buffer_memory_bytes() as u64);
        let parts = [memtables.sum(), self.held_memtable_bytes(), metadata_bytes(&view.version), buffer];
        self.cache.reserve(active + parts.iter().sum::<u64>());
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
        let reserved = wanted <= self.options.memtable_bytes as u64 / 2;
        if reserved && !self.cache.is_over() {
            return Ok(());
        }
        self.account_memory();
        let wanted = if reserved { 0 } else { wanted };
        let mut waited = Duration::ZERO;
        while self.cache.room_bytes().is_none_or(|room| room < wanted) {
            if waited >= WAIT_MAX || self.nothing_to_wait_for() {
                return Err(Error::MemoryExceeded(format!(
                    "a batch of {batch_bytes} bytes takes {wanted} while it is committed; {} of {budget} are left",
                    self.cache.room_bytes().unwrap_or_default()
                )));
            }
            if self.options.background == BackgroundWork::Inline {
                self.work_inline();
            } else {
                self.work.wake();
                self.work.wait_for_progress(WAIT_STEP);
            }
            waited += WAIT_STEP;
            self.check_writable()?;
            self.account_memory();
        }
        Ok(())
    }

    /// Whether no flush is under way that would give memory back; readers may hold what is missing for ever.
    fn nothing_to_wait_for(&self) -> bool {
        lock(&self.sealed).is_empty()
    }
}
