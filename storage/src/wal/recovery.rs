//! Reads the log back when a store is opened.
//!
//! Every head names the segment before it and where the log ends in that one, so the segments form a chain that is
//! followed from the last one back to the first the tablets still need. A hole in the chain is corruption. A segment
//! whose head never reached the disk holds nothing durable (the head is synced with the first records at the latest) and is
//! not part of the chain; if a chunk is found in it that promises anything, the head was damaged later.
//!
//! A segment may have been begun early: before the one in front of it was durable. Both were written, so when only the process
//! has ended both are whole. When the power went, the one in front may end before the place that the head names, or be without
//! a head. Then nothing of what follows is part of the log, for what is kept is what was written first. That it may be so has its
//! proof: the segment that was begun early promises nothing, nobody has gone on from it (the one in front is made durable before),
//! and no manifest says that the log was on disk up to it. Otherwise it is corruption.
//!
//! Nothing is truncated, removed or rewritten here. What lies behind the end of the last segment stays as evidence; the
//! next segment's head says that it is not part of the log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::encryption::{FileCipher, StoreKeys};
use crate::error::{Error, Result};
use crate::vfs::{Vfs, VfsFile};
use crate::wal::chunk::ChunkContext;
use crate::wal::head;
use crate::wal::header::{LogHeader, LogKind, LogRung, segment_number, segment_path};
use crate::wal::log::{LogPosition, LogTail};
use crate::wal::reader::{LogEnd, LogReader, holds_promise};
use crate::wal::record::{Record, decode};

/// A segment to replay.
struct Link {
    /// Its number.
    number: u64,
    /// Its path.
    path: PathBuf,
    /// The file.
    file: Arc<dyn VfsFile>,
    /// What its records are encrypted with.
    cipher: Option<FileCipher>,
    /// Whether its records may be compressed.
    compressed_records: bool,
    /// Where the log ends in it.
    end: LogEnd,
}

/// Where the log is and which part of it is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Replay<'a> {
    /// Where files come from.
    pub vfs: &'a dyn Vfs,
    /// The log's directory.
    pub directory: &'a Path,
    /// The store's identity.
    pub identity: u128,
    /// Wraps the segments' keys; `None` when they have none.
    pub keys: Option<&'a StoreKeys>,
    /// The first segment wanted.
    pub first: u64,
    /// The log is known to have been on disk up to here.
    pub promised: LogPosition,
    /// Where to end, if somebody is still writing behind it: the end of a record that is on disk. `None`: where the log does.
    pub until: Option<LogPosition>,
}

impl Replay<'_> {
    /// Calls `apply` with every batch from the first wanted segment on, in order, and where it begins. Returns where the log
    /// continues.
    pub fn run(&self, mut apply: impl FnMut(LogPosition, Record) -> Result<()>) -> Result<LogTail> {
        let names =
            self.vfs.list(self.directory).map_err(|error| Error::io("list", self.directory, error))?;
        let mut segments: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
        segments.retain(|&number| self.until.is_none_or(|until| number <= until.segment));
        segments.sort_unstable();
        let chain = self.chain(&segments)?;
        let next_number = segments.last().map_or(self.first, |last| last + 1).max(self.first).max(1);
        let mut tail = LogTail { next_number, segments, ..LogTail::default() };
        let mut chain = chain.into_iter().peekable();
        while let Some(link) = chain.next() {
            tail.number = link.number;
            tail.end = self.replay_segment(&link, &mut apply)?;
            self.check_promise(&link, tail.end)?;
            let LogEnd::AtMost(end) = link.end else { continue };
            if tail.end < end {
                self.require_no_promise(chain.peek(), &link.path, tail.end)?;
                break;
            }
            tail.before = Some(link.number);
        }
        let known = self.until.unwrap_or_default().max(self.promised);
        if tail.number < known.segment {
            let path = segment_path(self.directory, known.segment);
            return Err(Error::corruption(&path, 0, "this segment was written, and is not there"));
        }
        Ok(tail)
    }

    /// The segments of the log, oldest first.
    fn chain(&self, segments: &[u64]) -> Result<Vec<Link>> {
        let mut wanted: BTreeMap<u64, ()> =
            segments.iter().filter(|&&number| number >= self.first).map(|&number| (number, ())).collect();
        let mut links = Vec::new();
        let until = self.until.filter(|until| segments.last() == Some(&until.segment));
        let mut end = until.map_or(LogEnd::Unknown, |until| LogEnd::At(until.offset));
        while let Some((number, ())) = wanted.pop_last() {
            let path = segment_path(self.directory, number);
            let file = self.vfs.open_read(&path).map_err(|error| Error::io("open", &path, error))?;
            let Some((header, cipher)) = self.read_header(&*file, &path, number)? else {
                // The one after it was begun once this one's records, and so its head, were synced,
                if matches!(end, LogEnd::At(_)) {
                    return Err(Error::corruption(
                        &path,
                        0,
                        "the head is damaged, a segment continues this one",
                    ));
                }
                // or early, and is not part of the log either.
                if matches!(end, LogEnd::AtMost(_)) {
                    self.require_no_promise(links.pop().as_ref(), &path, 0)?;
                    end = LogEnd::Unknown;
                }
                continue;
            };
            let compressed_records = header.rung >= LogRung::Compressed;
            links.push(Link { number, path: path.clone(), file, cipher, compressed_records, end });
            let known = self.until.unwrap_or_default().max(self.promised);
            let is_durable = links.len() > 1 || known > LogPosition { segment: number, offset: 0 };
            end = match header.previous_end {
                at if header.begun_early && !is_durable => LogEnd::AtMost(at),
                at => LogEnd::At(at),
            };
            if header.previous < self.first {
                return self.finish_chain(links, &wanted);
            }
            self.skip_to(header.previous, &path, &mut wanted)?;
        }
        Err(Error::corruption(
            &segment_path(self.directory, self.first),
            0,
            "the log has no segment from here on, or none whose head is intact",
        ))
    }

    /// Leaves `previous` as the last of the wanted segments; those between never held anything.
    fn skip_to(&self, previous: u64, path: &Path, wanted: &mut BTreeMap<u64, ()>) -> Result<()> {
        if !wanted.contains_key(&previous) {
            return Err(Error::corruption(
                path,
                32,
                format!("segment {previous} before this one is missing"),
            ));
        }
        for (number, ()) in wanted.split_off(&(previous + 1)) {
            self.require_empty(number)?;
        }
        Ok(())
    }

    /// Nothing older is wanted: what is left never held anything.
    fn finish_chain(&self, mut links: Vec<Link>, left: &BTreeMap<u64, ()>) -> Result<Vec<Link>> {
        left.keys().try_for_each(|&number| self.require_empty(number))?;
        links.reverse();
        Ok(links)
    }

    /// Fails if a segment outside the chain has an intact head, unless it was begun early and promises nothing.
    fn require_empty(&self, number: u64) -> Result<()> {
        let path = segment_path(self.directory, number);
        let file = self.vfs.open_read(&path).map_err(|error| Error::io("open", &path, error))?;
        let Some((header, _)) = self.read_header(&*file, &path, number)? else { return Ok(()) };
        let context = ChunkContext::new(self.identity, number);
        if header.begun_early && !holds_promise(&*file, &path, context)? {
            return Ok(());
        }
        Err(Error::corruption(&path, 0, "the segments after this one do not continue it"))
    }

    /// Fails if a segment that was begun early promises anything: then the one in front of it was durable, which ends at `end`.
    fn require_no_promise(&self, early: Option<&Link>, front: &Path, end: u64) -> Result<()> {
        let Some(early) = early else { return Ok(()) };
        let context = ChunkContext::new(self.identity, early.number);
        if holds_promise(&*early.file, &early.path, context)? {
            let detail = format!("the log ends here; segment {} says that it had been synced", early.number);
            return Err(Error::corruption(front, end, detail));
        }
        Ok(())
    }

    /// A segment's head; `None` if it never reached the disk.
    fn read_header(
        &self,
        file: &dyn VfsFile,
        path: &Path,
        number: u64,
    ) -> Result<Option<(LogHeader, Option<FileCipher>)>> {
        let Some((header, cipher)) = head::read(file, path, self.keys)? else {
            let context = ChunkContext::new(self.identity, number);
            if holds_promise(file, path, context)? {
                return Err(Error::corruption(path, 0, "the head is damaged, synced records follow it"));
            }
            return Ok(None);
        };
        if header.kind != LogKind::Segment || header.number != number || header.identity != self.identity {
            return Err(Error::corruption(
                path,
                0,
                "the file belongs to another store or has another's name",
            ));
        }
        Ok(Some((header, cipher)))
    }

    /// Fails if the log ends in a segment before the place the manifest knows to have been on disk.
    fn check_promise(&self, link: &Link, end: u64) -> Result<()> {
        if link.number == self.promised.segment && end < self.promised.offset {
            let detail =
                format!("the log ends here; the manifest says it was on disk up to {}", self.promised.offset);
            return Err(Error::corruption(&link.path, end, detail));
        }
        Ok(())
    }

    /// Replays one segment; returns where the log ends in it.
    fn replay_segment(
        &self,
        link: &Link,
        apply: &mut impl FnMut(LogPosition, Record) -> Result<()>,
    ) -> Result<u64> {
        let context = ChunkContext::new(self.identity, link.number);
        let mut reader =
            LogReader::new(Arc::clone(&link.file), &link.path, context, link.cipher.clone(), link.end)?;
        while let Some((offset, bytes)) = reader.next_record()? {
            let record = decode(bytes).ok_or_else(|| {
                Error::corruption(&link.path, offset, "an intact record does not say what a record says")
            })?;
            if record.head.compressed && !link.compressed_records {
                let detail = "a record is compressed in a segment whose format version does not have that";
                return Err(Error::corruption(&link.path, offset, detail));
            }
            apply(LogPosition { segment: link.number, offset }, record)?;
        }
        Ok(reader.end())
    }
}

/// Makes the part of the log that was replayed durable: a killed process may have left it in the page cache only, and
/// the next segment's head is about to say that it is there.
pub fn sync_tail(vfs: &dyn Vfs, directory: &Path, tail: &LogTail) -> Result<()> {
    if tail.number == 0 {
        return Ok(());
    }
    for number in tail.before.into_iter().chain([tail.number]) {
        let path = segment_path(directory, number);
        let file = vfs.open_append(&path).map_err(|error| Error::io("open", &path, error))?;
        file.sync().map_err(|error| Error::io("sync", &path, error))?;
    }
    vfs.sync_dir(directory).map_err(|error| Error::io("sync", directory, error))
}

#[cfg(test)]
#[path = "early_tests.rs"]
mod early_tests;
#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
