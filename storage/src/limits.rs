//! Every limit of the engine, with its reason.

/// Longest user key. An index key holds several encoded fields and a document key; 64 KiB - 1 fits a u16 and is far
/// above what a sane index has.
pub const KEY_BYTES_MAX: usize = 65_535;

/// Longest value: a 16 MiB document with its envelope, and room for a replicated entry around it.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// Largest write batch. A record of this size is held in memory about three times while it is committed.
pub const BATCH_BYTES_MAX: usize = 512 << 20;

/// Most operations in one batch.
pub const BATCH_OPERATIONS_MAX: usize = 16 << 20;

/// Largest record the log reader assembles from chunks: a batch with its header.
pub const RECORD_BYTES_MAX: usize = BATCH_BYTES_MAX + (1 << 20);

/// What readers may hold of blocks and large values beside the cache, unless the memory budget is given as one number.
pub const READ_BYTES_DEFAULT: u64 = 256 << 20;

/// Sstables and blob files open at once unless the options say otherwise: half of what a process may usually have open.
pub const OPEN_FILES_DEFAULT: usize = 512;

/// Number of levels of a tablet, L0 included.
pub const LEVELS: usize = 7;

/// Below this a blob handle costs more than the value it replaces.
pub const BLOB_THRESHOLD_BYTES_MIN: usize = 64;

/// Largest target of a block or a part of an index or a filter: with the longest value behind it a block stays below the 128 MiB
/// that a reader takes.
pub const BLOCK_BYTES_MAX: usize = 16 << 20;

/// Most entries that share one prefix in a block: what its head has room for.
pub const RESTART_INTERVAL_MAX: usize = 65_535;

/// Most compactions at once: each is a thread with buffers of its own, and has a tablet to itself.
pub const COMPACTION_THREADS_MAX: usize = 256;

/// Fewest bytes of a growing file that are sent to the disk at once: what is handed to the system at a time.
pub const SYNC_EVERY_BYTES_MIN: u64 = 256 << 10;

/// Slowest pace in bytes a second of compactions and removals: slower ones would never catch up with any use.
pub const PACE_BYTES_MIN: u64 = 1 << 20;

/// With less than this left on its file system, in bytes, a store removes files it no longer needs as fast as it can: what the
/// default settings write in a few seconds, log, flushes and compactions together.
pub const FREE_BYTES_LOW: u64 = 2 << 30;

/// Most snapshots alive at once; each pins history and a place in the watermark.
pub const SNAPSHOTS_MAX: usize = 1 << 20;

/// Bytes of requests one drain of the commit queue takes together before it writes.
pub const GROUP_BYTES_MAX: usize = 1 << 20;

/// Most keys locked at once by pessimistic transactions; each costs the key twice and about 150 bytes.
pub const LOCKS_MAX: usize = 4 << 20;

/// Longest id of a master key: what key management services name keys by, with room.
pub const MASTER_KEY_ID_BYTES_MAX: usize = 512;

/// Most tablets in one store: each has a manifest open, and the list of them is rewritten when one comes or goes.
pub const TABLETS_MAX: usize = 4_096;

/// Longest list of tablets that is read: the live ones, and runs of dropped ids, at 20 bytes each about 800,000.
pub const TABLET_LIST_BYTES_MAX: u64 = 16 << 20;

/// Bytes of unflushed records up to which a tablet that holds back old segments of the log has them appended again; one
/// with more is flushed. They are kept in memory for it, by every tablet.
pub const LOG_TAIL_BYTES_MAX: usize = 64 << 10;

/// Bytes per operation, on average over a batch, from which its record in the log is compressed unless the options say
/// otherwise: what blobs begin at. Below it, compressing costs a commit more than the bytes it saves.
pub const WAL_COMPRESSION_ENTRY_BYTES_DEFAULT: usize = 4 << 10;

/// Most savepoints nested in one transaction.
pub const SAVEPOINTS_MAX: usize = 10_000;
