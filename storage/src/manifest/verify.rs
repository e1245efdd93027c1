//! Reads a tablet's manifest back and compares it with the version in memory.

use std::sync::atomic::Ordering;

use crate::error::{Error, Result};
use crate::manifest::current;
use crate::manifest::version::Version;
use crate::manifest::version_edit::{BlobMeta, TableMeta};
use crate::manifest::version_set::{VersionSet, read_edits, rebuild};

impl VersionSet {
    /// Reads `CURRENT` and every edit of the manifest it names, and fails unless they lead to the version in memory and to what
    /// else is known. Nobody changes the version meanwhile. Returns how many files were read, and their bytes: none for a
    /// tablet that was dropped, which has neither.
    pub fn verify(&self) -> Result<(usize, u64)> {
        let state = self.lock();
        let opener = &self.opener;
        if opener.abandoned.load(Ordering::Acquire) {
            return Ok((0, 0));
        }
        let current_path = opener.directory.join("CURRENT");
        let id = current::read(&*opener.vfs, &opener.directory)?;
        let open = state.manifest.as_ref();
        if let Some(open) = open.filter(|open| open.id != id) {
            let detail = format!("it names manifest {id}, and {} is the one written to", open.id);
            return Err(Error::corruption(&current_path, 0, detail));
        }
        let path = opener.directory.join(id.manifest_name());
        let edits = read_edits(opener, self.identity, id, open.map(|open| open.written))?;
        let rebuilt = rebuild(opener, id, &edits)?;
        let differs = |what: &str| {
            let last = edits.last().map_or(0, |(offset, _)| *offset);
            let detail = format!("its edits lead to {what} than the store has");
            Err(Error::corruption(&path, last, detail))
        };
        if let Some(level) = differing_level(&rebuilt.version, &state.version) {
            return differs(&format!("other sstables in L{level}"));
        }
        let blobs = |version: &Version| -> Vec<BlobMeta> {
            version.blobs.values().map(|blob| blob.meta.clone()).collect()
        };
        if blobs(&rebuilt.version) != blobs(&state.version) {
            return differs("other blob files");
        }
        if rebuilt.progress != state.progress {
            return differs("other log positions, timestamps or indexes");
        }
        if rebuilt.next_file > self.next_file.load(Ordering::Relaxed)
            || rebuilt.next_epoch > self.next_epoch.load(Ordering::Relaxed)
        {
            return differs("larger file numbers or epochs");
        }
        let length = |path| opener.vfs.len(path).map_err(|error| Error::io("measure", path, error));
        Ok((2, length(&current_path)? + length(&path)?))
    }
}

/// The first level in which two versions have different sstables.
fn differing_level(left: &Version, right: &Version) -> Option<usize> {
    let tables = |version: &Version, level: usize| -> Vec<TableMeta> {
        version.level(level).iter().map(|table| table.meta.clone()).collect()
    };
    (0..left.levels.len()).find(|&level| tables(left, level) != tables(right, level))
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
