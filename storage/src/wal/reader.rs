//! Reads a log file record by record and decides where it ends.
//!
//! A bad chunk at offset X (checksum wrong, cut short, zeros) means one of two things:
//!
//! - **A torn tail.** The machine stopped before the chunk was synced. Nothing behind X was ever acknowledged as
//!   durable; the log ends at the last whole record before X.
//! - **Damage.** The chunk was synced once. Ending the log here would silently drop acknowledged records.
//!
//! The proof of damage is a later intact chunk whose promise (its synced offset) lies beyond X, for then X had been
//! synced when that chunk was written. So from a bad chunk the reader searches the rest of the file, at every byte, for
//! an intact chunk (a disk may persist later blocks without earlier ones, so an intact chunk alone proves nothing).
//! Where the end of a file is already known, from the head of the segment after it, a bad chunk before that end is
//! damage without further proof.
//!
//! What this cannot see: damage to the very last synced records of the last file, if no later chunk promises them. A
//! store that is closed leaves such a promise in its manifest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::encryption::FileCipher;
use crate::error::{Error, Result};
use crate::limits::RECORD_BYTES_MAX;
use crate::planted::{Bug, planted};
use crate::vfs::VfsFile;
use crate::wal::chunk::{BLOCK_BYTES, CHUNK_HEADER_BYTES, ChunkContext, ChunkKind, parse};
use crate::wal::head::first_chunk_offset;

/// Where the log ends in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEnd {
    /// Nobody knows.
    Unknown,
    /// Here or before: what is behind was never part of it, and what is in front need not be durable.
    AtMost(u64),
    /// Here. All of it was durable once.
    At(u64),
}

/// A log file being read.
pub struct LogReader {
    /// The file.
    file: Arc<dyn VfsFile>,
    /// Its path, for errors.
    path: PathBuf,
    /// What its chunks belong to.
    context: ChunkContext,
    /// What its records are encrypted with.
    cipher: Option<FileCipher>,
    /// Its length in bytes.
    length: u64,
    /// Where the log ends in it, if that is known.
    known_end: Option<u64>,
    /// The block at hand, and its offset.
    block: Vec<u8>,
    /// Where the block starts.
    block_offset: u64,
    /// Where the next chunk starts.
    offset: u64,
    /// Where the last whole record ended.
    end: u64,
    /// The record at hand.
    record: Vec<u8>,
}

impl LogReader {
    /// Reads `file` from behind its head, and its key block if it has a `cipher`, to the `end` of the log in it.
    pub fn new(
        file: Arc<dyn VfsFile>,
        path: &Path,
        context: ChunkContext,
        cipher: Option<FileCipher>,
        end: LogEnd,
    ) -> Result<LogReader> {
        let length = file.len().map_err(|error| Error::io("measure", path, error))?;
        let (readable, known_end) = match end {
            LogEnd::Unknown => (length, None),
            LogEnd::AtMost(end) => (length.min(end), None),
            LogEnd::At(end) => (end, Some(end)),
        };
        if readable > length {
            return Err(Error::corruption(
                path,
                length,
                "the log file is shorter than it is known to have been",
            ));
        }
        let start = first_chunk_offset(cipher.is_some());
        Ok(LogReader {
            file,
            path: path.to_path_buf(),
            context,
            cipher,
            length: readable,
            known_end,
            block: Vec::new(),
            block_offset: u64::MAX,
            offset: start,
            end: start,
            record: Vec::new(),
        })
    }

    /// Where the last whole record ended: the length of the valid part once `next_record` returned `None`.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The next record and the offset of its first chunk; `None` at the end of the log.
    pub fn next_record(&mut self) -> Result<Option<(u64, &[u8])>> {
        self.record.clear();
        let mut start = None;
        loop {
            if !self.place_on_chunk()? {
                return self.finish(start.is_some());
            }
            let at = self.offset;
            let in_block = usize::try_from(at - self.block_offset).unwrap_or(usize::MAX);
            let bytes = self.block.get(in_block..).unwrap_or_default();
            let Some(chunk) = parse(bytes, self.context) else {
                if planted(Bug::ReadPastTornTail) {
                    start = None;
                    self.record.clear();
                    self.offset += 1;
                    continue;
                }
                return self.meet_bad_chunk(at);
            };
            let continues = matches!(chunk.kind, ChunkKind::Middle | ChunkKind::Last);
            if continues != start.is_some() {
                return Err(Error::corruption(&self.path, at, "a chunk does not continue the one before it"));
            }
            if self.record.len() + chunk.payload.len() > RECORD_BYTES_MAX {
                return Err(Error::corruption(&self.path, at, "a record is longer than any written"));
            }
            self.record.extend_from_slice(chunk.payload);
            self.offset += (CHUNK_HEADER_BYTES + chunk.payload.len()) as u64;
            let first = *start.get_or_insert(at);
            if matches!(chunk.kind, ChunkKind::Full | ChunkKind::Last) {
                self.end = self.offset;
                self.open_record(first)?;
                return Ok(Some((first, &self.record)));
            }
        }
    }

    /// Decrypts the record at hand, which begins at `place`. Its chunks are intact, so failing is no torn tail.
    fn open_record(&mut self, place: u64) -> Result<()> {
        let Some(cipher) = &self.cipher else { return Ok(()) };
        let opened = cipher.decrypt(place, &[], &mut self.record);
        opened.map_err(|malformed| Error::corruption(&self.path, place, malformed.0))
    }

    /// Skips the rest of a block too short for a chunk and loads the block at hand. False at the end of the file.
    fn place_on_chunk(&mut self) -> Result<bool> {
        let block_bytes = BLOCK_BYTES as u64;
        let left = block_bytes - self.offset % block_bytes;
        if left < CHUNK_HEADER_BYTES as u64 {
            self.offset += left;
        }
        if self.offset >= self.length {
            return Ok(false);
        }
        let block_offset = self.offset - self.offset % block_bytes;
        if block_offset != self.block_offset {
            let size = usize::try_from((self.length - block_offset).min(block_bytes)).unwrap_or(BLOCK_BYTES);
            self.block.resize(size, 0);
            let read = self.file.read_exact_at(block_offset, &mut self.block);
            read.map_err(|error| Error::io("read", &self.path, error))?;
            self.block_offset = block_offset;
        }
        Ok(true)
    }

    /// The file is over.
    fn finish(&self, within_record: bool) -> Result<Option<(u64, &[u8])>> {
        if within_record && self.known_end.is_some() {
            return Err(Error::corruption(&self.path, self.length, "the last record is cut short"));
        }
        Ok(None)
    }

    /// Decides what a bad chunk means.
    fn meet_bad_chunk(&self, at: u64) -> Result<Option<(u64, &[u8])>> {
        if self.known_end.is_some() {
            return Err(Error::corruption(&self.path, at, "a chunk is damaged; the log goes on behind it"));
        }
        match self.find_promise(at)? {
            None => Ok(None),
            Some(witness) => Err(Error::corruption(
                &self.path,
                at,
                format!("a chunk is damaged; the chunk at {witness} says it had been synced"),
            )),
        }
    }

    /// The offset of an intact chunk behind `bad` that promises `bad` was synced.
    fn find_promise(&self, bad: u64) -> Result<Option<u64>> {
        let mut offset = bad - bad % BLOCK_BYTES as u64;
        let mut block = vec![0; BLOCK_BYTES];
        while offset < self.length {
            let size = usize::try_from((self.length - offset).min(BLOCK_BYTES as u64)).unwrap_or(BLOCK_BYTES);
            block.resize(size, 0);
            let read = self.file.read_exact_at(offset, &mut block);
            read.map_err(|error| Error::io("read", &self.path, error))?;
            let skip = usize::try_from((bad + 1).saturating_sub(offset)).unwrap_or(usize::MAX);
            for at in skip..size {
                let chunk = parse(block.get(at..).unwrap_or_default(), self.context);
                if chunk.is_some_and(|chunk| chunk.synced > bad) {
                    return Ok(Some(offset + at as u64));
                }
            }
            offset += size as u64;
        }
        Ok(None)
    }
}

/// Whether a file whose head is bad holds an intact chunk that promises anything: then the head had been synced.
pub fn holds_promise(file: &dyn VfsFile, path: &Path, context: ChunkContext) -> Result<bool> {
    let io = |error| Error::io("read", path, error);
    let length = file.len().map_err(io)?;
    let mut offset = 0;
    let mut block = vec![0; BLOCK_BYTES];
    while offset < length {
        let size = usize::try_from((length - offset).min(BLOCK_BYTES as u64)).unwrap_or(BLOCK_BYTES);
        block.resize(size, 0);
        file.read_exact_at(offset, &mut block).map_err(io)?;
        let promises =
            |at| parse(block.get(at..).unwrap_or_default(), context).is_some_and(|chunk| chunk.synced > 0);
        if (0..size).any(promises) {
            return Ok(true);
        }
        offset += size as u64;
    }
    Ok(false)
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
