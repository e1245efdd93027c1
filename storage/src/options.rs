//! How a store is opened.

mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::encryption::Encryption;
use crate::events::{Event, EventListener};
use crate::keyspace::{Keyspace, KeyspaceOptions};
use crate::limits::{LEVELS, OPEN_FILES_DEFAULT, READ_BYTES_DEFAULT, WAL_COMPRESSION_ENTRY_BYTES_DEFAULT};
use crate::replicator::{Local, Replicator};

/// What an acknowledged commit means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// In memory only: a crash of the process may lose it, and everything after it.
    None,
    /// Handed to the operating system: survives a crash of the process; a power cut may lose the last
    /// [`StoreOptions::async_interval`] of commits.
    Async,
    /// On disk: survives a power cut.
    Sync,
}

/// How a block is compressed. The number is the one stored on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Compression {
    /// As it is.
    None = 0,
    /// Fast, modest.
    Lz4 = 1,
    /// Slower, tighter.
    Zstd = 2,
}

/// Whether records of the log are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalCompression {
    /// None is.
    None,
    /// With LZ4, those of batches of large values, where it saves an eighth or more.
    Lz4 {
        /// Bytes of keys and values per operation, on average over the batch, from which its record is compressed.
        entry_bytes_min: usize,
    },
}

impl Default for WalCompression {
    fn default() -> Self {
        WalCompression::Lz4 { entry_bytes_min: WAL_COMPRESSION_ENTRY_BYTES_DEFAULT }
    }
}

/// What filter an sstable carries. The number is the one stored on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FilterKind {
    /// No filter.
    None = 0,
    /// A Bloom filter in cache-line blocks.
    BlockedBloom = 1,
}

/// How immutable files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// Positional reads through the block cache.
    Pread,
    /// Memory maps where the platform and the file system allow them, else positional reads. A medium that loses what was read
    /// before ends the process, which a positional read does not.
    Mmap,
}

/// Who runs flushes and compactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackgroundWork {
    /// Threads of the store: one that flushes and does nothing else, some that compact, one that syncs, one that removes files.
    Threads,
    /// The committing thread, before its commit returns. Deterministic, for tests.
    Inline,
}

/// How a store is opened. Start from [`StoreOptions::default`].
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Create the directory and an empty store if there is none.
    pub create_if_missing: bool,
    /// Open without writing anything; commits are refused.
    pub read_only: bool,
    /// What a commit gets when it does not say.
    pub durability: Durability,
    /// How often asynchronous commits are synced.
    pub async_interval: Duration,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Who runs flushes and compactions.
    pub background: BackgroundWork,
    /// Hears of flushes, compactions, stalls and failures.
    pub events: Option<Arc<dyn EventListener>>,
    /// What stands between appending a write to the log and applying it: [`Local`] for a store alone.
    pub replicator: Arc<dyn Replicator>,

    /// The master key of a store that is encrypted; `None` for one that is not. Decided when the store is made.
    pub encryption: Option<Encryption>,

    /// What memtables, cache, open files, blocks that are being read and the log's buffer may take together, in bytes. The
    /// cache gives way to the others; then writes wait, and what cannot be had is refused with
    /// [`Error::MemoryExceeded`]. `None`: the sum of the options below and [`READ_BYTES_DEFAULT`].
    pub memory_bytes: Option<u64>,
    /// Most that the block and blob cache may take, with what open files take.
    pub cache_bytes: u64,
    /// Size at which a memtable is sealed.
    pub memtable_bytes: usize,
    /// Size in bytes from which a batch goes straight into sstables, past the log and the memtable. `None`: half a memtable.
    pub flushable_batch_bytes: Option<usize>,
    /// Sealed memtables at which writers wait for the flush.
    pub sealed_memtables_max: usize,
    /// Size at which a log segment is closed and the next begun.
    pub wal_segment_bytes: u64,
    /// Whether records of the log are compressed. A store that is made with another choice than none gets format version 5; an
    /// older one writes plain records until [`Store::raise_format_version`](crate::Store::raise_format_version).
    pub wal_compression: WalCompression,
    /// Segments of the log that the unflushed records of one tablet among several may hold back. One that holds back more is
    /// brought forward: its records are appended again where they are few, else it is flushed.
    pub log_segments_max: u64,
    /// Size at which the manifest is rewritten, unless its content alone is larger.
    pub manifest_bytes_min: u64,

    /// Sstables and blob files held open at once; others are opened again when they are read.
    pub open_files_max: usize,
    /// How immutable files are read.
    pub read_mode: ReadMode,
    /// Uncompressed size of a data block in L0 and L1.
    pub block_bytes_upper: usize,
    /// Uncompressed size of a data block in L2 and below.
    pub block_bytes_lower: usize,
    /// Entries of a data block that share one prefix: a smaller number makes a seek shorter and the block larger.
    pub restart_interval: usize,
    /// Compression by level.
    pub compression: [Compression; LEVELS],
    /// What filter sstables carry.
    pub filter: FilterKind,
    /// Bits of filter per key.
    pub filter_bits_per_key: usize,

    /// A filter of more bytes than this is cut into parts of this size, which come through the cache; a smaller one is in
    /// memory while its sstable is open.
    pub filter_part_bytes: usize,
    /// The same for the index of data blocks: a larger one is cut into parts of this size.
    pub index_part_bytes: usize,

    /// Number of flushes in L0 that starts a compaction. While one flush follows the other it takes half as many again.
    pub l0_compaction_trigger: usize,
    /// Number of sstables in L0 from which commits are delayed.
    pub l0_slowdown: usize,
    /// Number of sstables in L0 at which commits wait.
    pub l0_stop: usize,
    /// Bytes that compaction has yet to move from which commits are delayed.
    pub debt_slowdown_bytes: u64,
    /// Bytes that compaction has yet to move at which commits wait.
    pub debt_stop_bytes: u64,
    /// Most compactions at once, each of another tablet: a long one of one tablet does not hold up the others.
    pub compaction_threads_max: usize,
    /// The pace in bytes of keys and values a second that a compaction keeps where the store has threads, as long as no commit
    /// is held back for it; `None`: as fast as it can.
    pub compaction_bytes_per_second: Option<u64>,
    /// The pace in bytes a second at which files that are no longer needed are removed, where the store has threads; `None`: as
    /// fast as the file system can.
    pub removal_bytes_per_second: Option<u64>,
    /// Bytes of a growing sstable or blob file after which what has been written is sent to the disk, so that commits, which sync
    /// the log, do not wait behind all of it when it is synced at its end; `None`: only then.
    pub sync_every_bytes: Option<u64>,
    /// Target size of one sstable.
    pub table_bytes_target: u64,
    /// Target size of the first level below L0 that is in use.
    pub level_base_bytes: u64,
    /// How much larger each level's target is than the one above.
    pub level_growth: u64,
    /// Target size of a blob file.
    pub blob_file_bytes_target: u64,
    /// Share of dead bytes, in percent, at which a blob file is rewritten.
    pub blob_garbage_percent_max: u8,

    /// How long history stays readable: versions younger than this are kept even when no snapshot needs them. Rounded up to whole
    /// seconds, which is what timestamps count.
    pub retention: Duration,
    /// Options by keyspace; a keyspace not named has the defaults.
    pub keyspaces: BTreeMap<Keyspace, KeyspaceOptions>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            create_if_missing: true,
            read_only: false,
            durability: Durability::Sync,
            async_interval: Duration::from_millis(100),
            clock: Arc::new(SystemClock::default()),
            background: BackgroundWork::Threads,
            events: None,
            replicator: Arc::new(Local),
            encryption: None,
            memory_bytes: None,
            cache_bytes: 256 << 20,
            memtable_bytes: 32 << 20,
            flushable_batch_bytes: None,
            sealed_memtables_max: 4,
            wal_segment_bytes: 64 << 20,
            wal_compression: WalCompression::default(),
            log_segments_max: 4,
            manifest_bytes_min: 1 << 20,
            open_files_max: OPEN_FILES_DEFAULT,
            read_mode: ReadMode::Pread,
            block_bytes_upper: 4 << 10,
            block_bytes_lower: 6 << 10,
            restart_interval: 16,
            compression: [Compression::Lz4; LEVELS],
            filter: FilterKind::BlockedBloom,
            filter_bits_per_key: 10,
            filter_part_bytes: 256 << 10,
            index_part_bytes: 256 << 10,
            l0_compaction_trigger: 4,
            l0_slowdown: 12,
            l0_stop: 24,
            debt_slowdown_bytes: 16 << 30,
            debt_stop_bytes: 64 << 30,
            compaction_threads_max: 2,
            compaction_bytes_per_second: None,
            removal_bytes_per_second: Some(256 << 20),
            sync_every_bytes: Some(4 << 20),
            table_bytes_target: 32 << 20,
            level_base_bytes: 256 << 20,
            level_growth: 10,
            blob_file_bytes_target: 128 << 20,
            blob_garbage_percent_max: 50,
            retention: Duration::ZERO,
            keyspaces: BTreeMap::new(),
        }
    }
}

impl StoreOptions {
    /// The options of a keyspace.
    pub fn keyspace(&self, keyspace: Keyspace) -> KeyspaceOptions {
        self.keyspaces.get(&keyspace).copied().unwrap_or_default()
    }

    /// Size in bytes from which a batch goes straight into sstables.
    pub fn flushable_bytes(&self) -> usize {
        self.flushable_batch_bytes.unwrap_or(self.memtable_bytes / 2)
    }

    /// The one memory budget, in bytes.
    pub fn memory_budget_bytes(&self) -> u64 {
        let memtables =
            self.memtable_bytes.saturating_mul(self.sealed_memtables_max.saturating_add(2)) as u64;
        let parts = self.cache_bytes.saturating_add(memtables).saturating_add(READ_BYTES_DEFAULT);
        self.memory_bytes.unwrap_or(parts)
    }

    /// What the active memtables of all tablets may take together, in bytes: half of the budget's part for memtables, or of
    /// what the budget leaves for them, and never less than one memtable.
    pub(crate) fn active_memtable_bytes_max(&self) -> u64 {
        let usual = (self.memtable_bytes as u64)
            .saturating_mul(self.sealed_memtables_max.saturating_add(2) as u64)
            / 2;
        let left = self.memory_budget_bytes().saturating_sub(self.cache_bytes / 8) / 2;
        usual.min(left).max(self.memtable_bytes as u64)
    }

    /// Tells the listener, if there is one.
    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        if let Some(listener) = &self.events {
            listener.on_event(&event());
        }
    }
}
