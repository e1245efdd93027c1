//! Reads an sstable: point lookups here, walks in [`super::cursor`].
//!
//! Opening reads footer, properties, index root, filter and range tombstones and keeps them; their bytes are charged to
//! the cache's budget. Data blocks and index partitions come through the cache, or past it for compaction.

use std::sync::Arc;

use crate::cache::Pinned;
use crate::coding::{Malformed, prefix_hash};
use crate::encryption::{KEY_BLOCK_BYTES, KeyedFile};
use crate::entry::ValueKind;
use crate::error::Result;
use crate::file_id::FileId;
use crate::keyspace::Keyspace;
use crate::range_tombstone::{RangeTombstone, RangeTombstones};
use crate::sstable::block::{Block, Position};
use crate::sstable::block_file::{BlockFile, Caching, FileOpener};
use crate::sstable::filter::{Filter, FilterBlock, LoadedFilter};
use crate::sstable::footer::{BlockHandle, FOOTER_BYTES, Footer};
use crate::sstable::properties::Properties;
use crate::sstable::sealed::BlockType;
use crate::timestamp::Timestamp;
use crate::value_slice::ValueSlice;

/// A value shorter than this part of its block is copied rather than pinning the block.
const SHARE_OF_BLOCK_MIN: usize = 64;

/// A version of a key found in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundVersion {
    /// When it was committed.
    pub timestamp: Timestamp,
    /// Put, delete or blob handle.
    pub kind: ValueKind,
    /// The value or the handle.
    pub value: ValueSlice,
}

/// An open sstable.
pub struct TableReader {
    pub(super) file: BlockFile,
    pub(super) root: Arc<Block>,
    pub(super) index_levels: u8,
    filter: Option<FilterBlock>,
    range_tombstones: Option<Arc<RangeTombstones>>,
    properties: Properties,
    footer: Footer,
    /// The timestamp of every entry, for an ingested table: see [`crate::manifest::TableMeta`].
    pub(super) fixed: Option<Timestamp>,
    _pinned: Pinned,
}

impl std::fmt::Debug for TableReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TableReader({})", self.file.path().display())
    }
}

impl TableReader {
    /// Opens the sstable `file_id`, which is `file_bytes` long.
    pub fn open(opener: &FileOpener, file_id: FileId, file_bytes: u64) -> Result<TableReader> {
        let path = file_id.sstable_path(&opener.directory);
        let mut file = BlockFile::open(opener, path, file_id, file_bytes)?;
        if file_bytes < FOOTER_BYTES as u64 {
            return Err(file.corruption(0, Malformed("file is shorter than an sstable's footer")));
        }
        let tail = file.read(file_bytes - FOOTER_BYTES as u64, FOOTER_BYTES)?;
        let footer = Footer::read(&tail, file.path(), file_bytes, file_id.0)?;
        let key_at = file_bytes.saturating_sub((FOOTER_BYTES + KEY_BLOCK_BYTES) as u64);
        file.unlock(opener, KeyedFile::Sstable, footer.encrypted, key_at)?;
        let root = Arc::new(file.parse(footer.index, BlockType::TopIndex, Caching::Through)?);
        let properties = file.read_sealed(footer.properties, BlockType::Properties, Caching::Through)?;
        let properties = Properties::parse(properties.as_slice())
            .map_err(|malformed| file.corruption(footer.properties.offset, malformed))?;
        let filter = Self::read_filter(&file, footer.filter)?;
        let range_tombstones = Self::read_range_tombstones(&file, footer.range_tombstones)?;
        let pinned = root.memory_bytes()
            + filter.as_ref().map_or(0, FilterBlock::memory_bytes)
            + range_tombstones.as_ref().map_or(0, |ranges| ranges.memory_bytes())
            + size_of::<TableReader>();
        let pinned = opener.cache.pin(pinned as u64)?;
        let index_levels = footer.index_levels;
        Ok(TableReader {
            file,
            root,
            index_levels,
            filter,
            range_tombstones,
            properties,
            footer,
            fixed: None,
            _pinned: pinned,
        })
    }

    /// The same table with every entry at `fixed`, if there is such a timestamp.
    pub fn at(mut self, fixed: Option<Timestamp>) -> TableReader {
        self.fixed = fixed;
        if let (Some(timestamp), Some(ranges)) = (fixed, &self.range_tombstones) {
            let moved = ranges.iter().map(|range| RangeTombstone { timestamp, ..range });
            self.range_tombstones = Some(Arc::new(RangeTombstones::new(moved)));
        }
        self
    }

    /// A target as the file's own timestamps have it.
    #[inline]
    pub(super) fn stored<'a>(&self, target: Position<'a>) -> Position<'a> {
        match self.fixed {
            None => target,
            Some(fixed) if target.timestamp >= fixed => Position { timestamp: Timestamp::MAX, ..target },
            Some(_) => Position { timestamp: Timestamp::ZERO, ..target },
        }
    }

    fn read_filter(file: &BlockFile, handle: BlockHandle) -> Result<Option<FilterBlock>> {
        if !handle.exists() {
            return Ok(None);
        }
        let bytes = file.read_sealed(handle, BlockType::Filter, Caching::Through)?;
        FilterBlock::parse(bytes.as_slice()).map_err(|malformed| file.corruption(handle.offset, malformed))
    }

    fn read_range_tombstones(file: &BlockFile, handle: BlockHandle) -> Result<Option<Arc<RangeTombstones>>> {
        if !handle.exists() {
            return Ok(None);
        }
        let block = file.parse(handle, BlockType::RangeTombstones, Caching::Through)?;
        let mut all = Vec::with_capacity(block.entries());
        for index in 0..block.entries() {
            let mut start = Vec::new();
            block.append_key(index, &mut start);
            let tombstone =
                RangeTombstone { start, end: block.value(index).to_vec(), timestamp: block.timestamp(index) };
            if block.kind(index) != ValueKind::RangeDelete || tombstone.start >= tombstone.end {
                return Err(file.corruption(handle.offset, Malformed("a range tombstone without a range")));
            }
            all.push(tombstone);
        }
        Ok(Some(Arc::new(RangeTombstones::new(all))))
    }

    /// Its figures.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Its footer.
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// The file under it.
    pub fn file(&self) -> &BlockFile {
        &self.file
    }

    /// Its range tombstones, if it has any.
    pub fn range_tombstones(&self) -> Option<&Arc<RangeTombstones>> {
        self.range_tombstones.as_ref()
    }

    /// The filter, all of it read anew; `None` where there is none, or one of a kind this build does not know.
    pub(super) fn load_filter(&self) -> Result<Option<LoadedFilter>> {
        let handle = self.footer.filter;
        if !handle.exists() {
            return Ok(None);
        }
        let read = |handle: BlockHandle| self.file.read_sealed(handle, BlockType::Filter, Caching::Past);
        let wrong = |handle: BlockHandle, malformed| self.file.corruption(handle.offset, malformed);
        let block = FilterBlock::parse(read(handle)?.as_slice()).map_err(|bad| wrong(handle, bad))?;
        let parts = match block {
            None => return Ok(None),
            Some(FilterBlock::Whole(filter)) => return Ok(Some(LoadedFilter::new(vec![filter]))),
            Some(FilterBlock::Parts(parts)) => parts,
        };
        let mut filters = Vec::with_capacity(parts.handles().len());
        for &handle in parts.handles() {
            let part = Filter::parse(read(handle)?.as_slice()).map_err(|bad| wrong(handle, bad))?;
            let unknown = || wrong(handle, Malformed("a part of a filter of an unknown kind"));
            filters.push(part.ok_or_else(unknown)?);
        }
        Ok(Some(LoadedFilter::new(filters)))
    }

    /// Whether a key of this hash may be in it; `false` is certain.
    #[inline]
    pub fn may_contain(&self, key_hash: u64) -> Result<bool> {
        let may_contain = match &self.filter {
            None => return Ok(true),
            Some(FilterBlock::Whole(filter)) => filter.may_contain(key_hash),
            Some(FilterBlock::Parts(parts)) => {
                let Some(handle) = parts.handle_of(key_hash) else { return Ok(true) };
                self.file.filter_part(handle)?.filter().may_contain(key_hash)
            }
        };
        self.file.cache().0.counters.note_question(!may_contain);
        Ok(may_contain)
    }

    /// Counts a key that the filter has let through and that is not here.
    fn note_mistake(&self) {
        if self.filter.is_some() {
            self.file.cache().0.counters.note_mistake();
        }
    }

    /// Whether a key in `[lower, upper)` may be in it, as far as the filter knows prefixes; `false` is certain. The filter
    /// helps when all keys of the range share a prefix of the length the table was written with.
    pub fn may_contain_range(&self, lower: Option<&[u8]>, upper: Option<&[u8]>) -> Result<bool> {
        let (Some(lower), Some(upper), Some(_)) = (lower, upper, &self.filter) else { return Ok(true) };
        let rule = self.properties.prefixes.get(&Keyspace::of(lower)).copied().unwrap_or_default();
        match rule.prefix(lower) {
            Some(prefix) if all_below_start_with(prefix, upper) => self.may_contain(prefix_hash(prefix)),
            _ => Ok(true),
        }
    }

    /// The handle in entry `at` of an index block.
    pub(super) fn handle_at(&self, index: &Block, at: usize) -> Result<BlockHandle> {
        BlockHandle::read(index.value(at)).ok_or_else(|| {
            self.file.corruption(self.footer.index.offset, Malformed("an index entry is no handle"))
        })
    }

    /// The block that entry `at` of an index block leads to.
    pub(super) fn block_at(
        &self,
        index: &Arc<Block>,
        at: usize,
        block_type: BlockType,
        caching: Caching,
    ) -> Result<Arc<Block>> {
        if let Some(block) = self.resident(index, at, caching)? {
            return Ok(block);
        }
        let block = self.file.block(self.handle_at(index, at)?, block_type, caching)?;
        if caching == Caching::Through
            && let Some(children) = index.children()
        {
            children.set(index, at, &block);
        }
        Ok(block)
    }

    /// The block that entry `at` of an index block leads to, if it was found from there before and is cached.
    #[inline]
    pub(super) fn resident(&self, index: &Block, at: usize, caching: Caching) -> Result<Option<Arc<Block>>> {
        let known = index.children().filter(|_| caching == Caching::Through);
        let Some(block) = known.and_then(|children| children.get(at)) else { return Ok(None) };
        let cache = self.file.cache().0;
        if !block.home().is_told(cache) {
            cache.counters.note_asked(true);
            return Ok(Some(block));
        }
        // Not there although it is in memory: somebody still reads it, and the cache has let it go.
        let handle = self.handle_at(index, at)?;
        Ok(Some(self.file.cached(handle).unwrap_or(block)))
    }

    /// Takes what was read of the table out of the cache, for a table whose file goes: nobody will ask for it again. What
    /// lies behind a part of the index that is not cached itself is left to age.
    pub fn forget(&self) {
        self.forget_behind(&self.root, self.index_levels);
        if let Some(FilterBlock::Parts(parts)) = &self.filter {
            parts.handles().iter().for_each(|handle| self.file.forget(*handle));
        }
    }

    fn forget_behind(&self, index: &Block, levels: u8) {
        for handle in (0..index.entries()).filter_map(|at| BlockHandle::read(index.value(at))) {
            if levels > 1
                && let Some(leaf) = self.file.cached(handle)
            {
                self.forget_behind(&leaf, levels - 1);
            }
            self.file.forget(handle);
        }
    }

    /// The root of the index.
    pub fn index_root(&self) -> &Block {
        &self.root
    }

    /// All handles in an index block.
    pub fn index_handles(&self, index: &Block) -> Result<Vec<BlockHandle>> {
        (0..index.entries()).map(|at| self.handle_at(index, at)).collect()
    }

    /// The newest version of `key` at or below `visible`. Range tombstones are asked for apart; the filter has been
    /// asked already.
    pub fn get(&self, key: &[u8], visible: Timestamp) -> Result<Option<FoundVersion>> {
        let target = self.stored(Position { key, timestamp: visible });
        let Some(block) = self.block_of(target)? else { return Ok(None) };
        let found = self.found(&block, block.seek(target), key);
        if found.is_none() {
            self.note_mistake();
        }
        Ok(found)
    }

    /// As `get`, the filter included. `near` is the block the last answer came from: when keys are asked for in ascending
    /// order, those in the same block need neither filter nor index nor cache.
    pub fn get_near(
        &self,
        key: &[u8],
        key_hash: u64,
        visible: Timestamp,
        near: &mut Option<Arc<Block>>,
    ) -> Result<Option<FoundVersion>> {
        let target = self.stored(Position { key, timestamp: visible });
        if let Some(block) = near {
            let at = block.seek(target);
            // Not past the end of the block, and not before the key asked for last, which was in it.
            if at < block.entries() {
                return Ok(self.found(block, at, key));
            }
        }
        if !self.may_contain(key_hash)? {
            return Ok(None);
        }
        let Some(block) = self.block_of(target)? else { return Ok(None) };
        let found = self.found(&block, block.seek(target), key);
        if found.is_none() {
            self.note_mistake();
        }
        *near = Some(block);
        Ok(found)
    }

    /// The version at `at` of a block, if it is one of `key`.
    fn found(&self, block: &Arc<Block>, at: usize, key: &[u8]) -> Option<FoundVersion> {
        // Past the block's end means between it and the next: no key with this prefix order is there.
        if at == block.entries() || !block.key_equals(at, key) {
            return None;
        }
        let (timestamp, kind) = (self.fixed.unwrap_or(block.timestamp(at)), block.kind(at));
        Some(FoundVersion { timestamp, kind, value: slice_value(Arc::clone(block), at) })
    }

    /// The data block in which the first entry at or after `target` is, if there is one.
    fn block_of(&self, target: Position<'_>) -> Result<Option<Arc<Block>>> {
        let at = self.root.seek(target);
        if at == self.root.entries() {
            return Ok(None);
        }
        if self.index_levels == 1 {
            return self.block_at(&self.root, at, BlockType::Data, Caching::Through).map(Some);
        }
        let index = self.block_at(&self.root, at, BlockType::Index, Caching::Through)?;
        let at = index.seek(target);
        if at == index.entries() {
            return Ok(None);
        }
        self.block_at(&index, at, BlockType::Data, Caching::Through).map(Some)
    }
}

/// Whether every key from `prefix` up to `upper` starts with `prefix`.
fn all_below_start_with(prefix: &[u8], upper: &[u8]) -> bool {
    if upper.starts_with(prefix) {
        return true;
    }
    // The first key that no longer starts with the prefix: the prefix with its last byte below 255 raised.
    let Some(last) = prefix.iter().rposition(|&byte| byte < 0xff) else { return false };
    let (Some(head), Some(&byte)) = (prefix.get(..last), prefix.get(last)) else { return false };
    match upper.split_at_checked(last) {
        Some((start, rest)) => start == head && rest == [byte + 1],
        None => false,
    }
}

/// The value of entry `at`: a share of the block, or a copy when it is a small part of it.
pub(super) fn slice_value(block: Arc<Block>, at: usize) -> ValueSlice {
    let range = block.value_range(at);
    if range.len() < block.bytes().len() / SHARE_OF_BLOCK_MIN {
        return ValueSlice::copied(block.value(at));
    }
    ValueSlice::shared(block, range)
}
