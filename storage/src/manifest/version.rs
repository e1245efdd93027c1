//! The set of live files at one moment; never changes once built.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::file_id::FileId;
use crate::limits::LEVELS;
use crate::manifest::version_edit::{BlobMeta, TableMeta};

/// A live sstable. Dropped when no version and no reader needs it.
#[derive(Debug)]
pub struct TableHandle {
    /// What the manifest knows of it.
    pub meta: TableMeta,
}

/// A live blob file.
#[derive(Debug)]
pub struct BlobHandle {
    /// What the manifest knows of it.
    pub meta: BlobMeta,
}

/// The set of live files.
#[derive(Clone, Debug, Default)]
pub struct Version {
    /// Sstables by level. L0 is sorted newest first (by epoch, descending) and may overlap; the others are sorted by
    /// smallest key and do not overlap.
    pub levels: [Vec<Arc<TableHandle>>; LEVELS],
    /// Blob files.
    pub blobs: BTreeMap<FileId, Arc<BlobHandle>>,
}

impl Version {
    /// The sstables of a level; empty for a level that does not exist.
    pub fn level(&self, level: usize) -> &[Arc<TableHandle>] {
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
