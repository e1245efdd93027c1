//! Writes an sstable from front to end: data blocks as they fill, then filter, range tombstones, index, properties,
//! footer.
//!
//! Entries must come in strict order; anything else is refused, because a table out of order would answer wrongly for as
//! long as it lives. An index entry is written when the first key of the next block is known, so that it can be the
//! shortest key that tells the two apart. When the index outgrows one block it is cut into partitions, written between
//! the data blocks, and a root over them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3Default;

use crate::coding::{key_hash, prefix_hash};
use crate::encryption::KeyedFile;
use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::file_id::FileId;
use crate::keyspace::{Keyspace, PrefixRule};
use crate::manifest::{TableBound, TableMeta};
use crate::options::{Compression, FilterKind, StoreOptions};
use crate::range_tombstone::{RangeTombstone, RangeTombstones};
use crate::sstable::block_builder::{BlockBuilder, shortest_separator};
use crate::sstable::block_file::FileOpener;
use crate::sstable::filter::{FilterBuilder, FilterParts};
use crate::sstable::footer::{BlockHandle, Footer};
use crate::sstable::properties::Properties;
use crate::sstable::sealed::{BlockType, Compressor};
use crate::sstable::write_back::WriteBack;
use crate::timestamp::Timestamp;
use crate::vfs::VfsFile;

/// Bytes gathered before they are handed to the file.
const WRITE_BYTES: usize = 256 << 10;
/// A block with this many tombstones is dense, whatever else is in it.
const DENSE_TOMBSTONES: usize = 100;

/// How a table is laid out.
#[derive(Clone, Debug)]
pub struct TableFormat {
    /// Uncompressed size at which a data block is cut.
    pub block_bytes: usize,
    /// Entries of a data block that share one prefix.
    pub restart_interval: u16,
    /// For data and index blocks.
    pub compression: Compression,
    /// Bits of filter per key, `None` for no filter.
    pub filter_bits_per_key: Option<u32>,
    /// A larger filter is cut into parts of this size.
    pub filter_part_bytes: usize,
    /// A larger index is cut into partitions of this size.
    pub index_part_bytes: usize,
    /// Which prefixes go into the filter.
    pub prefixes: BTreeMap<Keyspace, PrefixRule>,
    /// Bytes after which what has been written is sent to the disk; `None`: at the end.
    pub sync_every_bytes: Option<u64>,
}

impl TableFormat {
    /// What the options say for a table in `level`.
    pub fn for_level(options: &StoreOptions, level: usize) -> TableFormat {
        let prefixes = options.keyspaces.iter().map(|(&keyspace, options)| (keyspace, options.prefix));
        let bits = u32::try_from(options.filter_bits_per_key).unwrap_or(u32::MAX);
        TableFormat {
            block_bytes: if level < 2 { options.block_bytes_upper } else { options.block_bytes_lower },
            restart_interval: u16::try_from(options.restart_interval).unwrap_or(u16::MAX),
            compression: options.compression.get(level).copied().unwrap_or(Compression::None),
            filter_bits_per_key: (options.filter == FilterKind::BlockedBloom && bits > 0).then_some(bits),
            filter_part_bytes: options.filter_part_bytes,
            index_part_bytes: options.index_part_bytes,
            prefixes: prefixes.filter(|(_, rule)| *rule != PrefixRule::None).collect(),
            sync_every_bytes: options.sync_every_bytes,
        }
    }
}

/// The end of a finished data block, until the next key tells what separates them.
struct Pending {
    handle: BlockHandle,
    last_key: Vec<u8>,
    last_timestamp: Timestamp,
}

/// A table under construction. Dropped without `finish`, it leaves a file nobody refers to.
pub struct TableWriter {
    output: Output,
    file_id: FileId,
    format: TableFormat,
    raw: Vec<u8>,
    data: BlockBuilder,
    data_tombstones: usize,
    index: BlockBuilder,
    root: BlockBuilder,
    pending: Option<Pending>,
    separator: Vec<u8>,
    filter: Option<FilterBuilder>,
    last_prefix: Vec<u8>,
    ranges: Vec<RangeTombstone>,
    last_key: Vec<u8>,
    last_timestamp: Timestamp,
    properties: Properties,
    blob_references: BTreeMap<FileId, u64>,
}

impl TableWriter {
    /// Creates the file.
    pub fn create(opener: &FileOpener, file_id: FileId, format: TableFormat) -> Result<TableWriter> {
        let path = file_id.sstable_path(&opener.directory);
        let (cipher, key_block) = opener.new_file_key(&path, KeyedFile::Sstable, file_id)?;
        let file = opener.vfs.create(&path).map_err(|error| Error::io("create", &path, error))?;
        let filter = format.filter_bits_per_key.map(FilterBuilder::new);
        let properties = Properties {
            prefixes: format.prefixes.clone(),
            timestamp_min: Timestamp::MAX,
            ..Properties::default()
        };
        Ok(TableWriter {
            output: Output {
                file,
                path,
                file_id,
                compressor: Compressor::new(format.compression, cipher),
                key_block,
                buffer: Vec::new(),
                offset: 0,
                hasher: Xxh3Default::new(),
                write_back: WriteBack::new(format.sync_every_bytes),
            },
            file_id,
            data: BlockBuilder::with_groups(format.restart_interval),
            format,
            raw: Vec::new(),
            data_tombstones: 0,
            index: BlockBuilder::new(),
            root: BlockBuilder::new(),
            pending: None,
            separator: Vec::new(),
            filter,
            last_prefix: Vec::new(),
            ranges: Vec::new(),
            last_key: Vec::new(),
            last_timestamp: Timestamp::ZERO,
            properties,
            blob_references: BTreeMap::new(),
        })
    }

    /// Adds the next entry. `kind` is not a range delete.
    pub fn add(&mut self, key: &[u8], timestamp: Timestamp, kind: ValueKind, value: &[u8]) -> Result<()> {
        let first = self.properties.entries == 0;
        let same_key = !first && self.last_key == key;
        if !first && (key < self.last_key.as_slice() || (same_key && timestamp >= self.last_timestamp)) {
            return Err(Error::invalid(format!("sstable {}: entries out of order", self.file_id)));
        }
        if let Some(pending) = self.pending.take() {
            self.add_index_entry(pending, Some(key))?;
        }
        if !same_key {
            self.add_to_filter(key);
            self.last_key.clear();
            self.last_key.extend_from_slice(key);
        }
        self.last_timestamp = timestamp;
        if kind == ValueKind::Delete {
            self.properties.deletes += 1;
            self.data_tombstones += 1;
        }
        if first {
            self.properties.smallest = key.to_vec();
        }
        self.properties.entries += 1;
        self.properties.key_bytes += key.len() as u64;
        self.properties.value_bytes += value.len() as u64;
        self.note_timestamp(timestamp);
        self.data.add(key, timestamp, kind, value);
        if self.data.size_estimate_bytes() >= self.format.block_bytes {
            self.finish_data_block()?;
        }
        Ok(())
    }

    /// Counts `value_bytes` of blob file `blob` as referred to by this table.
    pub fn note_blob(&mut self, blob: FileId, value_bytes: u64) {
        *self.blob_references.entry(blob).or_default() += value_bytes;
    }

    /// Adds a range tombstone; order does not matter. The caller has clipped it to the table's share of the key space.
    pub fn add_range_tombstone(&mut self, tombstone: RangeTombstone) {
        self.note_timestamp(tombstone.timestamp);
        self.ranges.push(tombstone);
    }

    fn note_timestamp(&mut self, timestamp: Timestamp) {
        self.properties.timestamp_min = self.properties.timestamp_min.min(timestamp);
        self.properties.timestamp_max = self.properties.timestamp_max.max(timestamp);
    }

    fn add_to_filter(&mut self, key: &[u8]) {
        let Some(filter) = &mut self.filter else { return };
        let rule = self.format.prefixes.get(&Keyspace::of(key)).copied().unwrap_or_default();
        if let Some(prefix) = rule.prefix(key)
            && self.last_prefix != prefix
        {
            filter.add(prefix_hash(prefix));
            self.last_prefix.clear();
            self.last_prefix.extend_from_slice(prefix);
        }
        filter.add(key_hash(key));
    }

    /// Bytes written or about to be, the current block included: what cutting tables by size goes by.
    pub fn size_estimate_bytes(&self) -> u64 {
        self.output.offset + self.data.size_estimate_bytes() as u64
    }

    /// The last user key added, unless nothing was.
    pub fn last_key(&self) -> Option<&[u8]> {
        (self.properties.entries > 0).then_some(self.last_key.as_slice())
    }

    /// Whether nothing at all was added.
    pub fn is_empty(&self) -> bool {
        self.properties.entries == 0 && self.ranges.is_empty()
    }

    fn finish_data_block(&mut self) -> Result<()> {
        let entries = self.data.entries();
        if entries == 0 {
            return Ok(());
        }
        self.properties.data_blocks += 1;
        if self.data_tombstones >= DENSE_TOMBSTONES || 2 * self.data_tombstones >= entries {
            self.properties.dense_blocks += 1;
        }
        self.data_tombstones = 0;
        let handle = write_block(&mut self.data, BlockType::Data, &mut self.raw, &mut self.output)?;
        self.pending =
            Some(Pending { handle, last_key: self.last_key.clone(), last_timestamp: self.last_timestamp });
        Ok(())
    }

    /// Points at a finished block with the shortest key between its last and `next`.
    fn add_index_entry(&mut self, pending: Pending, next: Option<&[u8]>) -> Result<()> {
        let mut handle = Vec::new();
        pending.handle.put(&mut handle);
        match next {
            Some(next) if next != pending.last_key => {
                // The oldest version of the separator: after every version of the last key.
                shortest_separator(&pending.last_key, next, &mut self.separator);
                self.index.add(&self.separator, Timestamp::ZERO, ValueKind::Put, &handle);
            }
            _ => self.index.add(&pending.last_key, pending.last_timestamp, ValueKind::Put, &handle),
        }
        if self.index.size_estimate_bytes() >= self.format.index_part_bytes {
            self.finish_index_partition()
        } else {
            Ok(())
        }
    }

    fn finish_index_partition(&mut self) -> Result<()> {
        if self.index.entries() == 0 {
            return Ok(());
        }
        let (last_key, last_timestamp) = (self.index.last_key().to_vec(), self.index.last_timestamp());
        let mut handle = Vec::new();
        write_block(&mut self.index, BlockType::Index, &mut self.raw, &mut self.output)?.put(&mut handle);
        self.root.add(&last_key, last_timestamp, ValueKind::Put, &handle);
        Ok(())
    }

    /// Completes the file and makes its bytes durable; its name is the caller's to make durable. `epoch` goes into the
    /// returned description.
    pub fn finish(mut self, epoch: u64) -> Result<TableMeta> {
        self.finish_data_block()?;
        if let Some(pending) = self.pending.take() {
            self.add_index_entry(pending, None)?;
        }
        let filter = self.put_filter()?;
        let ranges = RangeTombstones::new(std::mem::take(&mut self.ranges));
        let range_tombstones = self.put_range_tombstones(&ranges)?;
        let (index, index_levels) = self.put_index()?;
        let largest = self.bounds(&ranges);
        let properties = self.properties.encode();
        let properties = self.output.put(&properties, BlockType::Properties)?;
        let encrypted = !self.output.key_block.is_empty();
        let file_id = self.file_id.0;
        let footer = Footer { file_id, index, filter, range_tombstones, properties, index_levels, encrypted };
        let size_bytes = self.output.finish(&footer)?;
        Ok(TableMeta {
            file_id: self.file_id,
            size_bytes,
            checksum: self.output.hasher.digest128(),
            smallest: self.properties.smallest,
            largest,
            entries: self.properties.entries,
            tombstones: self.properties.deletes,
            range_tombstones: self.properties.range_tombstones,
            oldest: self.properties.timestamp_min,
            newest: self.properties.timestamp_max,
            epoch,
            fixed_timestamp: None,
            blob_references: self.blob_references.into_iter().collect(),
        })
    }

    /// Widens the bounds by the range tombstones; the upper one is exclusive when a tombstone sets it.
    fn bounds(&mut self, ranges: &RangeTombstones) -> TableBound {
        let mut largest = TableBound { key: self.last_key.clone(), exclusive: false };
        if let (Some(first), Some(last)) = (ranges.fragments().first(), ranges.fragments().last()) {
            if self.properties.entries == 0 || first.start < self.properties.smallest {
                self.properties.smallest = first.start.clone();
            }
            if self.properties.entries == 0 || last.end > largest.key {
                largest = TableBound { key: last.end.clone(), exclusive: true };
            }
        }
        self.properties.largest.clone_from(&largest.key);
        largest
    }

    /// Writes the filter, whole or as parts and their directory.
    fn put_filter(&mut self) -> Result<BlockHandle> {
        let Some(mut filter) = self.filter.take() else { return Ok(BlockHandle::default()) };
        let too_large = || Error::invalid(format!("sstable {}: the filter is too large", self.file_id));
        let blocks = filter.finish(self.format.filter_part_bytes).ok_or_else(too_large)?;
        let mut handles = Vec::with_capacity(blocks.len());
        for block in &blocks {
            handles.push(self.output.put(block, BlockType::Filter)?);
        }
        match handles.as_slice() {
            [] => Ok(BlockHandle::default()),
            [whole] => Ok(*whole),
            parts => {
                let directory = FilterParts::encode(parts).ok_or_else(too_large)?;
                self.output.put(&directory, BlockType::Filter)
            }
        }
    }

    fn put_range_tombstones(&mut self, ranges: &RangeTombstones) -> Result<BlockHandle> {
        if ranges.is_empty() {
            return Ok(BlockHandle::default());
        }
        let mut block = BlockBuilder::new();
        for tombstone in ranges.iter() {
            self.properties.range_tombstones += 1;
            block.add(&tombstone.start, tombstone.timestamp, ValueKind::RangeDelete, &tombstone.end);
        }
        write_block(&mut block, BlockType::RangeTombstones, &mut self.raw, &mut self.output)
    }

    fn put_index(&mut self) -> Result<(BlockHandle, u8)> {
        let levels = if self.root.entries() == 0 { 1 } else { 2 };
        if levels == 2 {
            self.finish_index_partition()?;
        }
        let root = if levels == 2 { &mut self.root } else { &mut self.index };
        let handle = write_block(root, BlockType::TopIndex, &mut self.raw, &mut self.output)?;
        Ok((handle, levels))
    }
}

/// The file as it grows: sealed blocks gather here and go out in large writes.
struct Output {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    file_id: FileId,
    compressor: Compressor,
    /// The file's wrapped key; empty when it has none.
    key_block: Vec<u8>,
    /// Not yet handed to the file.
    buffer: Vec<u8>,
    /// Where the next block goes.
    offset: u64,
    hasher: Xxh3Default,
    write_back: WriteBack,
}

impl Output {
    fn put(&mut self, raw: &[u8], block_type: BlockType) -> Result<BlockHandle> {
        let before = self.buffer.len();
        let offset = self.offset;
        let sealed = self.compressor.seal(raw, block_type, self.file_id.0, offset, &mut self.buffer);
        let length = u32::try_from(self.buffer.len() - before);
        let (Some(()), Ok(length)) = (sealed, length) else {
            return Err(Error::invalid(format!(
                "{}: a block of {} bytes is too large",
                self.path.display(),
                raw.len()
            )));
        };
        self.offset += u64::from(length);
        if self.buffer.len() >= WRITE_BYTES {
            self.write_out()?;
        }
        Ok(BlockHandle { offset, length })
    }

    fn write_out(&mut self) -> Result<()> {
        self.hasher.update(&self.buffer);
        self.file.append(&self.buffer).map_err(|error| Error::io("write", &self.path, error))?;
        let bytes = self.buffer.len();
        self.buffer.clear();
        self.write_back.note(&*self.file, &self.path, bytes)
    }

    /// Ends the file with `footer` and makes its bytes durable. Its length.
    fn finish(&mut self, footer: &Footer) -> Result<u64> {
        let before = self.buffer.len();
        self.buffer.extend_from_slice(&self.key_block);
        footer.put(&mut self.buffer);
        self.offset += (self.buffer.len() - before) as u64;
        self.write_out()?;
        self.file.sync().map_err(|error| Error::io("sync", &self.path, error))?;
        Ok(self.offset)
    }
}

fn write_block(
    builder: &mut BlockBuilder,
    block_type: BlockType,
    raw: &mut Vec<u8>,
    output: &mut Output,
) -> Result<BlockHandle> {
    let too_large = || Error::invalid(format!("{}: a block passes 4 GiB", output.path.display()));
    builder.finish(raw).ok_or_else(too_large)?;
    output.put(raw, block_type)
}
