//! The file system of the machine.

#![expect(clippy::disallowed_methods, reason = "this is where the machine's files come in")]

use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
#[cfg(target_os = "linux")]
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::{MappedBytes, Vfs, VfsFile, VfsLock};

/// A page of the system's cache on common machines.
const PAGE_BYTES: u64 = 4096;
/// What room reserved is filled with.
static ZEROS: [u8; 4096] = [0; 4096];

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskVfs;

/// An open file.
#[derive(Debug)]
struct DiskFile {
    /// The system's handle.
    file: File,
    /// How many bytes were written: where the next append goes. Room reserved lies behind it.
    written: Mutex<u64>,
}

/// A held lock; the system releases it with the handle.
#[derive(Debug)]
struct DiskLock {
    /// The locked file.
    _file: File,
}

/// Wraps a handle on a file with so many bytes.
fn opened(file: File, written: u64) -> Arc<dyn VfsFile> {
    Arc::new(DiskFile { file, written: Mutex::new(written) })
}

impl Vfs for DiskVfs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(opened(file, 0))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let file = File::open(path)?;
        Ok(opened(file, 0))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(opened(file, length))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn link(&self, existing: &Path, new: &Path) -> io::Result<()> {
        std::fs::hard_link(existing, new)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // Windows has no handle on a directory to sync; NTFS journals names by itself.
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if cfg!(windows) { Ok(()) } else { File::open(path)?.sync_all() }
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }

    #[cfg(target_os = "linux")]
    fn free_bytes(&self, directory: &Path) -> io::Result<Option<u64>> {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        // What is kept back for the system's administrator is not there for us.
        let figures = rustix::fs::statvfs(directory)?;
        Ok(Some(figures.f_bavail.saturating_mul(figures.f_frsize)))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(DiskLock { _file: file })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn unique_id(&self) -> io::Result<u128> {
        // The standard library seeds its hash maps from the system's randomness.
        let half = || u128::from(RandomState::new().build_hasher().finish());
        Ok((half() << 64) | half())
    }
}

impl DiskFile {
    #[cfg(unix)]
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }

    #[cfg(windows)]
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut offset, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let count = std::os::windows::fs::FileExt::seek_write(&self.file, rest, offset)?;
            rest = rest.get(count..).filter(|_| count > 0).ok_or(io::ErrorKind::WriteZero)?;
            offset += count as u64;
        }
        Ok(())
    }
}

impl VfsFile for DiskFile {
    #[cfg(unix)]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::os::unix::fs::FileExt::read_at(&self.file, buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    #[cfg(windows)]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.file, buffer, offset)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_all_at(*written, bytes)?;
        *written += bytes.len() as u64;
        Ok(())
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        // Zeros that are written, not only allocated: to turn allocated blocks into written ones the file system has to
        // change its records again, which costs a sync as much as a new length does.
        let written = *self.written.lock().unwrap_or_else(PoisonError::into_inner);
        // A page at a time: what is written at once the system may keep as one large page, and then it counts, and may
        // write, all of it again for each small append into it.
        let (mut at, end) = (written, written.saturating_add(bytes));
        while at < end {
            let page_end = (at / PAGE_BYTES + 1).saturating_mul(PAGE_BYTES).min(end);
            let length = usize::try_from(page_end - at).map_err(|_| io::ErrorKind::StorageFull)?;
            self.write_all_at(at, ZEROS.get(..length).unwrap_or_default())?;
            at = page_end;
        }
        Ok(())
    }

    fn write_back(&self) -> io::Result<()> {
        // Linux could begin it without waiting (`sync_file_range`); no safe interface to that is at hand, and waiting has its
        // own good: whoever writes faster than the disk finds out here, and not all at once at the end.
        self.file.sync_data()
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(target_os = "linux")]
    fn will_need(&self, bytes: Range<u64>) {
        let length = std::num::NonZero::new(bytes.end.saturating_sub(bytes.start));
        // A file system that knows no advice reads when it is asked to, which is what happens next.
        let _refused = rustix::fs::fadvise(&self.file, bytes.start, length, rustix::fs::Advice::WillNeed);
    }

    fn map(&self) -> io::Result<Option<MappedBytes>> {
        super::map::map_file(&self.file)
    }
}

impl VfsLock for DiskLock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_names_and_locks_work_on_a_real_disk() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let vfs = DiskVfs;
        vfs.create_dir(&path("a/b")).unwrap();
        let file = vfs.create(&path("a/x")).unwrap();
        assert_eq!(vfs.create(&path("a/x")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        file.append(b"hello").unwrap();
        file.append(b" world").unwrap();
        file.sync().unwrap();
        vfs.link(&path("a/x"), &path("a/y")).unwrap();
        vfs.rename(&path("a/x"), &path("a/z")).unwrap();
        vfs.sync_dir(&path("a")).unwrap();
        let mut names = vfs.list(&path("a")).unwrap();
        names.sort();
        assert_eq!(names, ["b", "y", "z"]);
        let mut buffer = [0; 5];
        vfs.open_read(&path("a/y")).unwrap().read_exact_at(6, &mut buffer).unwrap();
        assert_eq!(&buffer, b"world");
        assert!(file.read_exact_at(7, &mut buffer).is_err());
        let mapped = file.map().unwrap();
        assert_eq!(mapped.is_some(), usize::BITS == 64, "address space is too scarce on narrow machines");
        assert!(mapped.is_none_or(|mapped| (*mapped).as_ref() == b"hello world"));
        file.reserve(5000).unwrap();
        file.append(b"!").unwrap();
        file.read_exact_at(10, &mut buffer[..2]).unwrap();
        assert_eq!(&buffer[..2], b"d!");
        assert_eq!(file.len().unwrap(), 5011);
        vfs.open_append(&path("a/y")).unwrap().append(b"?").unwrap();
        assert_eq!(file.len().unwrap(), 5012);
        assert_eq!(vfs.remove_dir(&path("a")).unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
        vfs.remove_dir(&path("a/b")).unwrap();
        assert!(vfs.list(&path("a/b")).is_err());
        let free = vfs.free_bytes(directory.path()).unwrap();
        assert_eq!(free.is_some(), cfg!(target_os = "linux"));
        assert!(free.is_none_or(|bytes| bytes > 4096 && bytes < 1 << 60), "{free:?}");
        assert!(cfg!(not(target_os = "linux")) || vfs.free_bytes(&path("nowhere")).is_err());
        let lock = vfs.lock(&path("LOCK")).unwrap();
        assert_eq!(vfs.lock(&path("LOCK")).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(lock);
        vfs.lock(&path("LOCK")).unwrap();
        assert_ne!(vfs.unique_id().unwrap(), vfs.unique_id().unwrap());
    }
}
