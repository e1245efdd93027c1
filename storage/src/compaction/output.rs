//! The growing result of a flush or compaction: sstables cut where they should be, large values put aside.
//!
//! A table ends before the first key (never between two versions of one) at which
//! - a keyspace that has options of its own begins or ends,
//! - it has reached its target size,
//! - it has reached half of it and the key passes a boundary of the level below the output (a later compaction of this
//!   table then meets whole tables there),
//! - or it would overlap more of that level than [`GRANDPARENT_TABLES_MAX`] tables' worth.
//!
//! Tables share out the key space: from the cut that began a table to the cut that ends it. Range tombstones are clipped
//! to that share, so tables of a level do not overlap.

use std::collections::BTreeSet;

use crate::blob::{BlobReference, BlobWriter};
use crate::compaction::job::JobContext;
use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::file_id::FileId;
use crate::keyspace::Keyspace;
use crate::manifest::{BlobMeta, TableMeta, TableRef, Version};
use crate::options::Compression;
use crate::planted::{Bug, planted};
use crate::range_tombstone::RangeTombstones;
use crate::sstable::block_file::Caching;
use crate::sstable::writer::{TableFormat, TableWriter};
use crate::timestamp::Timestamp;

/// A table overlaps at most this many tables' worth of the level below it.
const GRANDPARENT_TABLES_MAX: u64 = 10;

/// Where the result goes and what it is cut by.
pub struct OutputPlan<'a> {
    /// The level of the new tables.
    pub level: usize,
    /// The epoch of the new tables.
    pub epoch: u64,
    /// Range tombstones to write.
    pub ranges: RangeTombstones,
    /// The tables of the level below the output, where they overlap.
    pub grandparents: Vec<TableRef>,
    /// Values in these blob files are written anew.
    pub blobs_rewritten: BTreeSet<FileId>,
    /// Where references lead; `None` for a flush, whose inputs hold none.
    pub version: Option<&'a Version>,
    /// The size at which a table is cut; a flush has no limit.
    pub table_bytes_target: u64,
}

/// The result so far.
pub struct Output<'a> {
    context: &'a JobContext<'a>,
    plan: OutputPlan<'a>,
    writer: Option<TableWriter>,
    /// Where the current table's share of the key space begins.
    lower: Option<Vec<u8>>,
    blob: Option<BlobWriter>,
    grandparent_at: usize,
    grandparent_bytes: u64,
    /// Every file created, finished or not.
    pub created: Vec<std::path::PathBuf>,
    /// Finished tables.
    pub tables: Vec<TableMeta>,
    /// Finished blob files.
    pub blobs: Vec<BlobMeta>,
}

impl<'a> Output<'a> {
    /// Empty.
    pub fn new(context: &'a JobContext<'a>, plan: OutputPlan<'a>) -> Output<'a> {
        Output {
            context,
            plan,
            writer: None,
            lower: None,
            blob: None,
            grandparent_at: 0,
            grandparent_bytes: 0,
            created: Vec::new(),
            tables: Vec::new(),
            blobs: Vec::new(),
        }
    }

    /// Adds the next entry.
    pub fn add(&mut self, key: &[u8], timestamp: Timestamp, kind: ValueKind, value: &[u8]) -> Result<()> {
        let new_key = self.writer.as_ref().is_none_or(|writer| writer.last_key() != Some(key));
        if new_key && self.cuts_before(key) {
            self.finish_table(Some(key))?;
        }
        if self.writer.is_none() {
            self.writer = Some(self.create_table()?);
        }
        let (kind, reference) = self.separate(key, kind, value)?;
        let Some(writer) = &mut self.writer else { return Ok(()) };
        match reference {
            Some(reference) => {
                if !planted(Bug::LostBlobReference) {
                    writer.note_blob(reference.file_id, u64::from(reference.record.length));
                }
                writer.add(key, timestamp, kind, &reference.encode())
            }
            None => writer.add(key, timestamp, kind, value),
        }
    }

    fn create_table(&mut self) -> Result<TableWriter> {
        let file_id = (self.context.next_file)();
        self.created.push(file_id.sstable_path(&self.context.opener.directory));
        let format = TableFormat::for_level(self.context.options, self.plan.level);
        TableWriter::create(self.context.opener, file_id, format)
    }

    /// Whether the current table ends before `key`. Also keeps track of the grandparents passed.
    fn cuts_before(&mut self, key: &[u8]) -> bool {
        let mut passed = false;
        while let Some(table) = self.plan.grandparents.get(self.grandparent_at)
            && !table.meta.largest.admits(key)
        {
            self.grandparent_bytes += table.meta.size_bytes;
            self.grandparent_at += 1;
            passed = true;
        }
        let Some(writer) = &self.writer else { return false };
        let Some(last) = writer.last_key() else { return false };
        let (size, target) = (writer.size_estimate_bytes(), self.plan.table_bytes_target);
        self.parts(Keyspace::of(last), Keyspace::of(key))
            || size >= target
            || (passed && size >= target / 2)
            || self.grandparent_bytes > target.saturating_mul(GRANDPARENT_TABLES_MAX)
    }

    /// Whether keys of the two keyspaces belong into different tables: they do if one of them has options of its own.
    fn parts(&self, left: Keyspace, right: Keyspace) -> bool {
        let named = |keyspace| self.context.options.keyspaces.contains_key(&keyspace);
        left != right && (named(left) || named(right))
    }

    /// What to store for a value: itself, or a reference to it in a blob file.
    fn separate(
        &mut self,
        key: &[u8],
        kind: ValueKind,
        value: &[u8],
    ) -> Result<(ValueKind, Option<BlobReference>)> {
        match kind {
            ValueKind::Put if self.context.options.keyspace(Keyspace::of(key)).separates(value.len()) => {
                Ok((ValueKind::BlobHandle, Some(self.add_blob(value)?)))
            }
            ValueKind::BlobHandle => {
                let damaged = || {
                    Error::corruption(&self.context.opener.directory, 0, "a blob reference of another form")
                };
                let reference = BlobReference::decode(value).ok_or_else(damaged)?;
                if !self.plan.blobs_rewritten.contains(&reference.file_id) {
                    return Ok((kind, Some(reference)));
                }
                let missing = || {
                    let path = reference.file_id.blob_path(&self.context.opener.directory);
                    Error::corruption(&path, 0, "an sstable refers to a blob file that is not there")
                };
                let blob = self.plan.version.and_then(|version| version.blobs.get(&reference.file_id));
                let value = blob.ok_or_else(missing)?.reader()?.get(&reference, Caching::Past)?;
                Ok((kind, Some(self.add_blob(&value)?)))
            }
            _ => Ok((kind, None)),
        }
    }

    fn add_blob(&mut self, value: &[u8]) -> Result<BlobReference> {
        let full = |blob: &mut BlobWriter| blob.size_bytes() >= self.context.options.blob_file_bytes_target;
        if let Some(blob) = self.blob.take_if(full) {
            self.blobs.push(blob.finish()?);
        }
        let blob = match &mut self.blob {
            Some(blob) => blob,
            empty => {
                let file_id = (self.context.next_file)();
                self.created.push(file_id.blob_path(&self.context.opener.directory));
                let compression = self.context.options.compression.get(self.plan.level.max(2));
                let compression = compression.copied().unwrap_or(Compression::None);
                let every = self.context.options.sync_every_bytes;
                empty.insert(BlobWriter::create(self.context.opener, file_id, compression, every)?)
            }
        };
        blob.add(value)
    }

    /// Ends the current table before `upper`, the first key of the next one; `None` ends the last.
    fn finish_table(&mut self, upper: Option<&[u8]>) -> Result<()> {
        let ranges = self.plan.ranges.clipped(self.lower.as_deref(), upper);
        self.lower = upper.map(<[u8]>::to_vec);
        self.grandparent_bytes = 0;
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None if ranges.is_empty() => return Ok(()),
            None => self.create_table()?,
        };
        for tombstone in ranges.iter() {
            writer.add_range_tombstone(tombstone);
        }
        self.tables.push(writer.finish(self.plan.epoch)?);
        Ok(())
    }

    /// Ends the last table and blob file.
    pub fn finish(&mut self) -> Result<()> {
        self.finish_table(None)?;
        if let Some(blob) = self.blob.take() {
            self.blobs.push(blob.finish()?);
        }
        Ok(())
    }
}
