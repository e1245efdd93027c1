//! A checkpoint of one tablet, and what it does with the tablet's files.
//!
//! Files never change, so the checkpoint shares them by hard link; where the file system cannot link, they are copied.
//! Each is read back and compared with its checksum. The file `STORE` comes last: a directory without it is no store,
//! so an interrupted checkpoint can not be mistaken for a finished one.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::{Part, write_checkpoint};
use crate::tablet::verify::check_file;
use crate::tablet::{Tablet, TabletId, TabletInner};
use crate::vfs::Vfs;

/// Bytes copied at a time.
const COPY_BYTES: usize = 256 << 10;

impl Tablet {
    /// Makes `directory`, which must not exist or be empty, a store with everything committed to this tablet so far, as its
    /// first tablet. See [`crate::Store::checkpoint`] for all tablets, and for what may go wrong.
    pub fn checkpoint(&self, directory: &Path) -> Result<()> {
        self.flush()?;
        let (version, progress) = self.inner.versions.version_and_progress();
        let part = Part { id: TabletId::FIRST, tablet: Arc::clone(&self.inner), version, progress };
        write_checkpoint(&self.inner.shared, directory, vec![part], None)
    }
}

impl TabletInner {
    /// Links the files of `version` into `target`, and makes the names durable.
    pub(crate) fn link_files(&self, version: &crate::manifest::Version, target: &Path) -> Result<()> {
        let source = &self.versions.opener().directory;
        for table in version.levels.iter().flatten() {
            let meta = &table.meta;
            let (from, to) = (meta.file_id.sstable_path(source), meta.file_id.sstable_path(target));
            link_or_copy(&*self.vfs, &from, &to)?;
            check_file(&*self.vfs, &to, meta.size_bytes, meta.checksum)?;
        }
        for blob in version.blobs.values() {
            let meta = &blob.meta;
            let (from, to) = (meta.file_id.blob_path(source), meta.file_id.blob_path(target));
            link_or_copy(&*self.vfs, &from, &to)?;
            check_file(&*self.vfs, &to, meta.size_bytes, meta.checksum)?;
        }
        self.vfs.sync_dir(target).map_err(|error| Error::io("sync", target, error))
    }
}

/// Gives a file a second name, or copies it where that cannot be done.
fn link_or_copy(vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<()> {
    use std::io::ErrorKind::{CrossesDevices, PermissionDenied, Unsupported};
    match vfs.link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), CrossesDevices | PermissionDenied | Unsupported) => {
            copy_file(vfs, from, to)
        }
        Err(error) => Err(Error::io("link", to, error)),
    }
}

/// Copies a file and syncs the copy.
fn copy_file(vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<()> {
    let source = vfs.open_read(from).map_err(|error| Error::io("open", from, error))?;
    let target = vfs.create(to).map_err(|error| Error::io("create", to, error))?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = 0_u64;
    loop {
        let count = source.read_at(offset, &mut buffer).map_err(|error| Error::io("read", from, error))?;
        if count == 0 {
            return target.sync().map_err(|error| Error::io("sync", to, error));
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        target.append(bytes).map_err(|error| Error::io("write", to, error))?;
        offset += count as u64;
    }
}
