//! A checkpoint: another directory that opens as a store with everything committed so far.
//!
//! Files never change, so the checkpoint shares them by hard link; where the file system cannot link, they are copied.
//! Each is read back and compared with its checksum. The file `STORE` comes last: a directory without it is no store,
//! so an interrupted checkpoint can not be mistaken for a finished one.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::poison::Poison;
use crate::sstable::block_file::FileOpener;
use crate::store;
use crate::tablet::open::Place;
use crate::tablet::verify::check_file;
use crate::tablet::{Tablet, TabletInner};
use crate::vfs::Vfs;
use crate::wal::log::{Log, LogPosition, LogTail};

/// Bytes copied at a time.
const COPY_BYTES: usize = 256 << 10;

impl Tablet {
    /// Makes `directory`, which must not exist or be empty, a store with everything committed so far.
    pub fn checkpoint(&self, directory: &Path) -> Result<()> {
        self.flush()?;
        let inner = &*self.inner;
        let vfs = &inner.vfs;
        let identity =
            vfs.unique_id().map_err(|error| Error::io("draw an identity for", directory, error))?;
        let keys = inner.versions.opener().keys.clone();
        let place = Place { vfs: Arc::clone(vfs), directory: directory.to_path_buf(), identity, keys };
        store::create_directories(&place)?;
        let names = vfs.list(directory).map_err(|error| Error::io("list", directory, error))?;
        let tablet_directory = place.tablet_directory();
        let tablet_names =
            vfs.list(&tablet_directory).map_err(|error| Error::io("list", &tablet_directory, error))?;
        if names.iter().any(|name| name == store::STORE_FILE) || !tablet_names.is_empty() {
            return Err(Error::invalid(format!("{} is not empty", directory.display())));
        }
        let (version, mut progress) = inner.versions.version_and_progress();
        if let Some(keys) = &place.keys {
            keys.copy_to(&**vfs, directory)?;
        }
        inner.link_files(&version, &tablet_directory)?;
        let tail = LogTail { next_number: progress.log_segment, ..LogTail::default() };
        Log::begin(
            Arc::clone(vfs),
            &place.log_directory(),
            identity,
            place.keys.clone(),
            tail,
            Arc::new(Poison::default()),
        )?;
        progress.log_promise = LogPosition::default();
        let target = FileOpener {
            vfs: Arc::clone(vfs),
            directory: tablet_directory.clone(),
            cache: Arc::clone(&inner.cache),
            read_mode: inner.options.read_mode,
            open_files: Arc::clone(&inner.versions.opener().open_files),
            keys: place.keys.clone(),
        };
        inner.versions.write_copy(&target, identity, &version, progress)?;
        store::write_store_file(&place)
    }
}

impl TabletInner {
    /// Links the files of `version` into `target`, and makes the names durable.
    fn link_files(&self, version: &crate::manifest::Version, target: &Path) -> Result<()> {
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
