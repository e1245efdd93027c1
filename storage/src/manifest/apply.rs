//! Builds the next version from one and an edit, and checks what must hold in every version.
//!
//! 1. A table or blob file that the edit removes must be there: else the edit was planned on another version, and it is
//!    refused whole.
//! 2. L0 is ordered by epoch, newest first; no two of its tables overlap in key and share an epoch.
//! 3. Tables of the other levels are ordered by key and do not overlap.
//! 4. Every blob file a table refers to is there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::file_id::FileId;
use crate::manifest::version::{BlobHandle, BlobRef, TableHandle, TableRef, Version};
use crate::manifest::version_edit::VersionEdit;
use crate::planted::{Bug, planted};
use crate::sstable::block_file::FileOpener;

impl Version {
    /// Whether everything that `edit` removes is here.
    pub fn has_inputs_of(&self, edit: &VersionEdit) -> bool {
        let has =
            |&(level, id): &(usize, FileId)| self.level(level).iter().any(|table| table.meta.file_id == id);
        edit.removed_tables.iter().all(has) && edit.removed_blobs.iter().all(|id| self.blobs.contains_key(id))
    }

    /// The version after `edit`. Fails, without effect, if the edit does not fit.
    pub fn apply(&self, edit: &VersionEdit, opener: &Arc<FileOpener>) -> Result<Version> {
        let mut next = self.successor();
        let mut removed: BTreeMap<FileId, TableRef> = BTreeMap::new();
        for &(level, id) in &edit.removed_tables {
            let tables = next.levels.get_mut(level).ok_or_else(|| misfit(format!("there is no L{level}")))?;
            let at = tables.iter().position(|table| table.meta.file_id == id);
            let at = at.ok_or_else(|| misfit(format!("sstable {id} is not in L{level}")))?;
            removed.insert(id, tables.remove(at));
        }
        for (level, meta) in &edit.added_tables {
            // A table that only changes its level keeps its handle, and with it its open file.
            let kept = removed.get(&meta.file_id).filter(|table| table.meta == *meta).cloned();
            let table =
                kept.unwrap_or_else(|| TableRef::new(TableHandle::new(meta.clone(), Arc::clone(opener))));
            let tables =
                next.levels.get_mut(*level).ok_or_else(|| misfit(format!("there is no L{level}")))?;
            tables.push(table);
        }
        for (level, tables) in next.levels.iter_mut().enumerate() {
            match level {
                0 => tables.sort_by_key(|table| Reverse((table.meta.epoch, table.meta.file_id))),
                _ => tables.sort_by(|a, b| a.meta.smallest.cmp(&b.meta.smallest)),
            }
        }
        for id in &edit.removed_blobs {
            next.blobs.remove(id).ok_or_else(|| misfit(format!("blob file {id} is not there")))?;
        }
        for meta in &edit.added_blobs {
            let handle = BlobRef::new(BlobHandle::new(meta.clone(), Arc::clone(opener)));
            next.blobs.insert(meta.file_id, handle);
        }
        if planted(Bug::WrongL0Order) {
            next.levels.iter_mut().take(1).for_each(|tables| tables.reverse());
        }
        let referenced: BTreeSet<FileId> = next.blob_references().collect();
        next.blobs.retain(|id, _| referenced.contains(id));
        next.check()?;
        Ok(next)
    }

    /// The blob files tables refer to.
    fn blob_references(&self) -> impl Iterator<Item = FileId> + '_ {
        self.levels.iter().flatten().flat_map(|table| table.meta.blob_references.iter().map(|&(id, _)| id))
    }

    /// Fails if the version is not one that may exist.
    pub fn check(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        for table in self.levels.iter().flatten() {
            if !seen.insert(table.meta.file_id) {
                return Err(misfit(format!("sstable {} is in two places", table.meta.file_id)));
            }
        }
        let upper = self.level(0);
        for (at, newer) in upper.iter().enumerate() {
            for older in upper.iter().skip(at + 1) {
                let same = newer.meta.epoch == older.meta.epoch;
                if newer.meta.epoch < older.meta.epoch || (same && newer.meta.overlaps_table(&older.meta)) {
                    return Err(misfit(format!(
                        "sstables {} and {} of L0 are out of order",
                        newer.meta.file_id, older.meta.file_id
                    )));
                }
            }
        }
        for (level, tables) in self.levels.iter().enumerate().skip(1) {
            for pair in tables.windows(2) {
                let [left, right] = pair else { continue };
                if left.meta.largest.admits(&right.meta.smallest) {
                    return Err(misfit(format!(
                        "sstables {} and {} of L{level} overlap",
                        left.meta.file_id, right.meta.file_id
                    )));
                }
            }
        }
        match self.blob_references().find(|id| !self.blobs.contains_key(id)) {
            Some(id) => Err(misfit(format!("a table refers to blob file {id}, which is not there"))),
            None => Ok(()),
        }
    }

    /// Marks what `self` has and `next` has not, so that the files go when the last reader does.
    pub fn retire(&self, next: &Version) {
        let tables: BTreeSet<FileId> = next.levels.iter().flatten().map(|table| table.meta.file_id).collect();
        for table in self.levels.iter().flatten() {
            if !tables.contains(&table.meta.file_id) {
                table.mark_obsolete();
            }
        }
        for (id, blob) in &self.blobs {
            if !next.blobs.contains_key(id) {
                blob.mark_obsolete();
            }
        }
    }
}

/// The edit does not fit the version.
fn misfit(detail: String) -> Error {
    Error::InvalidInput(format!("version edit: {detail}"))
}

#[cfg(test)]
#[path = "apply_tests.rs"]
pub(crate) mod tests;
