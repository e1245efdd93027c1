//! The file system of the machine.

#![expect(clippy::disallowed_methods, reason = "this is where the machine's files come in")]

use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
#[cfg(target_os = "linux")]
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(target_os = "linux")]
use super::direct::DirectAppends;
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
    /// Where its bytes end. Held by whoever writes.
    end: Mutex<End>,
}

/// Where the bytes of a file end, and its room, and how much of both is known to be durable.
/// `synced <= written <= room_end`, and `synced_room_end <= room_end`.
#[derive(Debug, Default)]
struct End {
    /// How many bytes were written: where the next append goes.
    written: u64,
    /// How many of them are durable.
    synced: u64,
    /// To where the file goes: room reserved lies behind what was written, and reads as zeros.
    room_end: u64,
    /// To where length and blocks are durable.
    synced_room_end: u64,
    /// The way past the cache.
    #[cfg(target_os = "linux")]
    direct: DirectAppends,
}

/// A held lock; the system releases it with the handle.
#[derive(Debug)]
struct DiskLock {
    /// The locked file.
    _file: File,
}

/// Wraps a handle on a file with so many bytes, none of which need be durable.
fn opened(file: File, written: u64) -> Arc<dyn VfsFile> {
    let end = End { written, room_end: written, ..End::default() };
    Arc::new(DiskFile { file, end: Mutex::new(end) })
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
    /// Locks where the bytes end.
    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends past the cache; false if that is not to be had here, or not for these bytes.
    #[cfg(target_os = "linux")]
    fn append_directly(&self, bytes: &[u8]) -> io::Result<bool> {
        let end = &mut *self.end();
        if end.synced < end.written || end.synced_room_end <= end.written {
            return Ok(false);
        }
        let done = end.direct.append(&self.file, end.written, end.synced_room_end, bytes)?;
        if done {
            end.written += bytes.len() as u64;
            end.synced = end.written;
        }
        Ok(done)
    }

    #[cfg(not(target_os = "linux"))]
    fn append_directly(&self, _bytes: &[u8]) -> io::Result<bool> {
        Ok(false)
    }

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
        let mut end = self.end();
        self.write_all_at(end.written, bytes)?;
        end.written += bytes.len() as u64;
        end.room_end = end.room_end.max(end.written);
        Ok(())
    }

    fn append_durably(&self, bytes: &[u8]) -> io::Result<()> {
        if self.append_directly(bytes)? {
            return Ok(());
        }
        self.append(bytes)?;
        self.sync()
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        // Zeros that are written, not only allocated: to turn allocated blocks into written ones the file system has to
        // change its records again, which costs a sync as much as a new length does.
        let mut end = self.end();
        // A page at a time: what is written at once the system may keep as one large page, and then it counts, and may
        // write, all of it again for each small append into it.
        let (mut at, room_end) = (end.room_end, end.written.saturating_add(bytes));
        while at < room_end {
            let page_end = (at / PAGE_BYTES + 1).saturating_mul(PAGE_BYTES).min(room_end);
            let length = usize::try_from(page_end - at).map_err(|_| io::ErrorKind::StorageFull)?;
            self.write_all_at(at, ZEROS.get(..length).unwrap_or_default())?;
            at = page_end;
            end.room_end = at;
        }
        Ok(())
    }

    fn write_back(&self) -> io::Result<()> {
        // Linux could begin it without waiting (`sync_file_range`); no safe interface to that is at hand, and waiting has its
        // own good: whoever writes faster than the disk finds out here, and not all at once at the end.
        self.file.sync_data()
    }

    fn sync(&self) -> io::Result<()> {
        let (written, room_end) = {
            let end = self.end();
            (end.written, end.room_end)
        };
        // Not under the lock: others append while the disk works.
        self.file.sync_data()?;
        let mut end = self.end();
        end.synced = end.synced.max(written);
        end.synced_room_end = end.synced_room_end.max(room_end);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(target_os = "linux")]
    fn begin_write_back(&self, bytes: Range<u64>) {
        // What is not wanted any more the system begins to write, if it has to be, and else forgets. (`sync_file_range` would do
        // the first only; no safe interface to it is at hand.)
        let length = std::num::NonZero::new(bytes.end.saturating_sub(bytes.start));
        let _refused = rustix::fs::fadvise(&self.file, bytes.start, length, rustix::fs::Advice::DontNeed);
    }

    #[cfg(target_os = "linux")]
    fn expect_any_order(&self) {
        // Where no advice is known, more is read than is wanted.
        let _refused = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::Random);
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
#[path = "disk_tests.rs"]
mod tests;
