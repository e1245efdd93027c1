//! The set of live files at one moment; never changes once built.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use crate::blob::BlobReader;
use crate::error::Result;
use crate::file_id::FileId;
use crate::limits::LEVELS;
use crate::manifest::version_edit::{BlobMeta, TableMeta};
use crate::range_tombstone::RangeTombstones;
use crate::sstable::block_file::FileOpener;
use crate::sstable::reader::TableReader;
use crate::sync::referenced;
use crate::sync::referenced::AtomicBool;

/// Keeps a version, and with it its files.
pub type VersionRef = referenced::Arc<Version>;
/// Keeps a live sstable.
pub type TableRef = referenced::Arc<TableHandle>;
/// Keeps a live blob file.
pub type BlobRef = referenced::Arc<BlobHandle>;

/// A live sstable. Dropped when no version and no reader needs it.
#[derive(Debug)]
pub struct TableHandle {
    /// What the manifest knows of it.
    pub meta: TableMeta,
    opener: Arc<FileOpener>,
    reader: OnceLock<Arc<TableReader>>,
    /// Set once no later version has it: the file goes with the handle.
    obsolete: AtomicBool,
}

impl TableHandle {
    /// A table that is opened when first read.
    pub fn new(meta: TableMeta, opener: Arc<FileOpener>) -> TableHandle {
        TableHandle { meta, opener, reader: OnceLock::new(), obsolete: AtomicBool::new(false) }
    }

    /// The open table. A failed open is tried again by the next caller.
    #[inline]
    pub fn reader(&self) -> Result<&Arc<TableReader>> {
        if let Some(reader) = self.reader.get() {
            return Ok(reader);
        }
        let opened = TableReader::open(&self.opener, self.meta.file_id, self.meta.size_bytes)?;
        let opened = opened.at(self.meta.fixed_timestamp);
        Ok(self.reader.get_or_init(|| Arc::new(opened)))
    }

    /// Says that no later version has this table.
    pub fn mark_obsolete(&self) {
        self.obsolete.store(true, Ordering::Release);
    }
}

impl Drop for TableHandle {
    fn drop(&mut self) {
        if self.obsolete.load(Ordering::Acquire) {
            if let Some(reader) = self.reader.get() {
                reader.forget();
            }
            let path = self.meta.file_id.sstable_path(&self.opener.directory);
            self.opener.give_up(path, self.meta.size_bytes);
        }
    }
}

/// A live blob file.
#[derive(Debug)]
pub struct BlobHandle {
    /// What the manifest knows of it.
    pub meta: BlobMeta,
    opener: Arc<FileOpener>,
    reader: OnceLock<Arc<BlobReader>>,
    /// Set once no later version has it: the file goes with the handle.
    obsolete: AtomicBool,
}

impl BlobHandle {
    /// A blob file that is opened when first read.
    pub fn new(meta: BlobMeta, opener: Arc<FileOpener>) -> BlobHandle {
        BlobHandle { meta, opener, reader: OnceLock::new(), obsolete: AtomicBool::new(false) }
    }

    /// The open blob file. A failed open is tried again by the next caller.
    pub fn reader(&self) -> Result<&Arc<BlobReader>> {
        if let Some(reader) = self.reader.get() {
            return Ok(reader);
        }
        let opened = BlobReader::open(&self.opener, self.meta.file_id, self.meta.size_bytes)?;
        Ok(self.reader.get_or_init(|| Arc::new(opened)))
    }

    /// Says that no later version has this file.
    pub fn mark_obsolete(&self) {
        self.obsolete.store(true, Ordering::Release);
    }
}

impl Drop for BlobHandle {
    fn drop(&mut self) {
        if self.obsolete.load(Ordering::Acquire) {
            if let Some(reader) = self.reader.get() {
                reader.forget();
            }
            let path = self.meta.file_id.blob_path(&self.opener.directory);
            self.opener.give_up(path, self.meta.size_bytes);
        }
    }
}

/// The set of live files.
#[derive(Clone, Debug, Default)]
pub struct Version {
    /// Sstables by level. L0 is sorted newest first (by epoch, descending) and may overlap; the others are sorted by
    /// smallest key and do not overlap.
    pub levels: [Vec<TableRef>; LEVELS],
    /// Blob files.
    pub blobs: BTreeMap<FileId, BlobRef>,
    /// The range tombstones of all tables, once somebody asked.
    ranges: OnceLock<Option<Arc<RangeTombstones>>>,
}

impl Version {
    /// The range tombstones of all tables, `None` when there is none.
    pub fn range_tombstones(&self) -> Result<Option<&Arc<RangeTombstones>>> {
        if let Some(ranges) = self.ranges.get() {
            return Ok(ranges.as_ref());
        }
        let mut all = Vec::new();
        for table in self.levels.iter().flatten().filter(|table| table.meta.range_tombstones > 0) {
            all.extend(table.reader()?.range_tombstones().iter().flat_map(|ranges| ranges.iter()));
        }
        let ranges = (!all.is_empty()).then(|| Arc::new(RangeTombstones::new(all)));
        Ok(self.ranges.get_or_init(|| ranges).as_ref())
    }

    /// The same files, for an edit to change.
    pub fn successor(&self) -> Version {
        Version { ranges: OnceLock::new(), ..self.clone() }
    }

    /// How many flushes L0 holds: tables of one flush share an epoch and do not overlap.
    pub fn l0_runs(&self) -> usize {
        self.level(0).chunk_by(|a, b| a.meta.epoch == b.meta.epoch).count()
    }

    /// The sstables of a level; empty for a level that does not exist.
    pub fn level(&self, level: usize) -> &[TableRef] {
        self.levels.get(level).map_or(&[], Vec::as_slice)
    }

    /// Bytes of sstables in a level.
    pub fn level_bytes(&self, level: usize) -> u64 {
        self.level(level).iter().map(|table| table.meta.size_bytes).sum()
    }

    /// Bytes of live values by blob file, from the references of all sstables.
    pub fn blob_live_bytes(&self) -> BTreeMap<FileId, u64> {
        let mut live: BTreeMap<FileId, u64> = self.blobs.keys().map(|&id| (id, 0)).collect();
        for table in self.levels.iter().flatten() {
            for &(id, bytes) in &table.meta.blob_references {
                *live.entry(id).or_default() += bytes;
            }
        }
        live
    }
}
