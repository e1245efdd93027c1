//! Temporary files: where operators go that have more than memory.
//!
//! A file is written front to back and then read: front to back, any number of times, or record by record where somebody
//! noted where each begins. It is a sequence of records:
//!
//! ```text
//! ┌──────────┬──────────────┬─────────────────┐
//! │ 4        │ 8            │ length          │
//! │ length   │ check        │ record          │
//! └──────────┴──────────────┴─────────────────┘
//! length   u32, little-endian: bytes of the record
//! check    u64, little-endian: XXH3 of the record
//! ```
//!
//! What a record is, is its operator's business. How many there are the writer remembers: fewer of them, a length that
//! leads behind the end or a wrong check is error 366, never an answer from damaged bytes.
//!
//! The name of a file is removed as soon as it is open, so the bytes go with the last handle, whatever becomes of the
//! process. A crash between the two leaves an empty file, which the next opening of the database removes. Nothing here
//! is ever synced.

mod row_codec;
mod sorter;
mod statistics;

pub(super) use row_codec::{decode_row, encode_row};
pub(super) use sorter::{KeyedRow, Order, SortedRows, Sorter};
pub use statistics::{SpillStatistics, SpillUse};
pub(crate) use statistics::{SpillTotals, SpillingOperator};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sheaf_storage::Scratch;
use sheaf_storage::vfs::{Vfs, VfsFile};
use xxhash_rust::xxh3::xxh3_64;

use super::{Row, RowDocument};
use crate::{Error, Result, error_code};

/// Bytes that are written, and read, at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Length and check of a record.
const HEADER_BYTES: usize = 12;

/// What the names of temporary files end with.
const SUFFIX: &str = ".spill";

/// Where temporary files are put.
#[derive(Debug)]
pub(crate) struct SpillSpace {
    vfs: Arc<dyn Vfs>,
    directory: PathBuf,
    /// Whether what is written is encrypted, as everything else of the database is.
    encrypted: bool,
    /// Files made so far, for their names.
    files: AtomicU64,
    pub(crate) totals: SpillTotals,
}

/// A file that is being written.
pub(super) struct SpillWriter {
    file: Arc<dyn VfsFile>,
    buffer: Vec<u8>,
    used: SpillUse,
}

/// A file that was written, to be read.
pub(super) struct SpillFile {
    file: Arc<dyn VfsFile>,
    used: SpillUse,
}

/// A file that is being read.
pub(super) struct SpillReader {
    file: Arc<dyn VfsFile>,
    /// Records that must still follow.
    left: u64,
    /// The length of the file.
    len: u64,
    /// Where the bytes behind `buffer` are.
    offset: u64,
    buffer: Vec<u8>,
    /// How much of `buffer` was taken.
    taken: usize,
}

impl SpillSpace {
    /// The space in a directory; removes what an earlier process left there.
    pub(crate) fn open(vfs: Arc<dyn Vfs>, directory: PathBuf, encrypted: bool) -> Result<Self> {
        let left = match vfs.list(&directory) {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failure("look for", &error)),
        };
        for name in left.iter().filter(|name| name.ends_with(SUFFIX)) {
            vfs.remove(&directory.join(name)).map_err(|error| failure("remove", &error))?;
        }
        Ok(Self { vfs, directory, encrypted, files: AtomicU64::new(0), totals: SpillTotals::default() })
    }

    /// A new file.
    pub(super) fn create(&self) -> Result<SpillWriter> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let path: &Path = &self.directory.join(format!("{number:016x}{SUFFIX}"));
        let failed = |error| failure("create", &error);
        self.vfs.create_dir(&self.directory).map_err(failed)?;
        let file = self.vfs.create(path).map_err(failed)?;
        self.vfs.remove(path).map_err(failed)?;
        let file = match self.encrypted {
            true => Arc::new(Scratch::over(&*self.vfs, file).map_err(failed)?),
            false => file,
        };
        Ok(SpillWriter { file, buffer: Vec::new(), used: SpillUse::default() })
    }
}

fn failure(what: &str, error: &std::io::Error) -> Error {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => error_code::OUT_OF_DISK_SPACE,
        _ => error_code::FILE_STREAM_FAILED,
    };
    Error::new(code, format!("cannot {what} a temporary file of a query: {error}"))
}

fn damaged() -> Error {
    Error::new(
        error_code::DATA_CORRUPTION_DETECTED,
        "a temporary file of a query does not hold what was written",
    )
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn read_exactly(file: &Arc<dyn VfsFile>, offset: u64, buffer: &mut [u8]) -> Result<()> {
    file.read_exact_at(offset, buffer).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => damaged(),
        _ => failure("read", &error),
    })
}

impl SpillWriter {
    /// Appends a record.
    pub(super) fn append(&mut self, record: &[u8]) -> Result<()> {
        let len = u32::try_from(record.len()).map_err(|_| {
            Error::new(error_code::EXCEEDED_MEMORY_LIMIT, "a row of a query is too large to be put aside")
        })?;
        self.buffer.extend_from_slice(&len.to_le_bytes());
        self.buffer.extend_from_slice(&xxh3_64(record).to_le_bytes());
        self.buffer.extend_from_slice(record);
        self.used.records += 1;
        self.used.bytes += as_u64(HEADER_BYTES + record.len());
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Where the next record begins.
    pub(super) const fn len_bytes(&self) -> u64 {
        self.used.bytes
    }

    fn flush(&mut self) -> Result<()> {
        self.file.append(&self.buffer).map_err(|error| failure("write", &error))?;
        self.buffer.clear();
        Ok(())
    }

    /// The file with all that was appended.
    pub(super) fn finish(mut self) -> Result<SpillFile> {
        self.flush()?;
        Ok(SpillFile { file: self.file, used: self.used })
    }
}

impl SpillFile {
    /// What it holds.
    pub(super) const fn used(&self) -> SpillUse {
        self.used
    }

    /// The record that begins at this place.
    pub(super) fn record_at(&self, offset: u64) -> Result<Vec<u8>> {
        let mut header = [0; HEADER_BYTES];
        read_exactly(&self.file, offset, &mut header)?;
        let (len, check) = header.split_first_chunk::<4>().ok_or_else(damaged)?;
        let check = u64::from_le_bytes(*check.first_chunk().ok_or_else(damaged)?);
        let len = u32::from_le_bytes(*len);
        let begin = offset + as_u64(HEADER_BYTES);
        // A length is believed only as far as there is a file.
        if begin + u64::from(len) > self.used.bytes {
            return Err(damaged());
        }
        let mut record = vec![0; usize::try_from(len).map_err(|_| damaged())?];
        read_exactly(&self.file, begin, &mut record)?;
        if xxh3_64(&record) == check { Ok(record) } else { Err(damaged()) }
    }

    /// Reads it from its beginning.
    pub(super) fn read(&self) -> SpillReader {
        SpillReader {
            file: Arc::clone(&self.file),
            left: self.used.records,
            len: self.used.bytes,
            offset: 0,
            buffer: Vec::new(),
            taken: 0,
        }
    }
}

impl SpillReader {
    /// The next record.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.ensure(HEADER_BYTES)?;
        let header = self.buffer.get(self.taken..).unwrap_or_default();
        let (len, check) = header.split_first_chunk::<4>().ok_or_else(damaged)?;
        let check = u64::from_le_bytes(*check.first_chunk().ok_or_else(damaged)?);
        let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| damaged())?;
        self.taken += HEADER_BYTES;
        self.ensure(len)?;
        let record = self.buffer.get(self.taken..self.taken + len).ok_or_else(damaged)?;
        self.taken += len;
        if xxh3_64(record) == check { Ok(Some(record)) } else { Err(damaged()) }
    }

    /// Reads on until `len` bytes are there that were not taken yet.
    fn ensure(&mut self, len: usize) -> Result<()> {
        let held = self.buffer.len() - self.taken;
        let missing = len.saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let unread = self.len - self.offset;
        if as_u64(missing) > unread {
            return Err(damaged());
        }
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let wanted = missing.max(BUFFER_BYTES).min(usize::try_from(unread).unwrap_or(usize::MAX));
        self.buffer.resize(held + wanted, 0);
        let space = self.buffer.get_mut(held..).unwrap_or_default();
        read_exactly(&self.file, self.offset, space)?;
        self.offset += as_u64(wanted);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
