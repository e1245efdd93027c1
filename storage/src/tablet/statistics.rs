//! What a tablet has and has done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cache::CacheStatistics;
use crate::compaction::picker::debt_bytes;
use crate::tablet::{Tablet, TabletInner, WriteState, lock};
use crate::timestamp::Timestamp;
use crate::wal::log::LogStatistics;

/// Counters since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Flushes.
    pub(crate) flushes: AtomicU64,
    /// Bytes flushes wrote.
    pub(crate) flushed_bytes: AtomicU64,
    /// Compactions.
    pub(crate) compactions: AtomicU64,
    /// Bytes compactions read.
    pub(crate) compaction_read_bytes: AtomicU64,
    /// Bytes compactions wrote.
    pub(crate) compaction_written_bytes: AtomicU64,
    /// Compactions whose inputs were gone when they were done.
    pub(crate) plans_declined: AtomicU64,
    /// How often a commit had to wait for background work.
    pub(crate) stalls: AtomicU64,
    /// How often a commit was delayed.
    pub(crate) delays: AtomicU64,
    /// How long commits waited.
    pub(crate) stalled_micros: AtomicU64,
    /// How long commits were delayed.
    pub(crate) delayed_micros: AtomicU64,
    /// Bytes of committed batches, as the log has them.
    pub(crate) committed_bytes: AtomicU64,
    /// The same, as the log has them.
    pub(crate) logged_bytes: AtomicU64,
    /// Bytes of files that passed the log by.
    pub(crate) ingested_bytes: AtomicU64,
    /// Records appended again so that older segments could go.
    pub(crate) records_again: AtomicU64,
}

/// What one level has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelStatistics {
    /// Sstables.
    pub tables: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Point entries in them, tombstones included.
    pub entries: u64,
    /// Point tombstones among them.
    pub tombstones: u64,
}

/// What a tablet has and has done.
#[derive(Clone, Debug, Default)]
pub struct TabletStatistics {
    /// The levels, L0 first.
    pub levels: Vec<LevelStatistics>,
    /// Blob files.
    pub blob_files: usize,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Bytes of values in them that some sstable refers to.
    pub blob_live_bytes: u64,
    /// Bytes of values in them that no sstable refers to any more.
    pub blob_garbage_bytes: u64,
    /// Flushes in L0: sorted runs a reader may have to look into there.
    pub l0_runs: usize,
    /// Bytes compaction has yet to move.
    pub compaction_debt_bytes: u64,
    /// Whether commits are let through.
    pub write_state: WriteState,
    /// Memtables waiting for their flush.
    pub sealed_memtables: usize,
    /// Live snapshots.
    pub snapshots: usize,
    /// The oldest timestamp one of them reads at: what is newer cannot be collected.
    pub oldest_snapshot: Option<Timestamp>,
    /// For how long the one has been held that has been held longest.
    pub oldest_snapshot_age: Option<Duration>,
    /// The newest published timestamp.
    pub last_timestamp: Timestamp,
    /// The oldest timestamp at which a snapshot can be taken.
    pub history_floor: Timestamp,
    /// Flushes.
    pub flushes: u64,
    /// Bytes flushes wrote.
    pub flushed_bytes: u64,
    /// Compactions.
    pub compactions: u64,
    /// Bytes compactions read.
    pub compaction_read_bytes: u64,
    /// Bytes compactions wrote.
    pub compaction_written_bytes: u64,
    /// Compactions whose result was dropped because the files they were planned for had gone meanwhile.
    pub plans_declined: u64,
    /// How often a commit had to wait for background work.
    pub stalls: u64,
    /// How often a commit was delayed.
    pub delays: u64,
    /// How long commits had to wait, in microseconds, all together.
    pub stalled_micros: u64,
    /// How long commits were delayed at most, in microseconds, all together.
    pub delayed_micros: u64,
    /// Bytes of committed batches, before the log compresses them.
    pub committed_bytes: u64,
    /// Bytes of committed batches, as the log has them.
    pub logged_bytes: u64,
    /// Bytes of files that passed the log by: ingestions and large batches.
    pub ingested_bytes: u64,
    /// Records appended to the log again so that older segments could go.
    pub records_again: u64,
    /// The oldest segment of the log that holds a record which is in no sstable; `None` if there is none.
    pub oldest_segment: Option<u64>,
    /// The log, all tablets'.
    pub log: LogStatistics,
    /// Segments of the log.
    pub log_segments: usize,
    /// The cache, all tablets'.
    pub cache: CacheStatistics,
    /// Why writes are refused, if they are.
    pub poisoned: Option<String>,
}

impl TabletStatistics {
    /// Bytes written to the disk for each byte that was committed or ingested, in thousandths, since the tablet was opened:
    /// log, flushes and compactions. `None` if nothing was.
    pub fn write_amplification_permille(&self) -> Option<u64> {
        let given = self.committed_bytes + self.ingested_bytes;
        let written =
            self.logged_bytes + self.ingested_bytes + self.flushed_bytes + self.compaction_written_bytes;
        written.saturating_mul(1_000).checked_div(given)
    }

    /// Bytes of sstables and blob files for each byte that would stay if everything were merged, in thousandths. An estimate:
    /// what would stay is taken to be the deepest level that has anything and what is alive in blob files. `None` if there is
    /// nothing.
    pub fn space_amplification_permille(&self) -> Option<u64> {
        let all: u64 = self.levels.iter().map(|level| level.bytes).sum();
        let deepest = self.levels.iter().rev().map(|level| level.bytes).find(|&bytes| bytes > 0);
        (all + self.blob_bytes)
            .saturating_mul(1_000)
            .checked_div(deepest.unwrap_or_default() + self.blob_live_bytes)
    }

    /// How many sorted runs of sstables a scan merges: the flushes in L0, and every other level that has anything.
    pub fn read_amplification(&self) -> usize {
        self.l0_runs + self.levels.iter().skip(1).filter(|level| level.tables > 0).count()
    }
}

impl Tablet {
    /// What the tablet has and has done since it was opened.
    pub fn statistics(&self) -> TabletStatistics {
        self.inner.statistics()
    }
}

impl TabletInner {
    /// As [`Tablet::statistics`].
    pub(crate) fn statistics(&self) -> TabletStatistics {
        let inner = self;
        let (version, progress) = inner.versions.version_and_progress();
        let levels = version.levels.iter().map(|tables| LevelStatistics {
            tables: tables.len(),
            bytes: tables.iter().map(|table| table.meta.size_bytes).sum(),
            entries: tables.iter().map(|table| table.meta.entries).sum(),
            tombstones: tables.iter().map(|table| table.meta.tombstones).sum(),
        });
        let census = lock(&inner.watermark).census();
        let now = inner.options.clock.monotonic_micros();
        let held = census.since_micros.map(|since| Duration::from_micros(now.saturating_sub(since)));
        let blob_live_bytes = version.blob_live_bytes().values().sum();
        let blob_value_bytes: u64 = version.blobs.values().map(|blob| blob.meta.value_bytes).sum();
        let sealed_memtables = lock(&inner.sealed).len();
        let oldest_segment = inner.oldest_segment();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &inner.statistics;
        TabletStatistics {
            levels: levels.collect(),
            blob_files: version.blobs.len(),
            blob_bytes: version.blobs.values().map(|blob| blob.meta.size_bytes).sum(),
            blob_live_bytes,
            blob_garbage_bytes: blob_value_bytes.saturating_sub(blob_live_bytes),
            l0_runs: version.l0_runs(),
            compaction_debt_bytes: debt_bytes(&version, &inner.options),
            write_state: inner.backlog().state(&inner.options),
            sealed_memtables,
            snapshots: census.count,
            oldest_snapshot: census.oldest,
            oldest_snapshot_age: held,
            last_timestamp: inner.visible(),
            history_floor: progress.history_floor,
            flushes: read(&counters.flushes),
            flushed_bytes: read(&counters.flushed_bytes),
            compactions: read(&counters.compactions),
            compaction_read_bytes: read(&counters.compaction_read_bytes),
            compaction_written_bytes: read(&counters.compaction_written_bytes),
            plans_declined: read(&counters.plans_declined),
            stalls: read(&counters.stalls),
            delays: read(&counters.delays),
            stalled_micros: read(&counters.stalled_micros),
            delayed_micros: read(&counters.delayed_micros),
            committed_bytes: read(&counters.committed_bytes),
            logged_bytes: read(&counters.logged_bytes),
            ingested_bytes: read(&counters.ingested_bytes),
            records_again: read(&counters.records_again),
            oldest_segment,
            log: inner.shared.log.as_ref().map(|log| log.statistics()).unwrap_or_default(),
            log_segments: inner.shared.log.as_ref().map_or(0, |log| log.segments().len()),
            cache: inner.cache.statistics(),
            poisoned: inner.poison.reason().map(str::to_owned),
        }
    }
}
