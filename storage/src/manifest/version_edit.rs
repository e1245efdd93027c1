//! A change from one version to the next.

use std::cmp::Ordering;

use crate::file_id::FileId;
use crate::timestamp::Timestamp;
use crate::wal::log::LogPosition;

/// Where an sstable's keys end. An exclusive bound comes from a range tombstone that reaches beyond the last key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableBound {
    /// The key.
    pub key: Vec<u8>,
    /// Whether the key itself is outside.
    pub exclusive: bool,
}

impl TableBound {
    /// Whether `key` lies at or before this bound.
    pub fn admits(&self, key: &[u8]) -> bool {
        match key.cmp(&self.key) {
            Ordering::Less => true,
            Ordering::Equal => !self.exclusive,
            Ordering::Greater => false,
        }
    }
}

/// What the manifest knows of an sstable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMeta {
    /// Its number.
    pub file_id: FileId,
    /// Its length in bytes; a file of another length is corrupt.
    pub size_bytes: u64,
    /// XXH3-128 of the whole file.
    pub checksum: u128,
    /// The first user key, of an entry or of a range tombstone.
    pub smallest: Vec<u8>,
    /// The last user key, of an entry or of a range tombstone's end.
    pub largest: TableBound,
    /// Point entries, tombstones included.
    pub entries: u64,
    /// Point tombstones among the entries.
    pub tombstones: u64,
    /// Range tombstones.
    pub range_tombstones: u64,
    /// The oldest timestamp in it.
    pub oldest: Timestamp,
    /// The newest timestamp in it.
    pub newest: Timestamp,
    /// Order within L0: of two overlapping sstables the one with the larger epoch is newer. A flush draws a new
    /// epoch; outputs of a compaction take the largest of their inputs'.
    pub epoch: u64,
    /// Every entry was committed at this timestamp, whatever the file says: set when an ingested sstable is installed,
    /// for its file was written before that was known.
    pub fixed_timestamp: Option<Timestamp>,
    /// Bytes of live values this sstable refers to, by blob file.
    pub blob_references: Vec<(FileId, u64)>,
}

impl TableMeta {
    /// Whether `key` may be in it.
    pub fn covers(&self, key: &[u8]) -> bool {
        self.smallest.as_slice() <= key && self.largest.admits(key)
    }

    /// Whether it may hold keys in `[lower, upper)`; a missing bound is open.
    pub fn overlaps(&self, lower: Option<&[u8]>, upper_exclusive: Option<&[u8]>) -> bool {
        lower.is_none_or(|lower| self.largest.admits(lower))
            && upper_exclusive.is_none_or(|upper| self.smallest.as_slice() < upper)
    }

    /// Whether the key ranges of two sstables overlap.
    pub fn overlaps_table(&self, other: &TableMeta) -> bool {
        self.largest.admits(&other.smallest) && other.largest.admits(&self.smallest)
    }

    /// Whether all keys of another sstable lie between the first and the last of this one.
    pub fn encloses_table(&self, other: &TableMeta) -> bool {
        self.smallest <= other.smallest && self.largest.admits(&other.largest.key)
    }
}

/// What the manifest knows of a blob file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobMeta {
    /// Its number.
    pub file_id: FileId,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// XXH3-128 of the whole file.
    pub checksum: u128,
    /// Number of values in it.
    pub values: u64,
    /// Bytes of values in it, as the references count them, when it was written.
    pub value_bytes: u64,
}

/// A change from one version to the next, applied whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionEdit {
    /// New sstables, with their level.
    pub added_tables: Vec<(usize, TableMeta)>,
    /// Sstables that go, with their level.
    pub removed_tables: Vec<(usize, FileId)>,
    /// New blob files.
    pub added_blobs: Vec<BlobMeta>,
    /// Blob files that go. A blob file no sstable refers to goes by itself.
    pub removed_blobs: Vec<FileId>,
    /// All file numbers below this are taken.
    pub next_file: Option<FileId>,
    /// All epochs below this are taken.
    pub next_epoch: Option<u64>,
    /// Log segments below this number are no longer needed.
    pub log_segment: Option<u64>,
    /// The log is on disk up to here.
    pub log_promise: Option<LogPosition>,
    /// The log index up to which all records are in sstables.
    pub applied_index: Option<u64>,
    /// The newest timestamp in sstables.
    pub last_timestamp: Option<Timestamp>,
    /// Versions shadowed before this timestamp may be gone.
    pub history_floor: Option<Timestamp>,
    /// The tablet's records before this place are in the log once more behind it.
    pub log_start: Option<LogPosition>,
    /// Log segments below this number are no longer needed by any tablet of the store.
    pub log_begin: Option<u64>,
}
