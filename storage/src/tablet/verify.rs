//! Reads every live file of a tablet back and compares it with what is known of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use xxhash_rust::xxh3::Xxh3Default;

use crate::blob::BlobReference;
use crate::error::{Error, Result};
use crate::manifest::{TableRef, Version};
use crate::sstable::block_file::Caching;
use crate::sstable::check::check_table;
use crate::sstable::reader::TableReader;
use crate::tablet::{Tablet, TabletInner};
use crate::vfs::Vfs;

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Files read.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Entries of sstables gone through: each with its key in the filter and its value found.
    pub entries: u64,
    /// Records of the log gone through.
    pub log_records: u64,
    /// What is wrong, at most one error a file: the first thing found in it, by file and offset. An error of another sort than
    /// [`Error::Corruption`] is one that kept the file from being read.
    pub problems: Vec<Error>,
}

impl VerifyReport {
    /// Notes files that were read, and their bytes, or what is wrong with one.
    pub(crate) fn note(&mut self, read: Result<(usize, u64)>) {
        match read {
            Ok((files, bytes)) => {
                self.files += files;
                self.bytes += bytes;
            }
            Err(problem) => {
                self.files += 1;
                self.problems.push(problem);
            }
        }
    }

    /// Takes over what another one found.
    pub(crate) fn add(&mut self, other: VerifyReport) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.entries += other.entries;
        self.log_records += other.log_records;
        self.problems.extend(other.problems);
    }
}

impl Tablet {
    /// Reads every file of the tablet and reports what is wrong, not as an error, so that all of it is found. [`crate::Store::verify`]
    /// reads those of all tablets, and the log, which they share.
    ///
    /// - `CURRENT` and every edit of the manifest, which must lead to the version in memory;
    /// - every live sstable: length and checksum as in the manifest; entries in order and where the index says; every key in the
    ///   filter; counts, bounds and timestamps as in the properties and the manifest;
    /// - every live blob file: length and checksum; every reference to it finds its value, and their bytes add up.
    ///
    /// Commits, flushes and compactions go on meanwhile; what they replace is read as it was when the call began. Sstables are read
    /// twice, once for the checksum and once by their blocks, past the cache. Of a closed store, whose directory may be somebody
    /// else's by now, only sstables and blob files are read.
    pub fn verify(&self) -> VerifyReport {
        self.inner.verify()
    }
}

impl TabletInner {
    /// As [`Tablet::verify`].
    pub(crate) fn verify(&self) -> VerifyReport {
        let mut report = VerifyReport::default();
        if !self.closed.load(Ordering::Acquire) {
            report.note(self.versions.verify());
        }
        let version = self.versions.version();
        for table in version.levels.iter().flatten() {
            let checked = self.verify_table(&version, table);
            report.entries += checked.as_ref().map_or(0, |(_, entries)| *entries);
            report.note(checked.map(|(bytes, _)| (1, bytes)));
        }
        let live = version.blob_live_bytes();
        let directory = &self.versions.opener().directory;
        for (id, blob) in &version.blobs {
            let (path, meta) = (id.blob_path(directory), &blob.meta);
            let live = live.get(id).copied().unwrap_or_default();
            let checked = check_file(&*self.vfs, &path, meta.size_bytes, meta.checksum).and_then(|()| {
                if live <= meta.value_bytes {
                    return Ok((1, meta.size_bytes));
                }
                let detail = format!("sstables refer to {live} bytes, {} were written", meta.value_bytes);
                Err(Error::corruption(&path, 0, detail))
            });
            report.note(checked);
        }
        report
    }

    /// Reads an sstable and what it refers to. Its bytes and its entries.
    fn verify_table(&self, version: &Version, table: &TableRef) -> Result<(u64, u64)> {
        let (opener, meta) = (self.versions.opener(), &table.meta);
        let path = meta.file_id.sstable_path(&opener.directory);
        check_file(&*self.vfs, &path, meta.size_bytes, meta.checksum)?;
        // Another reader than everybody's: that one has read index and filter long ago.
        let reader = TableReader::open(opener, meta.file_id, meta.size_bytes)?;
        let mut resolve = |reference: &BlobReference| {
            let missing = || {
                let path: PathBuf = reference.file_id.blob_path(&opener.directory);
                Error::corruption(&path, 0, "an sstable refers to a blob file that is not there")
            };
            let blob = version.blobs.get(&reference.file_id).ok_or_else(missing)?;
            blob.reader()?.get(reference, Caching::Past).map(|_| ())
        };
        let entries = check_table(&reader, meta, &mut resolve)?;
        Ok((meta.size_bytes, entries))
    }
}

/// Fails if a file has not the length and checksum it should have.
pub(super) fn check_file(vfs: &dyn Vfs, path: &Path, size_bytes: u64, checksum: u128) -> Result<()> {
    let file = vfs.open_read(path).map_err(|error| Error::io("open", path, error))?;
    let mut hasher = Xxh3Default::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut offset = 0_u64;
    loop {
        let count = file.read_at(offset, &mut buffer).map_err(|error| Error::io("read", path, error))?;
        if count == 0 {
            break;
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        offset += count as u64;
    }
    if offset != size_bytes {
        let detail = format!("the file has {offset} bytes, the manifest says {size_bytes}");
        return Err(Error::corruption(path, offset.min(size_bytes), detail));
    }
    if hasher.digest128() != checksum {
        return Err(Error::corruption(path, 0, "the file's checksum is not the one in the manifest"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::{Keyspace, KeyspaceOptions};
    use crate::manifest::{TableMeta, VersionEdit, VersionRef};
    use crate::options::{BackgroundWork, StoreOptions};
    use crate::store::Store;
    use crate::vfs::MemoryVfs;
    use crate::write_batch::WriteBatch;

    #[test]
    fn more_bytes_alive_in_a_blob_file_than_were_written_are_named() {
        let separates = KeyspaceOptions { blob_threshold_bytes: Some(100), ..KeyspaceOptions::default() };
        let options = StoreOptions {
            background: BackgroundWork::Inline,
            keyspaces: [(Keyspace(b'd'), separates)].into(),
            ..StoreOptions::default()
        };
        let store = Store::open(std::sync::Arc::new(MemoryVfs::new()), Path::new("/db"), options).unwrap();
        let tablet = store.tablet();
        let mut batch = WriteBatch::new();
        batch.put("d", vec![1; 200]);
        tablet.commit(batch, None).unwrap();
        tablet.flush().unwrap();
        let inner = &*tablet.inner;
        let version = inner.versions.version();
        let meta = version.level(0).first().unwrap().meta.clone();
        let blob = version.blobs.values().next().unwrap().meta.clone();
        assert_eq!(meta.blob_references, [(blob.file_id, blob.value_bytes)]);
        let path = blob.file_id.blob_path(&inner.versions.opener().directory);
        for (more, is_named) in [(0, false), (1, true)] {
            // As a writer that counts a reference twice would have it.
            let references = vec![(blob.file_id, blob.value_bytes + more)];
            let current = inner.versions.version().level(0).first().unwrap().meta.clone();
            let edit = VersionEdit {
                removed_tables: vec![(0, current.file_id)],
                added_tables: vec![(0, TableMeta { blob_references: references, ..current })],
                ..VersionEdit::default()
            };
            let publish = |version: &VersionRef| {
                inner.change_view(|view| view.version = VersionRef::clone(version));
            };
            inner.versions.install(edit, publish).unwrap();
            let problems = store.verify().problems;
            let named = problems.iter().any(|problem| {
                matches!(problem, Error::Corruption { file, detail, .. }
                    if *file == path && detail.contains("were written"))
            });
            assert_eq!(named, is_named, "{problems:?}");
        }
    }
}
