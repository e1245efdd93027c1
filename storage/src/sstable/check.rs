//! Reads a whole sstable and compares what is in it with what its index, its filter, its properties and the manifest say.
//!
//! 1. Entries ascend, within a block and from one to the next, and each lies between two separators of the index.
//! 2. Every key, and every prefix that the properties name, passes the filter: a filter that denies a key hides it.
//! 3. Every reference to a blob file leads to a value.
//! 4. Counts, bounds, timestamps and bytes referred to, added up from the entries and range tombstones themselves, are those of the
//!    properties and those of the manifest.
//!
//! Everything is read from the file anew, past the cache: what is in memory was checked when it came there. A block that
//! fails its checksum ends the check of its table.

use std::collections::BTreeMap;

use crate::blob::BlobReference;
use crate::coding::{Malformed, key_hash, prefix_hash};
use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::file_id::FileId;
use crate::keyspace::Keyspace;
use crate::manifest::{TableBound, TableMeta};
use crate::sstable::block::{Block, Position};
use crate::sstable::block_file::Caching;
use crate::sstable::filter::LoadedFilter;
use crate::sstable::footer::BlockHandle;
use crate::sstable::properties::Properties;
use crate::sstable::reader::TableReader;
use crate::sstable::sealed::BlockType;
use crate::timestamp::Timestamp;

/// Reads all of `reader`'s table, which must have been opened with the file's own timestamps, and fails at the first thing that
/// is not as `meta` or the table itself says. `resolve` is given every reference to a blob file. Returns the number of entries.
pub fn check_table(
    reader: &TableReader,
    meta: &TableMeta,
    resolve: &mut dyn FnMut(&BlobReference) -> Result<()>,
) -> Result<u64> {
    let mut walk = Walk {
        reader,
        filter: reader.load_filter()?,
        found: Properties { timestamp_min: Timestamp::MAX, ..Properties::default() },
        references: BTreeMap::new(),
        resolve,
        last: None,
        separator: None,
        last_prefix: Vec::new(),
    };
    walk.index(reader.index_root(), reader.footer().index, reader.footer().index_levels)?;
    let largest = walk.add_range_tombstones();
    walk.compare_with_properties(&largest)?;
    walk.compare_with_manifest(meta, &largest)?;
    Ok(walk.found.entries)
}

/// A place in the order of entries.
type Place = (Vec<u8>, Timestamp);

/// What has been seen so far.
struct Walk<'a> {
    reader: &'a TableReader,
    filter: Option<LoadedFilter>,
    /// What the properties should say.
    found: Properties,
    /// Bytes referred to by blob file.
    references: BTreeMap<FileId, u64>,
    resolve: &'a mut dyn FnMut(&BlobReference) -> Result<()>,
    /// The last entry.
    last: Option<Place>,
    /// What the index has as the end of the block before.
    separator: Option<Place>,
    /// The prefix the filter was asked for last.
    last_prefix: Vec<u8>,
}

/// Whether a position comes after a place, or there is none.
fn is_after(position: Position<'_>, place: Option<&Place>) -> bool {
    place.is_none_or(|(key, timestamp)| position > Position { key, timestamp: *timestamp })
}

impl Walk<'_> {
    fn wrong(&self, offset: u64, what: &'static str) -> Error {
        self.reader.file().corruption(offset, Malformed(what))
    }

    /// Follows an index block, which is at `at`, down to the data.
    fn index(&mut self, index: &Block, at: BlockHandle, levels: u8) -> Result<()> {
        for (entry, handle) in self.reader.index_handles(index)?.into_iter().enumerate() {
            let mut key = Vec::new();
            index.append_key(entry, &mut key);
            let end = (key, index.timestamp(entry));
            if levels > 1 {
                let part = self.reader.file().block(handle, BlockType::Index, Caching::Past)?;
                self.index(&part, handle, levels - 1)?;
                if self.separator.as_ref() != Some(&end) {
                    return Err(
                        self.wrong(at.offset, "a part of the index ends elsewhere than its root says")
                    );
                }
            } else {
                self.data_block(handle, &end)?;
                self.separator = Some(end);
            }
        }
        Ok(())
    }

    /// Goes through a data block whose entries end at or before `end`.
    fn data_block(&mut self, handle: BlockHandle, end: &Place) -> Result<()> {
        let block = self.reader.file().block(handle, BlockType::Data, Caching::Past)?;
        let end = Position { key: &end.0, timestamp: end.1 };
        let mut key = Vec::new();
        for at in 0..block.entries() {
            key.clear();
            block.append_key(at, &mut key);
            let position = Position { key: &key, timestamp: block.timestamp(at) };
            if !is_after(position, self.last.as_ref()) {
                return Err(self.wrong(handle.offset, "entries are out of order"));
            }
            if position > end || !is_after(position, self.separator.as_ref()) {
                return Err(self.wrong(handle.offset, "an entry is not where the index says"));
            }
            self.entry(&block, at, &key, handle)?;
            let (last, timestamp) = self.last.get_or_insert_default();
            last.clone_from(&key);
            *timestamp = position.timestamp;
        }
        self.found.data_blocks += 1;
        Ok(())
    }

    /// Counts an entry, and asks the filter and the blob file about it.
    fn entry(&mut self, block: &Block, at: usize, key: &[u8], handle: BlockHandle) -> Result<()> {
        let value = block.value(at);
        match block.kind(at) {
            ValueKind::Delete => self.found.deletes += 1,
            ValueKind::Put => {}
            ValueKind::BlobHandle => {
                let reference = BlobReference::decode(value);
                let reference =
                    reference.ok_or_else(|| self.wrong(handle.offset, "a blob reference of another form"))?;
                (self.resolve)(&reference)?;
                *self.references.entry(reference.file_id).or_default() += u64::from(reference.record.length);
            }
            ValueKind::RangeDelete => {
                return Err(self.wrong(handle.offset, "a range tombstone among the entries"));
            }
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != key) {
            self.ask_filter(key)?;
        }
        let found = &mut self.found;
        if found.entries == 0 {
            found.smallest = key.to_vec();
        }
        found.entries += 1;
        found.key_bytes += key.len() as u64;
        found.value_bytes += value.len() as u64;
        found.timestamp_min = found.timestamp_min.min(block.timestamp(at));
        found.timestamp_max = found.timestamp_max.max(block.timestamp(at));
        Ok(())
    }

    fn ask_filter(&mut self, key: &[u8]) -> Result<()> {
        let Some(filter) = &self.filter else { return Ok(()) };
        let at = self.reader.footer().filter.offset;
        if !filter.may_contain(key_hash(key)) {
            return Err(self.wrong(at, "the filter does not know a key"));
        }
        let rule = self.reader.properties().prefixes.get(&Keyspace::of(key)).copied().unwrap_or_default();
        if let Some(prefix) = rule.prefix(key)
            && self.last_prefix != prefix
        {
            if !filter.may_contain(prefix_hash(prefix)) {
                return Err(self.wrong(at, "the filter does not know a prefix"));
            }
            self.last_prefix = prefix.to_vec();
        }
        Ok(())
    }

    /// Counts the range tombstones and widens the bounds by them; returns the upper one.
    fn add_range_tombstones(&mut self) -> TableBound {
        let found = &mut self.found;
        let last = self.last.take().unwrap_or_default().0;
        let mut largest = TableBound { key: last, exclusive: false };
        let Some(ranges) = self.reader.range_tombstones() else { return largest };
        for tombstone in ranges.iter() {
            found.range_tombstones += 1;
            found.timestamp_min = found.timestamp_min.min(tombstone.timestamp);
            found.timestamp_max = found.timestamp_max.max(tombstone.timestamp);
        }
        if let (Some(first), Some(last)) = (ranges.fragments().first(), ranges.fragments().last()) {
            if found.entries == 0 || first.start < found.smallest {
                found.smallest.clone_from(&first.start);
            }
            if found.entries == 0 || last.end > largest.key {
                largest = TableBound { key: last.end.clone(), exclusive: true };
            }
        }
        largest
    }

    fn compare_with_properties(&self, largest: &TableBound) -> Result<()> {
        let (found, said) = (&self.found, self.reader.properties());
        let numbers = [
            ("entries", found.entries, said.entries),
            ("tombstones", found.deletes, said.deletes),
            ("range tombstones", found.range_tombstones, said.range_tombstones),
            ("bytes of keys", found.key_bytes, said.key_bytes),
            ("bytes of values", found.value_bytes, said.value_bytes),
            ("oldest timestamp", found.timestamp_min.0, said.timestamp_min.0),
            ("newest timestamp", found.timestamp_max.0, said.timestamp_max.0),
            ("data blocks", found.data_blocks, said.data_blocks),
        ];
        self.compare("its properties say", &numbers)?;
        if (&found.smallest, &largest.key) != (&said.smallest, &said.largest) {
            return Err(self.differs("its keys end elsewhere than its properties say"));
        }
        Ok(())
    }

    fn compare_with_manifest(&self, meta: &TableMeta, largest: &TableBound) -> Result<()> {
        let found = &self.found;
        // The timestamp that files get when they are installed is in the manifest alone.
        let (oldest, newest) = match meta.fixed_timestamp {
            Some(fixed) => (fixed, fixed),
            None => (found.timestamp_min, found.timestamp_max),
        };
        let numbers = [
            ("entries", found.entries, meta.entries),
            ("tombstones", found.deletes, meta.tombstones),
            ("range tombstones", found.range_tombstones, meta.range_tombstones),
            ("oldest timestamp", oldest.0, meta.oldest.0),
            ("newest timestamp", newest.0, meta.newest.0),
        ];
        self.compare("the manifest says", &numbers)?;
        if (&found.smallest, largest) != (&meta.smallest, &meta.largest) {
            return Err(self.differs("its keys end elsewhere than the manifest says"));
        }
        let said: BTreeMap<FileId, u64> = meta.blob_references.iter().copied().collect();
        if self.references != said {
            let detail =
                format!("it refers to {:?} in blob files, the manifest says {said:?}", self.references);
            return Err(self.differs(detail));
        }
        Ok(())
    }

    fn compare(&self, who: &str, numbers: &[(&str, u64, u64)]) -> Result<()> {
        match numbers.iter().find(|(_, found, said)| found != said) {
            None => Ok(()),
            Some((what, found, said)) => Err(self.differs(format!("{what}: it has {found}, {who} {said}"))),
        }
    }

    fn differs(&self, detail: impl Into<String>) -> Error {
        Error::corruption(self.reader.file().path(), self.reader.footer().properties.offset, detail)
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
