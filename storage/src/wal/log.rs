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
//! one's name, and of its head. `prepare` does the second beforehand: it makes the next file, empty, and its name durable. The
//! others are left to the next sync, which whoever goes on asks for: it makes the segment before durable to its end, and then
//! the open one with its head. Until then `synced` is 0 and nothing is promised; a head says that it was begun so early, and
//! the log is not said to begin in such a segment (see `durable_position`). At most one segment waits for that: who
//! goes on once more makes it durable first.
//!
//! A failed call poisons the store: what the file holds then is unknown.
//!
//! A sync that makes a file longer has two things to write, the bytes and the file system's record of the length, one after
//! the other. So before a small sync room is reserved for those to come; it reads as zeros, which end a log like a torn tail.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::clock::Clock;
use crate::encryption::StoreKeys;
use crate::error::{Error, Result};
use crate::histogram::DurationHistogram;
use crate::poison::Poison;
use crate::sync::scheduled::{AtomicU8, Condvar, Mutex, MutexGuard};
use crate::vfs::{Vfs, VfsFile};
use crate::wal::chunk::{frame, record_offset};
use crate::wal::head;
use crate::wal::header::{LogHeader, LogKind, LogRung, segment_path};
use crate::wal::open_segment::{Before, OpenSegment, Prepared, WRITE_BACK_TAIL_BYTES, create_segment};
use crate::wal::record::{RecordHead, encode_head};

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
    /// What the open segment may have, and so all after it: a [`LogRung`]. It never goes back.
    rung: AtomicU8,
    /// Stops the store after a failure.
    poison: Arc<Poison>,
    /// What syncs are timed by.
    clock: Option<Arc<dyn Clock>>,
    /// The open segment.
    inner: Mutex<OpenSegment>,
    /// Signalled when a sync or a preparation ends.
    sync_ended: Condvar,
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
    /// The segment before, if it may not be durable to its end.
    pub before: Option<u64>,
    /// The number the next segment gets.
    pub next_number: u64,
    /// Segments whose files are there.
    pub segments: Vec<u64>,
}

impl Log {
    /// Begins a new segment behind `tail`, which is durable. `rung`: what the format version of the store says.
    pub fn begin(
        vfs: Arc<dyn Vfs>,
        directory: &Path,
        identity: u128,
        keys: Option<Arc<StoreKeys>>,
        tail: LogTail,
        poison: Arc<Poison>,
        rung: LogRung,
    ) -> Result<Log> {
        let header = LogHeader {
            kind: LogKind::Segment,
            number: tail.next_number,
            identity,
            previous: tail.number,
            previous_end: tail.end,
            encrypted: keys.is_some(),
            rung,
            begun_early: false,
        };
        let mut inner = create_segment(&*vfs, directory, &header, keys.as_deref())?;
        inner.older = tail.segments;
        let inner = Mutex::new(inner);
        let sync_ended = Condvar::new();
        let (directory, clock) = (directory.to_path_buf(), None);
        let rung = AtomicU8::new(rung.to_byte());
        Ok(Log { vfs, directory, identity, keys, rung, poison, clock, inner, sync_ended })
    }

    /// The same log, whose syncs are timed.
    pub fn timed(self, clock: Arc<dyn Clock>) -> Log {
        Log { clock: Some(clock), ..self }
    }

    /// What the open segment may have.
    fn rung(&self) -> LogRung {
        LogRung::from_byte(self.rung.load(Ordering::Acquire))
    }

    /// Whether a record that is appended from now on may be compressed.
    pub fn may_compress(&self) -> bool {
        self.rung() >= LogRung::Compressed
    }

    /// Lets the log have all that this build knows of from now on: in a new segment, whose head says so. The `STORE` file must
    /// say so before, or a build that does not know of it would open the store.
    pub fn raise(&self) -> Result<()> {
        self.poison.check()?;
        let mut inner = self.lock_to_rotate(0);
        self.poison.check()?;
        if self.rung() == LogRung::NEWEST {
            return Ok(());
        }
        // Poisoned before the lock is free: who waits for it must not sync once more what could not be synced.
        self.rotate_locked(&mut inner, LogRung::NEWEST).map_err(|error| self.keep(error))?;
        self.rung.store(LogRung::NEWEST.to_byte(), Ordering::Release);
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
    fn lock(&self) -> MutexGuard<'_, OpenSegment> {
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

    /// The open segment's length, buffered bytes included, and whether so much of it was written since the last sync that the disk
    /// had better begin with it: what every commit asks.
    pub fn fill(&self) -> (u64, bool) {
        let inner = self.lock();
        (inner.length(), inner.is_write_back_due())
    }

    /// Has the disk begin with what was written since the last sync, if that is much, and waits for nothing.
    pub fn begin_write_back(&self) {
        let mut inner = self.lock();
        if inner.syncing || !inner.is_write_back_due() {
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
        let target = LogPosition { segment: inner.number, offset: inner.length() };
        while inner.syncing && !inner.is_durable(target) {
            inner = self.sync_ended.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        // By somebody else.
        if inner.is_durable(target) {
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
        let (before, path) = (inner.before.clone(), inner.path.clone());
        drop(inner);
        // Not under the lock: others append, and write unless this one does, while the disk works.
        let started = self.micros();
        let first = before.as_ref().map_or(Ok(()), Before::sync);
        let synced = first.and_then(|()| {
            let synced = if taken.is_empty() { file.sync() } else { file.append_durably(&taken) };
            synced.map_err(|error| Error::io("sync", &path, error))
        });
        let micros = self.micros().saturating_sub(started);
        let mut inner = self.lock();
        inner.syncing = false;
        let synced = synced.map_err(|error| self.poison.set(error));
        if synced.is_ok() {
            if !taken.is_empty() {
                inner.note_written(taken.len() as u64);
            }
            inner.before = None;
            inner.statistics.syncs += 1 + u64::from(before.is_some());
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
    fn lock_to_rotate(&self, bytes: u64) -> MutexGuard<'_, OpenSegment> {
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
        self.rotate_locked(&mut inner, self.rung()).map_err(|error| self.keep(error))
    }

    /// As `rotate`, with the lock held, and while nobody syncs. `rung`: what the new segment may have.
    fn rotate_locked(&self, inner: &mut OpenSegment, rung: LogRung) -> Result<u64> {
        inner.write()?;
        let number = inner.number + 1;
        let prepared = inner.prepared.take().filter(|prepared| prepared.number == number);
        inner.sync_before()?;
        // A head that is synced at once must not be durable before what it continues. By the rung of the open one: what is
        // below does not know segments that were begun early.
        let is_early = self.rung() >= LogRung::Early && prepared.is_some();
        if inner.synced < inner.written && !is_early {
            inner.file.sync().map_err(|error| Error::io("sync", &inner.path, error))?;
            inner.synced = inner.written;
        }
        let begun_early = inner.synced < inner.written;
        let header = LogHeader {
            kind: LogKind::Segment,
            number,
            identity: self.identity,
            previous: inner.number,
            previous_end: inner.written,
            encrypted: self.keys.is_some(),
            rung,
            begun_early,
        };
        let mut next = self.begin_segment(&header, prepared)?;
        next.older = std::mem::take(&mut inner.older);
        next.older.push(inner.number);
        next.before = begun_early.then(|| inner.to_before());
        next.statistics = LogStatistics {
            segments: inner.statistics.segments + 1,
            syncs: inner.statistics.syncs + 1,
            ..inner.statistics
        };
        *inner = next;
        Ok(header.number)
    }

    /// A segment whose name is durable, and its head as well unless the file was prepared.
    fn begin_segment(&self, header: &LogHeader, prepared: Option<Prepared>) -> Result<OpenSegment> {
        let keys = self.keys.as_deref();
        let Some(Prepared { file, .. }) = prepared else {
            return create_segment(&*self.vfs, &self.directory, header, keys);
        };
        let path = segment_path(&self.directory, header.number);
        let begun = head::begin_in(&*self.vfs, &path, header, keys, || Ok(file))?;
        Ok(OpenSegment::new(header, path, begun, 0))
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
        match &inner.before {
            Some(before) => LogPosition { segment: before.number, offset: before.synced },
            None => LogPosition { segment: inner.number, offset: inner.synced },
        }
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

#[cfg(all(test, shuttle))]
#[path = "log_schedules.rs"]
mod schedules;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;
    use crate::vfs::MemoryVfs;
    use crate::wal::open_segment::RESERVE_BYTES;
    use crate::wal::record::RecordKind;

    fn log() -> (MemoryVfs, Log) {
        let vfs = MemoryVfs::new();
        vfs.create_dir(Path::new("/log")).unwrap();
        let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
        let tail = LogTail { next_number: 1, ..LogTail::default() };
        (vfs, Log::begin(shared, Path::new("/log"), 7, None, tail, Arc::default(), LogRung::Plain).unwrap())
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
        assert_eq!((log.fill().1, begun()), (false, 0), "too little");
        append(&log, 2, 100_000);
        assert!(!log.fill().1, "not written");
        log.write().unwrap();
        assert!(log.fill().1);
        log.lock().syncing = true;
        log.begin_write_back();
        assert_eq!(begun(), 0, "who syncs does it");
        log.lock().syncing = false;
        log.begin_write_back();
        assert_eq!(begun(), log.position().1 - WRITE_BACK_TAIL_BYTES);
        assert!(!log.fill().1);
        append(&log, 3, 900_000);
        log.sync().unwrap();
        let synced = log.position().1;
        append(&log, 4, 1_000_000);
        log.write().unwrap();
        assert!(!log.fill().1, "counted from what is synced");
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
