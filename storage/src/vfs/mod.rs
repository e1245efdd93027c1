//! The file system as the engine sees it.
//!
//! Every byte of input and output goes through this small interface, so that tests can cut the power at any call
//! ([`MemoryVfs::crash_clone`]) and make any call fail ([`FaultVfs`]). Files are written once from front to end and
//! never overwritten, but for the zeros of room reserved. What is durable when:
//!
//! - a file's bytes and length after [`VfsFile::sync`];
//! - a name (created, renamed, linked, removed) after [`Vfs::sync_dir`] of its directory.

mod crash;
#[cfg(target_os = "linux")]
mod direct;
mod disk;
mod fault;
mod map;
mod memory;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use disk::DiskVfs;
pub use fault::{FaultVfs, VfsCall};
pub use memory::MemoryVfs;

/// A file system.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Creates an empty file for appending. Fails with `AlreadyExists` if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>>;
    /// Opens an existing file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>>;
    /// Opens an existing file for reading and appending at its end.
    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>>;
    /// Gives a file a new name in one step, replacing what has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name.
    fn link(&self, existing: &Path, new: &Path) -> io::Result<()>;
    /// Removes a file's name; the bytes go when the last open handle does.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, in no particular order.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Creates a directory and its missing ancestors; fine if it exists. Names are durable after `sync_dir` of each
    /// parent.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory, which must be empty; that it is gone is durable after `sync_dir` of its parent.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// The length of a file in bytes.
    fn len(&self, path: &Path) -> io::Result<u64>;
    /// How many bytes can still be written below a directory; `None` where nobody knows.
    fn free_bytes(&self, directory: &Path) -> io::Result<Option<u64>> {
        let _nobody_knows = directory;
        Ok(None)
    }
    /// Takes the exclusive lock on a file, creating it if need be. Fails with `WouldBlock` if somebody has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>>;
    /// A number nobody else has: the identity of a new store.
    fn unique_id(&self) -> io::Result<u128>;
    /// Bytes nobody can foretell, for keys: the system's, whatever the file system.
    fn fill_random(&self, buffer: &mut [u8]) -> io::Result<()> {
        getrandom::fill(buffer).map_err(io::Error::other)
    }
}

/// An open file. Reading and appending may happen at the same time from several threads.
pub trait VfsFile: Send + Sync + fmt::Debug {
    /// Reads at most `buffer.len()` bytes from `offset`; fewer only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes` behind what was written before.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Appends, and makes all bytes appended so far durable. Into room that was reserved, and synced since, a file system may
    /// have a quicker way for it than one after the other.
    fn append_durably(&self, bytes: &[u8]) -> io::Result<()> {
        self.append(bytes)?;
        self.sync()
    }
    /// Makes room for that many bytes behind what was written, so that appends that fill it change neither the length nor
    /// the place of the file's bytes. The room reads as zeros and counts in the length; who opens the file again appends
    /// behind it. Where a file system has no such thing, nothing happens.
    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let _nothing_to_do = bytes;
        Ok(())
    }
    /// Has the system write what was appended so far, so that a sync to come has less to do. Promises nothing: what is durable
    /// is what was synced. An error is as bad as that of a sync, for the bytes may be gone. Where files are not written behind, nothing
    /// happens.
    fn write_back(&self) -> io::Result<()> {
        Ok(())
    }
    /// Has the system begin to write these bytes, which were appended, and waits for nothing. Promises nothing: what goes wrong is
    /// told by the next sync. Where there is no such thing, nothing happens.
    fn begin_write_back(&self, _bytes: Range<u64>) {}
    /// Makes all bytes appended so far durable.
    fn sync(&self) -> io::Result<()>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Maps the whole file for reading, where that can be done; only for files that will never change again.
    fn map(&self) -> io::Result<Option<MappedBytes>> {
        Ok(None)
    }
    /// Says that reads come in no order the system could guess: it is not to read more than it is asked for.
    fn expect_any_order(&self) {}
    /// Says that these bytes will be wanted soon. Where the system can, it begins to read them; nothing is waited for.
    fn will_need(&self, _bytes: Range<u64>) {}
    /// Reads exactly `buffer.len()` bytes from `offset`; `UnexpectedEof` if the file is shorter.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
            match self.read_at(at, rest)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => done += count,
            }
        }
        Ok(())
    }
}

/// A lock on a file, released when dropped.
pub trait VfsLock: Send + Sync + fmt::Debug {}

/// A file mapped into memory.
pub trait MappedFile: AsRef<[u8]> {
    /// Brings bytes of it into memory. What cannot be read is an error here, where touching it first would end the process.
    fn populate(&self, bytes: Range<usize>) -> io::Result<()>;
}

/// Bytes of a mapped file.
pub type MappedBytes = Arc<dyn MappedFile + Send + Sync>;
