//! The segment that is written now: its buffers, how far it is written and durable, what waits beside it.
//!
//! Whoever calls any of this holds the log's lock; see [`crate::wal::log`], which keeps the order of it all.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::encryption::{FileCipher, StoreKeys};
use crate::error::{Error, Result};
use crate::vfs::{Vfs, VfsFile};
use crate::wal::buffers::Buffers;
use crate::wal::chunk::ChunkContext;
use crate::wal::head;
use crate::wal::header::{LogHeader, segment_path};
use crate::wal::log::{LogPosition, LogStatistics};

/// Room reserved at a time for syncs to come, in bytes: as much as the segment has already, within these bounds.
pub(super) const RESERVE_BYTES: RangeInclusive<u64> = 4 << 10..=256 << 10;
/// Syncs of more than this are not worth reserving for: their bytes take longer than the length.
pub(super) const RESERVE_SYNC_BYTES_MAX: u64 = 8 << 10;
/// Where room ends: at a page, so that the disk's units are whole.
pub(super) const RESERVE_ALIGNMENT_BYTES: u64 = 4 << 10;
/// What was written and not synced the disk begins with when it is so much: what it has begun with a sync need not wait for, and who
/// appends waits for a sync when both want the same page, or the file's map of blocks.
const WRITE_BACK_BYTES: u64 = 1 << 20;
/// So much of it is left alone: the pages that the next append may want.
pub(super) const WRITE_BACK_TAIL_BYTES: u64 = 64 << 10;

/// The file of the next segment, empty, with a durable name.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Its number.
    pub(super) number: u64,
    /// The file.
    pub(super) file: Arc<dyn VfsFile>,
}

/// The segment before the open one, of which not all is durable.
#[derive(Clone, Debug)]
pub(super) struct Before {
    /// Its number.
    pub(super) number: u64,
    /// The file.
    pub(super) file: Arc<dyn VfsFile>,
    /// Its path, for errors.
    pub(super) path: PathBuf,
    /// Bytes known to be durable.
    pub(super) synced: u64,
}

/// The open segment.
#[derive(Debug)]
pub(super) struct OpenSegment {
    /// Its number.
    pub(super) number: u64,
    /// The file.
    pub(super) file: Arc<dyn VfsFile>,
    /// Its path, for errors.
    pub(super) path: PathBuf,
    /// What its chunks belong to.
    pub(super) context: ChunkContext,
    /// What encrypts its records.
    pub(super) cipher: Option<FileCipher>,
    /// Bytes handed to the system.
    pub(super) written: u64,
    /// Bytes known to be durable; 0 while the head is not.
    pub(super) synced: u64,
    /// To where the system was told to begin writing to the disk.
    pub(super) write_back_end: u64,
    /// How far room was reserved.
    pub(super) reserved: u64,
    /// Framed records not yet handed over. What is taken of them, who syncs hands over now.
    pub(super) buffers: Buffers,
    /// The segment before, unless all of it is durable. Only who syncs changes that back.
    pub(super) before: Option<Before>,
    /// Segments before this one whose files are still there.
    pub(super) older: Vec<u64>,
    /// Whether somebody syncs. Only that one changes it back, and the segment stays the open one until then.
    pub(super) syncing: bool,
    /// The next segment's file, if it has been made.
    pub(super) prepared: Option<Prepared>,
    /// Whether somebody makes it now. Only that one changes it back.
    pub(super) preparing: bool,
    /// Counters.
    pub(super) statistics: LogStatistics,
}

impl OpenSegment {
    /// A segment with nothing but its head, `synced` bytes of which are durable.
    pub(super) fn new(header: &LogHeader, path: PathBuf, begun: head::Begun, synced: u64) -> OpenSegment {
        let head::Begun { file, cipher, length } = begun;
        OpenSegment {
            number: header.number,
            context: ChunkContext::new(header.identity, header.number),
            cipher,
            file,
            path,
            written: length,
            synced,
            write_back_end: 0,
            reserved: length,
            buffers: Buffers::default(),
            before: None,
            older: Vec::new(),
            syncing: false,
            prepared: None,
            preparing: false,
            statistics: LogStatistics::default(),
        }
    }

    /// Its length in bytes, those that are not yet handed over included.
    pub(super) fn length(&self) -> u64 {
        self.written + self.buffers.length()
    }

    /// Whether the log is durable up to there.
    pub(super) fn is_durable(&self, target: LogPosition) -> bool {
        match &self.before {
            _ if target.segment == self.number => self.synced >= target.offset,
            // The one before has been written to its end.
            Some(before) => target.segment < before.number,
            None => true,
        }
    }

    /// Makes the segment before durable, if it is not.
    pub(super) fn sync_before(&mut self) -> Result<()> {
        if let Some(before) = &self.before {
            before.sync()?;
            self.before = None;
            self.statistics.syncs += 1;
        }
        Ok(())
    }

    /// This segment as the one before the next.
    pub(super) fn to_before(&self) -> Before {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        Before { number: self.number, file, path, synced: self.synced }
    }

    /// Whether much was written that is neither durable nor, as far as the system was told, on its way.
    pub(super) fn is_write_back_due(&self) -> bool {
        self.written.saturating_sub(self.write_back_end.max(self.synced)) >= WRITE_BACK_BYTES
    }

    /// Whether a sync has nothing to do but for what has gathered, and room for it was reserved and synced.
    pub(super) fn can_take(&self) -> bool {
        !self.buffers.gathering.is_empty() && self.synced == self.written && self.length() <= self.reserved
    }

    /// Reserves room for syncs to come, if they are small and it is used up.
    pub(super) fn reserve(&mut self) {
        if self.written > self.reserved && self.written - self.synced <= RESERVE_SYNC_BYTES_MAX {
            let bytes = self.written.clamp(*RESERVE_BYTES.start(), *RESERVE_BYTES.end());
            let end = self.written + bytes;
            self.reserved = end - end % RESERVE_ALIGNMENT_BYTES;
            // Where there is none to be had, appends make the file longer as ever, and say so if they cannot.
            let _only_a_hint = self.file.reserve(self.reserved - self.written);
        }
    }

    /// Hands the buffer to the system.
    pub(super) fn write(&mut self) -> Result<()> {
        if self.buffers.gathering.is_empty() {
            return Ok(());
        }
        self.file.append(&self.buffers.gathering).map_err(|error| Error::io("write", &self.path, error))?;
        self.note_written(self.buffers.gathering.len() as u64);
        self.buffers.gathering.clear();
        Ok(())
    }

    /// Counts what was handed over in one call.
    pub(super) fn note_written(&mut self, bytes: u64) {
        self.written += bytes;
        self.statistics.written_bytes += bytes;
        self.statistics.writes += 1;
    }
}

impl Before {
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|error| Error::io("sync", &self.path, error))
    }
}

/// Creates a segment whose head and name are durable.
pub(super) fn create_segment(
    vfs: &dyn Vfs,
    directory: &Path,
    header: &LogHeader,
    keys: Option<&StoreKeys>,
) -> Result<OpenSegment> {
    let path = segment_path(directory, header.number);
    let begun = head::begin(vfs, &path, header, keys)?;
    begun.file.sync().map_err(|error| Error::io("sync", &path, error))?;
    vfs.sync_dir(directory).map_err(|error| Error::io("sync", directory, error))?;
    let synced = begun.length;
    Ok(OpenSegment::new(header, path, begun, synced))
}
