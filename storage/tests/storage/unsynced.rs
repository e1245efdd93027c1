//! A real disk whose syncs do nothing, for tests to which it does not matter what a power cut leaves: they would wait for
//! little else.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use sheaf_storage::vfs::MappedBytes;
use sheaf_storage::{DiskVfs, Vfs, VfsFile, VfsLock};

/// The disk.
#[derive(Debug)]
pub struct UnsyncedDisk;

/// A file on it.
#[derive(Debug)]
struct UnsyncedFile(Arc<dyn VfsFile>);

fn unsynced(file: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
    Arc::new(UnsyncedFile(file))
}

impl Vfs for UnsyncedDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        DiskVfs.create(path).map(unsynced)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        DiskVfs.open_read(path).map(unsynced)
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        DiskVfs.open_append(path).map(unsynced)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        DiskVfs.rename(from, to)
    }

    fn link(&self, existing: &Path, new: &Path) -> io::Result<()> {
        DiskVfs.link(existing, new)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        DiskVfs.remove(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        DiskVfs.list(directory)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DiskVfs.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        DiskVfs.remove_dir(path)
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        DiskVfs.len(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        DiskVfs.lock(path)
    }

    fn unique_id(&self) -> io::Result<u128> {
        DiskVfs.unique_id()
    }
}

impl VfsFile for UnsyncedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.append(bytes)
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        self.0.reserve(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn map(&self) -> io::Result<Option<MappedBytes>> {
        self.0.map()
    }

    fn expect_any_order(&self) {
        self.0.expect_any_order();
    }

    fn will_need(&self, bytes: Range<u64>) {
        self.0.will_need(bytes);
    }
}
