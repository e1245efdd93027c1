//! The log as it is written: one open segment, buffers of framed records in front of it.
//!
//! `append` frames a record into a buffer, `write` hands the buffer to the system, `sync` makes all written so far
//! durable, `rotate` closes the segment and opens the next. Any thread may call any of them at any time: the tablets of a store
//! share the log, and each orders its own records by holding its own lock while it appends.
//!
//! Offsets of a segment, each at most the next: `synced <= written <= written + taken <= length`. A chunk's promise is `synced`
//! at the time it is framed. `taken` bytes are on their way: whoever syncs, when room is reserved and all before is synced, takes
//! the buffer along and has the file system write and sync in one step, while others frame into the other buffer. Nothing is
//! written behind them until they are there.
//!
//! Who goes on to the next segment makes commits wait for three syncs: of what the last one still has to write, of the next
//! one's name, and of its head. `prepare` does most of it beforehand: it makes the next file, empty, and its name durable,
//! and the caller syncs the current one. What is left to `rotate` is the sync of what was written since. A head in a
//! prepared file is synced with the first records behind it, until when `synced` is 0 and nothing is promised; the log is
//! not said to begin in such a segment before (see `durable_position`).
//!
//! A failed call poisons the store: what the file holds then is unknown.
//!
//! A sync that makes a file longer has two things to write, the bytes and the file system's record of the length, one after
//! the other. So before a small sync room is reserved for those to come; it reads as zeros, which end a log like a torn tail.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::clock::Clock;
use crate::encryption::{FileCipher, StoreKeys};
use crate::error::{Error, Result};
use crate::histogram::DurationHistogram;
use crate::poison::Poison;
use crate::sync::scheduled::{AtomicBool, Condvar, Mutex, MutexGuard};
use crate::vfs::{Vfs, VfsFile};
use crate::wal::buffers::Buffers;
use crate::wal::chunk::{ChunkContext, frame, record_offset};
use crate::wal::head;
use crate::wal::header::{LogHeader, LogKind, segment_path};
use crate::wal::record::{RecordHead, encode_head};

/// Room reserved at a time for syncs to come, in bytes: as much as the segment has already, within these bounds.
const RESERVE_BYTES: RangeInclusive<u64> = 4 << 10..=256 << 10;
/// Syncs of more than this are not worth reserving for: their bytes take longer than the length.
const RESERVE_SYNC_BYTES_MAX: u64 = 8 << 10;
/// Where room ends: at a page, so that the disk's units are whole.
const RESERVE_ALIGNMENT_BYTES: u64 = 4 << 10;
/// What was written and not synced the disk begins with when it is so much: what it has begun with a sync need not wait for, and who
/// appends waits for a sync when both want the same page, or the file's map of blocks.
const WRITE_BACK_BYTES: u64 = 1 << 20;
/// So much of it is left alone: the pages that the next append may want.
const WRITE_BACK_TAIL_BYTES: u64 = 64 << 10;

/// The write-ahead log of a store.
#[derive(Debug)]
pub struct Log {
    /// Where files come from.
    vfs: Arc<dyn Vfs>,
    /// The log's directory.
    directory: PathBuf,
    /// The store's identity.
    identity: u128,
    /// Wraps the segments' keys; `None` when they have none.
    keys: Option<Arc<StoreKeys>>,
    /// Whether records may be compressed in the open segment, and so in all after it. It never goes back.
    compressed_records: AtomicBool,
    /// Stops the store after a failure.
    poison: Arc<Poison>,
    /// What syncs are timed by.
    clock: Option<Arc<dyn Clock>>,
    /// The open segment.
    inner: Mutex<Inner>,
    /// Signalled when a sync or a preparation ends.
    sync_ended: Condvar,
}

/// The file of the next segment, empty, with a durable name.
#[derive(Debug)]
struct Prepared {
    /// Its number.
    number: u64,
    /// The file.
    file: Arc<dyn VfsFile>,
}

/// What the log has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStatistics {
    /// Bytes handed to the system.
    pub written_bytes: u64,
    /// Calls that handed them over.
    pub writes: u64,
    /// Syncs.
    pub syncs: u64,
    /// Segments begun.
    pub segments: u64,
    /// How long the syncs took that commits waited for.
    pub sync_times: DurationHistogram,
}

/// The open segment.
#[derive(Debug)]
struct Inner {
    /// Its number.
    number: u64,
    /// The file.
    file: Arc<dyn VfsFile>,
    /// Its path, for errors.
    path: PathBuf,
    /// What its chunks belong to.
    context: ChunkContext,
    /// What encrypts its records.
    cipher: Option<FileCipher>,
    /// Bytes handed to the system.
    written: u64,
    /// Bytes known to be durable; 0 while the head is not.
    synced: u64,
    /// To where the system was told to begin writing to the disk.
    write_back_end: u64,
    /// How far room was reserved.
    reserved: u64,
    /// Framed records not yet handed over. What is taken of them, who syncs hands over now.
    buffers: Buffers,
    /// Segments before this one whose files are still there.
    older: Vec<u64>,
    /// Whether somebody syncs. Only that one changes it back, and the segment stays the open one until then.
    syncing: bool,
    /// The next segment's file, if it has been made.
    prepared: Option<Prepared>,
    /// Whether somebody makes it now. Only that one changes it back.
    preparing: bool,
    /// Counters.
    statistics: LogStatistics,
}

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// The segment.
    pub segment: u64,
    /// The offset in it, in bytes.
    pub offset: u64,
}

/// What the log continues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTail {
    /// The last segment that is part of the log; 0 if there is none.
    pub number: u64,
    /// How many of its bytes are part of the log.
    pub end: u64,
    /// The number the next segment gets.
    pub next_number: u64,
    /// Segments whose files are there.
    pub segments: Vec<u64>,
}

impl Log {
    /// Begins a new segment behind `tail`. `compressed_records`: whether records may be compressed, which the format version
    /// of the store says.
    pub fn begin(
        vfs: Arc<dyn Vfs>,
        directory: &Path,
        identity: u128,
        keys: Option<Arc<StoreKeys>>,
        tail: LogTail,
        poison: Arc<Poison>,
        compressed_records: bool,
    ) -> Result<Log> {
        let header = LogHeader {
            kind: LogKind::Segment,
            number: tail.next_number,
            identity,
            previous: tail.number,
            previous_end: tail.end,
            encrypted: keys.is_some(),
            compressed_records,
        };
        let mut inner = create_segment(&*vfs, directory, &header, keys.as_deref())?;
        inner.older = tail.segments;
        let inner = Mutex::new(inner);
        let sync_ended = Condvar::new();
        let (directory, clock) = (directory.to_path_buf(), None);
        let compressed_records = AtomicBool::new(compressed_records);
        Ok(Log { vfs, directory, identity, keys, compressed_records, poison, clock, inner, sync_ended })
    }

    /// The same log, whose syncs are timed.
    pub fn timed(self, clock: Arc<dyn Clock>) -> Log {
        Log { clock: Some(clock), ..self }
    }

    /// Whether a record that is appended from now on may be compressed.
    pub fn may_compress(&self) -> bool {
        self.compressed_records.load(Ordering::Acquire)
    }

    /// Lets records be compressed from now on: in a new segment, whose head says so. The `STORE` file must say so before, or
    /// a build that does not know of it would open the store.
    pub fn allow_compression(&self) -> Result<()> {
        self.poison.check()?;
        let mut inner = self.lock_to_rotate(0);
        self.poison.check()?;
        if self.may_compress() {
            return Ok(());
        }
        // Poisoned before the lock is free: who waits for it must not sync once more what could not be synced.
        self.rotate_locked(&mut inner, true).map_err(|error| self.keep(error))?;
        self.compressed_records.store(true, Ordering::Release);
        Ok(())
    }

    /// Poisons the store, unless the failed step has not begun.
    fn keep(&self, error: Error) -> Error {
        if error.is_before_creation() { error } else { self.poison.set(error) }
    }

    fn micros(&self) -> u64 {
        self.clock.as_ref().map_or(0, |clock| clock.monotonic_micros())
    }

    /// Locks the open segment.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frames a record into the buffer; returns where it begins. `scratch` is overwritten.
    pub fn append(
        &self,
        scratch: &mut Vec<u8>,
        head: &RecordHead,
        encoded_operations: &[u8],
    ) -> Result<LogPosition> {
        scratch.clear();
        encode_head(scratch, head);
        let inner = &mut *self.lock();
        let place = record_offset(inner.length());
        let mut record = [scratch.as_slice(), encoded_operations];
        if let Some(cipher) = &inner.cipher {
            scratch.extend_from_slice(encoded_operations);
            let sealed = cipher.encrypt(place, &[], scratch, 0);
            // The record has its index already, and must not be missing from the log.
            sealed.map_err(|malformed| self.poison.set(Error::invalid(malformed.0)))?;
            record = [scratch, &[]];
        }
        let gathering_offset = inner.written + inner.buffers.taken();
        frame(&mut inner.buffers.gathering, gathering_offset, inner.context, record, inner.synced);
        Ok(LogPosition { segment: inner.number, offset: place })
    }

    /// Bytes framed that nobody hands over yet.
    pub fn buffered_bytes(&self) -> usize {
        self.lock().buffers.gathering.len()
    }

    /// Memory the buffers take, filled or not.
    pub fn buffer_memory_bytes(&self) -> usize {
        self.lock().buffers.memory_bytes()
    }

    /// Hands everything appended so far to the system.
    pub fn write(&self) -> Result<()> {
        self.poison.check()?;
        let mut inner = self.lock();
        let (number, target) = (inner.number, inner.length());
        // Twice at most: who syncs next takes all of it along.
        while inner.buffers.taken() > 0 && inner.number == number && inner.written < target {
            inner = self.sync_ended.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        self.poison.check()?;
        // Of the file before, which is written when the next is begun, or with somebody's sync.
        if inner.number != number || inner.written >= target {
            return Ok(());
        }
        inner.write().map_err(|error| self.poison.set(error))
    }

    /// Whether so much was written since the last sync that the disk had better begin with it.
    pub fn is_write_back_due(&self) -> bool {
        self.lock().not_begun() >= WRITE_BACK_BYTES
    }

    /// Has the disk begin with what was written since the last sync, if that is much, and waits for nothing.
    pub fn begin_write_back(&self) {
        let mut inner = self.lock();
        if inner.syncing || inner.not_begun() < WRITE_BACK_BYTES {
            return;
        }
        let begin = inner.write_back_end.max(inner.synced);
        // Who appends next would wait for the disk at the last page of those that are on their way.
        let end = inner.written - WRITE_BACK_TAIL_BYTES;
        inner.write_back_end = end;
        let file = Arc::clone(&inner.file);
        drop(inner);
        file.begin_write_back(begin..end);
    }

    /// Makes everything appended so far durable. One caller at a time syncs, for all whose records are appended by then; who
    /// comes meanwhile waits for the next, which one of those that wait makes for all of them.
    pub fn sync(&self) -> Result<()> {
        self.poison.check()?;
        let mut inner = self.lock();
        let (number, target) = (inner.number, inner.length());
        while inner.syncing && inner.number == number && inner.synced < target {
            inner = self.sync_ended.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        // Of the file before, which is synced when the next is begun, or by somebody else.
        if inner.number != number || inner.synced >= target {
            return Ok(());
        }
        self.poison.check()?;
        let taken = if inner.can_take() {
            inner.buffers.take()
        } else {
            inner.write().map_err(|error| self.poison.set(error))?;
            inner.reserve();
            Vec::new()
        };
        inner.syncing = true;
        let (file, target) = (Arc::clone(&inner.file), inner.written + inner.buffers.taken());
        drop(inner);
        // Not under the lock: others append, and write unless this one does, while the disk works.
        let started = self.micros();
        let synced = if taken.is_empty() { file.sync() } else { file.append_durably(&taken) };
        let micros = self.micros().saturating_sub(started);
        let mut inner = self.lock();
        inner.syncing = false;
        let synced = synced.map_err(|error| self.poison.set(Error::io("sync", &inner.path, error)));
        if synced.is_ok() {
            if !taken.is_empty() {
                inner.note_written(taken.len() as u64);
            }
            inner.statistics.syncs += 1;
            inner.statistics.sync_times.note(micros);
            inner.synced = inner.synced.max(target);
        }
        if !taken.is_empty() {
            inner.buffers.give_back(taken);
        }
        drop(inner);
        self.sync_ended.notify_all();
        synced
    }

    /// Whether it has gone on to another segment since it was opened.
    pub fn has_gone_on(&self) -> bool {
        self.lock().statistics.segments > 0
    }

    /// Makes the file of the next segment, if there is none.
    pub fn prepare(&self) -> Result<()> {
        self.poison.check()?;
        let number = {
            let mut inner = self.lock();
            if inner.preparing || inner.prepared.is_some() {
                return Ok(());
            }
            inner.preparing = true;
            inner.number + 1
        };
        // Not under the lock: others append, write and sync while the disk works. Nobody begins the segment meanwhile.
        let made = self.make_empty(number);
        let mut inner = self.lock();
        inner.preparing = false;
        let outcome = match made {
            Ok(file) => {
                inner.prepared = Some(Prepared { number, file });
                Ok(())
            }
            // Who begins the segment will try again, and tell.
            Err(error) if error.is_before_creation() => Ok(()),
            Err(error) => Err(self.poison.set(error)),
        };
        drop(inner);
        self.sync_ended.notify_all();
        outcome
    }

    /// An empty file for segment `number`, whose name is durable.
    fn make_empty(&self, number: u64) -> Result<Arc<dyn VfsFile>> {
        let path = segment_path(&self.directory, number);
        let file = self.vfs.create(&path).map_err(|error| Error::io("create", &path, error))?;
        let named = self.vfs.sync_dir(&self.directory);
        named.map_err(|error| Error::io("sync", &self.directory, error))?;
        Ok(file)
    }

    /// Locks the open segment, and if it has `bytes` or more, at a time when nobody makes the file of the next, and nobody
    /// syncs: of two syncs of a file at once the system may tell only one that it has failed, and those who wait would take
    /// the other's word.
    fn lock_to_rotate(&self, bytes: u64) -> MutexGuard<'_, Inner> {
        let mut inner = self.lock();
        while (inner.preparing || inner.syncing) && inner.length() >= bytes {
            inner = self.sync_ended.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner
    }

    /// Closes the segment, durably, and begins the next, whose number is returned. The next one's head may not be durable.
    pub fn rotate(&self) -> Result<u64> {
        self.rotate_past(0)
    }

    /// As `rotate`, if the segment has `bytes` or more by now: of several that find it full one goes on to the next. Returns
    /// the number of the open segment.
    pub fn rotate_past(&self, bytes: u64) -> Result<u64> {
        self.poison.check()?;
        let mut inner = self.lock_to_rotate(bytes);
        self.poison.check()?;
        if inner.length() < bytes {
            return Ok(inner.number);
        }
        // Nobody is to be woken: the sync or preparation that others wait for has ended before, and told them.
        self.rotate_locked(&mut inner, self.may_compress()).map_err(|error| self.keep(error))
    }

    /// As `rotate`, with the lock held, and while nobody syncs. `compressed_records`: whether those of the new segment may be
    /// compressed.
    fn rotate_locked(&self, inner: &mut Inner, compressed_records: bool) -> Result<u64> {
        inner.write()?;
        if inner.synced < inner.written {
            inner.file.sync().map_err(|error| Error::io("sync", &inner.path, error))?;
            inner.synced = inner.written;
        }
        let header = LogHeader {
            kind: LogKind::Segment,
            number: inner.number + 1,
            identity: self.identity,
            previous: inner.number,
            previous_end: inner.written,
            encrypted: self.keys.is_some(),
            compressed_records,
        };
        let prepared = inner.prepared.take().filter(|prepared| prepared.number == header.number);
        let mut next = self.begin_segment(&header, prepared)?;
        next.older = std::mem::take(&mut inner.older);
        next.older.push(inner.number);
        next.statistics = LogStatistics {
            segments: inner.statistics.segments + 1,
            syncs: inner.statistics.syncs + 1,
            ..inner.statistics
        };
        *inner = next;
        Ok(header.number)
    }

    /// A segment whose name is durable, and its head as well unless the file was prepared.
    fn begin_segment(&self, header: &LogHeader, prepared: Option<Prepared>) -> Result<Inner> {
        let keys = self.keys.as_deref();
        let Some(Prepared { file, .. }) = prepared else {
            return create_segment(&*self.vfs, &self.directory, header, keys);
        };
        let path = segment_path(&self.directory, header.number);
        let begun = head::begin_in(&*self.vfs, &path, header, keys, || Ok(file))?;
        Ok(Inner::new(header, path, begun, 0))
    }

    /// How far the log is known to be on disk: behind the head of the open segment at least, which is synced if it has
    /// not been. Only what is said here may be taken for the beginning of the log.
    pub fn durable_position(&self) -> Result<LogPosition> {
        loop {
            let inner = self.lock();
            if inner.synced > 0 {
                return Ok(LogPosition { segment: inner.number, offset: inner.synced });
            }
            drop(inner);
            self.sync()?;
        }
    }

    /// How far the log is known to be on disk, without doing anything for it: at offset 0 of the open segment nothing of it is,
    /// its head included.
    pub fn synced_position(&self) -> LogPosition {
        let inner = self.lock();
        LogPosition { segment: inner.number, offset: inner.synced }
    }

    /// Removes the files of segments below `number`. A file that cannot be removed is tried again next time.
    pub fn remove_before(&self, number: u64) -> Result<()> {
        let mut older = std::mem::take(&mut self.lock().older);
        let mut first_error = None;
        older.retain(|&segment| {
            if segment >= number {
                return true;
            }
            let path = segment_path(&self.directory, segment);
            match self.vfs.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    first_error = Some(Error::io("remove", &path, error));
                    true
                }
                Err(_) | Ok(()) => false,
            }
        });
        let mut inner = self.lock();
        older.append(&mut inner.older);
        inner.older = older;
        first_error.map_or(Ok(()), Err)
    }

    /// The open segment's number and its length, buffered bytes included.
    pub fn position(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.number, inner.length())
    }

    /// The segments whose files are there, the open one last.
    pub fn segments(&self) -> Vec<u64> {
        let inner = self.lock();
        inner.older.iter().copied().chain([inner.number]).collect()
    }

    /// What the log has done.
    pub fn statistics(&self) -> LogStatistics {
        self.lock().statistics
    }
}

impl Inner {
    /// A segment with nothing but its head, `synced` bytes of which are durable.
    fn new(header: &LogHeader, path: PathBuf, begun: head::Begun, synced: u64) -> Inner {
        let head::Begun { file, cipher, length } = begun;
        Inner {
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
            older: Vec::new(),
            syncing: false,
            prepared: None,
            preparing: false,
            statistics: LogStatistics::default(),
        }
    }

    /// Its length in bytes, those that are not yet handed over included.
    fn length(&self) -> u64 {
        self.written + self.buffers.length()
    }

    /// How much was written that is neither durable nor, as far as the system was told, on its way.
    fn not_begun(&self) -> u64 {
        self.written.saturating_sub(self.write_back_end.max(self.synced))
    }

    /// Whether a sync has nothing to do but for what has gathered, and room for it was reserved and synced.
    fn can_take(&self) -> bool {
        !self.buffers.gathering.is_empty() && self.synced == self.written && self.length() <= self.reserved
    }

    /// Reserves room for syncs to come, if they are small and it is used up.
    fn reserve(&mut self) {
        if self.written > self.reserved && self.written - self.synced <= RESERVE_SYNC_BYTES_MAX {
            let bytes = self.written.clamp(*RESERVE_BYTES.start(), *RESERVE_BYTES.end());
            let end = self.written + bytes;
            self.reserved = end - end % RESERVE_ALIGNMENT_BYTES;
            // Where there is none to be had, appends make the file longer as ever, and say so if they cannot.
            let _only_a_hint = self.file.reserve(self.reserved - self.written);
        }
    }

    /// Hands the buffer to the system.
    fn write(&mut self) -> Result<()> {
        if self.buffers.gathering.is_empty() {
            return Ok(());
        }
        self.file.append(&self.buffers.gathering).map_err(|error| Error::io("write", &self.path, error))?;
        self.note_written(self.buffers.gathering.len() as u64);
        self.buffers.gathering.clear();
        Ok(())
    }

    /// Counts what was handed over in one call.
    fn note_written(&mut self, bytes: u64) {
        self.written += bytes;
        self.statistics.written_bytes += bytes;
        self.statistics.writes += 1;
    }
}

/// Creates a segment whose head and name are durable.
fn create_segment(
    vfs: &dyn Vfs,
    directory: &Path,
    header: &LogHeader,
    keys: Option<&StoreKeys>,
) -> Result<Inner> {
    let path = segment_path(directory, header.number);
    let begun = head::begin(vfs, &path, header, keys)?;
    begun.file.sync().map_err(|error| Error::io("sync", &path, error))?;
    vfs.sync_dir(directory).map_err(|error| Error::io("sync", directory, error))?;
    let synced = begun.length;
    Ok(Inner::new(header, path, begun, synced))
}

#[cfg(all(test, shuttle))]
#[path = "log_schedules.rs"]
mod schedules;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;
    use crate::vfs::MemoryVfs;
    use crate::wal::record::RecordKind;

    fn log() -> (MemoryVfs, Log) {
        let vfs = MemoryVfs::new();
        vfs.create_dir(Path::new("/log")).unwrap();
        let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
        let tail = LogTail { next_number: 1, ..LogTail::default() };
        (vfs, Log::begin(shared, Path::new("/log"), 7, None, tail, Arc::default(), false).unwrap())
    }

    fn append(log: &Log, index: u64, bytes: usize) {
        let (kind, timestamp) = (RecordKind::Batch, Timestamp(index));
        let head = RecordHead { kind, compressed: false, group: 0, term: 1, index, timestamp };
        log.append(&mut Vec::new(), &head, &vec![7; bytes]).unwrap();
    }

    fn length(vfs: &MemoryVfs) -> u64 {
        vfs.files().iter().map(|(_, length)| length).sum()
    }

    #[test]
    fn small_syncs_find_room_reserved_and_do_not_make_the_file_longer() {
        let (vfs, log) = log();
        let mut lengths = Vec::new();
        for index in 1..=200 {
            append(&log, index, 1000);
            log.sync().unwrap();
            lengths.push(length(&vfs));
            assert!(length(&vfs) >= log.position().1);
        }
        lengths.dedup();
        assert!((3..12).contains(&lengths.len()), "{lengths:?}");
        assert!(length(&vfs) <= 2 * log.position().1 + RESERVE_BYTES.start(), "as much again at most");
        assert_eq!(log.durable_position().unwrap().offset, log.position().1);
    }

    #[test]
    fn much_that_is_written_and_not_synced_the_disk_begins_with() {
        let (_, log) = log();
        let begun = || log.lock().write_back_end;
        append(&log, 1, 1_000_000);
        log.write().unwrap();
        log.begin_write_back();
        assert_eq!((log.is_write_back_due(), begun()), (false, 0), "too little");
        append(&log, 2, 100_000);
        assert!(!log.is_write_back_due(), "not written");
        log.write().unwrap();
        assert!(log.is_write_back_due());
        log.lock().syncing = true;
        log.begin_write_back();
        assert_eq!(begun(), 0, "who syncs does it");
        log.lock().syncing = false;
        log.begin_write_back();
        assert_eq!(begun(), log.position().1 - WRITE_BACK_TAIL_BYTES);
        assert!(!log.is_write_back_due());
        append(&log, 3, 900_000);
        log.sync().unwrap();
        let synced = log.position().1;
        append(&log, 4, 1_000_000);
        log.write().unwrap();
        assert!(!log.is_write_back_due(), "counted from what is synced");
        log.rotate().unwrap();
        assert_eq!(begun(), 0, "another file");
        append(&log, 5, 1_100_000);
        log.write().unwrap();
        log.begin_write_back();
        assert!((1..synced).contains(&begun()));
    }

    #[test]
    fn large_syncs_and_mere_writes_reserve_nothing() {
        let (vfs, log) = log();
        append(&log, 1, 1000);
        log.write().unwrap();
        assert_eq!(length(&vfs), log.position().1);
        append(&log, 2, 20_000);
        log.sync().unwrap();
        assert_eq!(length(&vfs), log.position().1);
    }
}
