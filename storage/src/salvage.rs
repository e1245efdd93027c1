//! Copies what can still be read of a damaged store into a new one. The damaged store is not changed.
//!
//! What comes over is the newest readable version of every key; history does not. Where the manifest can be read it says
//! which sstables count; where it cannot, all that are there do, and keys deleted since may come back. An sstable with a
//! damaged block is read from the front up to it and from the back down to it. A segment of the log is read up to the
//! damage. Where the newest version of a key is lost, an older one may take its place. Everything lost is in the report.
//! Each tablet is copied into one of its id; where the list of tablets is lost, all that have a directory are.
//!
//! An encrypted store is read with the master keys in the options, which are also what the new store is encrypted with; a
//! store in the open is encrypted on the way if the options say so.
//!
//! Steps, tablet by tablet: gather the range deletions of every source; then, source by source and newest first, write every version that
//! no range deletion covers into the new store at its own timestamp, which refuses what is older than what it has. Deletes are such
//! versions, too, and stay until all is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::blob::{BlobReader, BlobReference};
use crate::cache::BlockCache;
use crate::encryption::{KEYS_FILE, StoreKeys};
use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::file_id::{FileId, FileKind};
use crate::manifest::version_set::read_manifest;
use crate::manifest::{TableMeta, VersionEdit};
use crate::options::{Durability, StoreOptions};
use crate::range_tombstone::{RangeTombstone, RangeTombstones};
use crate::sstable::block_file::{Caching, FileOpener};
use crate::sstable::cursor::TableCursor;
use crate::sstable::reader::TableReader;
use crate::store::tablet_list::TabletList;
use crate::store::{self, Store};
use crate::tablet::open::Place;
use crate::tablet::{Tablet, TabletId};
use crate::timestamp::Timestamp;
use crate::vfs::Vfs;
use crate::wal::chunk::ChunkContext;
use crate::wal::head;
use crate::wal::header::{LogKind, LogRung, segment_number, segment_path};
use crate::wal::reader::{LogEnd, LogReader, holds_promise};
use crate::wal::record::{Record, decode};
use crate::write_batch::{Operation, WriteBatch};

/// Cache of the reading side.
const CACHE_BYTES: u64 = 8 << 20;

/// What a salvage found.
#[derive(Clone, Debug, Default)]
pub struct SalvageReport {
    /// Sstables read, wholly or in part.
    pub tables: usize,
    /// Records of the log read.
    pub records: usize,
    /// Versions written to the new store.
    pub versions: u64,
    /// What could not be read.
    pub lost: Vec<Error>,
}

/// A source of versions.
enum Source {
    /// The log, all of it.
    Log(Vec<Record>),
    /// An sstable.
    Table(Arc<TableReader>),
}

/// The salvage of a tablet under way.
struct Salvage<'a> {
    /// The damaged tablet.
    opener: FileOpener,
    /// The new one.
    target: Tablet,
    /// The range deletions of all sources.
    ranges: RangeTombstones,
    /// What was found.
    report: &'a mut SalvageReport,
}

/// Copies what can be read of the store in `damaged` into a new store in `target`, which must hold nothing. Fails if there is no
/// such directory, if the keys do not open it, or if the new store cannot be written; what cannot be read is reported.
pub fn salvage(
    vfs: &Arc<dyn Vfs>,
    damaged: &Path,
    target: &Path,
    options: StoreOptions,
) -> Result<SalvageReport> {
    vfs.list(damaged).map_err(|error| Error::io("list", damaged, error))?;
    let mut place = Place {
        vfs: Arc::clone(vfs),
        directory: damaged.to_path_buf(),
        identity: 0,
        keys: None,
        rung: LogRung::Plain,
    };
    // Whatever STORE says, if it can be read at all: without the keys nothing of an encrypted store can.
    if vfs.len(&damaged.join(KEYS_FILE)).is_ok() {
        place.keys = Some(Arc::new(StoreKeys::read(&**vfs, damaged, options.encryption.as_ref())?));
    }
    let new = Store::open(Arc::clone(vfs), target, options.clone())?;
    if new.tablet().last_timestamp() != Timestamp::ZERO || new.tablets().len() > 1 {
        return Err(Error::invalid(format!("{} is not empty", target.display())));
    }
    let mut report = SalvageReport::default();
    let mut records = Vec::new();
    let mut of_tablets = true;
    match store::read_store_file(&place) {
        Ok(head) => {
            place.identity = head.identity;
            of_tablets = head.kind == LogKind::StoreOfTablets;
            records = read_log(&place, &mut report)?;
        }
        // Without the identity no chunk of the log can be checked.
        Err(error) => report.lost.push(error),
    }
    for id in tablets(&place, of_tablets, &mut report)? {
        let target = if id == TabletId::FIRST { new.tablet() } else { new.create_tablet(id)? };
        let (own, others) = records.into_iter().partition(|record: &Record| record.head.group == id.0);
        records = others;
        salvage_tablet(&place, &options, target, own, &mut report)?;
    }
    new.close()?;
    Ok(report)
}

/// The tablets that count: those the list names; where it cannot be read, all that have a directory.
fn tablets(place: &Place, of_tablets: bool, report: &mut SalvageReport) -> Result<BTreeSet<TabletId>> {
    let mut ids = BTreeSet::from([TabletId::FIRST]);
    if !of_tablets {
        return Ok(ids);
    }
    match TabletList::read(&*place.vfs, &place.directory, place.identity) {
        Ok(list) => ids.extend(list.live()),
        Err(error) => {
            report.lost.push(error);
            let names = place.vfs.list(&place.directory);
            let names = names.map_err(|error| Error::io("list", &place.directory, error))?;
            ids.extend(names.iter().filter_map(|name| TabletId::of_directory(name)));
        }
    }
    Ok(ids)
}

/// Copies what can be read of a tablet into `target`, which has the same id.
fn salvage_tablet(
    place: &Place,
    options: &StoreOptions,
    target: Tablet,
    records: Vec<Record>,
    report: &mut SalvageReport,
) -> Result<()> {
    let opener = FileOpener {
        vfs: Arc::clone(&place.vfs),
        directory: place.tablet_directory(target.id()),
        cache: Arc::new(BlockCache::new(CACHE_BYTES)),
        read_mode: options.read_mode,
        open_files: Arc::default(),
        keys: place.keys.clone(),
        abandoned: Arc::default(),
    };
    let mut sources = vec![Source::Log(records)];
    for (id, size_bytes, fixed) in tables(&opener, place.identity, report)? {
        match TableReader::open(&opener, id, size_bytes) {
            Ok(reader) => sources.push(Source::Table(Arc::new(reader.at(fixed)))),
            Err(error) => report.lost.push(error),
        }
    }
    let ranges = gather_ranges(&sources);
    // While it is held, compactions keep every delete: what it hides may be in a source that is still to come.
    let _keeps_deletes = target.snapshot();
    let mut salvage = Salvage { opener, target, ranges, report };
    for source in sources {
        match source {
            Source::Log(records) => salvage.take_records(&records)?,
            Source::Table(reader) => salvage.take_table(&reader)?,
        }
    }
    salvage.target.flush()
}

/// A table that counts: its number, the length it has, and the timestamp of its entries if the manifest knows one.
type CountedTable = (FileId, u64, Option<Timestamp>);

/// The sstables that count, newest first.
fn tables(opener: &FileOpener, identity: u128, report: &mut SalvageReport) -> Result<Vec<CountedTable>> {
    let mut metas: Vec<(usize, TableMeta)> = Vec::new();
    let ids: Vec<(FileId, Option<Timestamp>)> = match read_manifest(opener, identity) {
        Ok(edits) => {
            edits.iter().for_each(|edit| fold(&mut metas, edit));
            metas.sort_by_key(|(level, meta)| (*level, std::cmp::Reverse(meta.epoch)));
            metas.iter().map(|(_, meta)| (meta.file_id, meta.fixed_timestamp)).collect()
        }
        Err(error) => {
            report.lost.push(error);
            all_tables(opener)?.into_iter().map(|id| (id, None)).collect()
        }
    };
    let mut found = Vec::new();
    for (id, fixed) in ids {
        let path = id.sstable_path(&opener.directory);
        match opener.vfs.len(&path) {
            Ok(size_bytes) => found.push((id, size_bytes, fixed)),
            Err(error) => report.lost.push(Error::io("measure", &path, error)),
        }
    }
    Ok(found)
}

/// Applies an edit to a list of sstables.
fn fold(metas: &mut Vec<(usize, TableMeta)>, edit: &VersionEdit) {
    let removed = |level: usize, id: FileId| edit.removed_tables.contains(&(level, id));
    metas.retain(|(level, meta)| !removed(*level, meta.file_id));
    metas.extend(edit.added_tables.iter().cloned());
}

/// All sstables in the directory, the youngest first.
fn all_tables(opener: &FileOpener) -> Result<Vec<FileId>> {
    let names =
        opener.vfs.list(&opener.directory).map_err(|error| Error::io("list", &opener.directory, error))?;
    let mut ids: Vec<FileId> = names
        .iter()
        .filter_map(|name| match FileKind::of(name) {
            FileKind::Sstable(id) => Some(id),
            _ => None,
        })
        .collect();
    ids.sort_by_key(|id| std::cmp::Reverse(*id));
    Ok(ids)
}

/// Every record of the log that can be read, oldest first.
fn read_log(place: &Place, report: &mut SalvageReport) -> Result<Vec<Record>> {
    let directory = place.log_directory();
    let names = place.vfs.list(&directory).map_err(|error| Error::io("list", &directory, error))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    let mut records = Vec::new();
    let mut ends = BTreeMap::new();
    for number in numbers {
        let path = segment_path(&directory, number);
        let file = place.vfs.open_read(&path).map_err(|error| Error::io("open", &path, error))?;
        // One that was made ahead of time and never begun.
        if file.len().map_err(|error| Error::io("measure", &path, error))? == 0 {
            continue;
        }
        let context = ChunkContext::new(place.identity, number);
        let cipher = match head::read(&*file, &path, place.keys.as_deref()) {
            // It was begun early, and the power went before the one in front of it was durable to its end: it is no part of the log.
            Ok(Some((header, _)))
                if header.begun_early
                    && ends.get(&header.previous).is_some_and(|&end| end < header.previous_end)
                    && !holds_promise(&*file, &path, context)? =>
            {
                continue;
            }
            Ok(Some((_, cipher))) => cipher,
            // Without a key block the head is of no use to the reader, which checks every chunk.
            Ok(None) if place.keys.is_none() => None,
            Ok(None) => {
                report.lost.push(Error::corruption(&path, 0, "the head of the log file is damaged"));
                continue;
            }
            Err(error) => {
                report.lost.push(error);
                continue;
            }
        };
        let mut reader = LogReader::new(file, &path, context, cipher, LogEnd::Unknown)?;
        loop {
            match reader.next_record() {
                Ok(Some((offset, bytes))) => match decode(bytes) {
                    Some(record) => records.push(record),
                    None => {
                        report.lost.push(Error::corruption(&path, offset, "a log record does not decode"))
                    }
                },
                Ok(None) => {
                    ends.insert(number, reader.end());
                    break;
                }
                Err(error) => {
                    report.lost.push(error);
                    break;
                }
            }
        }
    }
    report.records = records.len();
    Ok(records)
}

/// The range deletions of all sources.
fn gather_ranges(sources: &[Source]) -> RangeTombstones {
    let mut all = Vec::new();
    for source in sources {
        match source {
            Source::Table(reader) => {
                all.extend(reader.range_tombstones().iter().flat_map(|ranges| ranges.iter()));
            }
            Source::Log(records) => {
                for record in records {
                    all.extend(record.operations.operations().filter_map(|operation| match operation {
                        Operation::DeleteRange { lower, upper } => Some(RangeTombstone {
                            start: lower.to_vec(),
                            end: upper.to_vec(),
                            timestamp: record.head.timestamp,
                        }),
                        Operation::Put { .. } | Operation::Delete { .. } => None,
                    }));
                }
            }
        }
    }
    RangeTombstones::new(all)
}

impl Salvage<'_> {
    /// Takes over the log, newest first.
    fn take_records(&mut self, records: &[Record]) -> Result<()> {
        for record in records.iter().rev() {
            for operation in record.operations.operations() {
                match operation {
                    Operation::Put { key, value } => self.take(key, record.head.timestamp, Some(value))?,
                    Operation::Delete { key } => self.take(key, record.head.timestamp, None)?,
                    Operation::DeleteRange { .. } => {}
                }
            }
        }
        Ok(())
    }

    /// Takes over an sstable: from the front up to the damage, if there is any, then from the back down to it.
    fn take_table(&mut self, reader: &Arc<TableReader>) -> Result<()> {
        self.report.tables += 1;
        let mut cursor = TableCursor::new(Arc::clone(reader), Caching::Past);
        let mut moved = cursor.seek_to_first();
        while moved.is_ok() && cursor.valid() {
            self.take_entry(&cursor)?;
            moved = cursor.advance();
        }
        let Err(damage) = moved else { return Ok(()) };
        self.report.lost.push(damage);
        let mut cursor = TableCursor::new(Arc::clone(reader), Caching::Past);
        let mut moved = cursor.seek_to_last();
        while moved.is_ok() && cursor.valid() {
            self.take_entry(&cursor)?;
            moved = cursor.retreat();
        }
        Ok(())
    }

    /// Takes over the entry a cursor stands on.
    fn take_entry(&mut self, cursor: &TableCursor) -> Result<()> {
        let position = cursor.position();
        let (key, timestamp) = (position.key.to_vec(), position.timestamp);
        match cursor.kind() {
            ValueKind::Put => self.take(&key, timestamp, Some(cursor.value())),
            ValueKind::Delete => self.take(&key, timestamp, None),
            ValueKind::RangeDelete => Ok(()),
            ValueKind::BlobHandle => match self.read_blob(cursor.value()) {
                Ok(value) => self.take(&key, timestamp, Some(&value)),
                Err(error) => {
                    self.report.lost.push(error);
                    Ok(())
                }
            },
        }
    }

    /// The value behind a reference.
    fn read_blob(&self, reference: &[u8]) -> Result<Vec<u8>> {
        let reference = BlobReference::decode(reference).ok_or_else(|| {
            Error::corruption(&self.opener.directory, 0, "a blob reference of another form")
        })?;
        let path = reference.file_id.blob_path(&self.opener.directory);
        let size_bytes = self.opener.vfs.len(&path).map_err(|error| Error::io("measure", &path, error))?;
        let reader = BlobReader::open(&self.opener, reference.file_id, size_bytes)?;
        Ok(reader.get(&reference, Caching::Past)?.to_vec())
    }

    /// Writes a version, unless a range deletion covers it or the new store has a newer one.
    fn take(&mut self, key: &[u8], timestamp: Timestamp, value: Option<&[u8]>) -> Result<()> {
        if self.ranges.covers(key, timestamp, Timestamp::MAX) {
            return Ok(());
        }
        let mut batch = WriteBatch::new();
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
        match self.target.commit_at(batch, timestamp, Some(Durability::None)) {
            Ok(_) => {
                self.report.versions += 1;
                Ok(())
            }
            Err(Error::InvalidInput(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
#[path = "salvage_tests.rs"]
mod tests;
