//! Reads an sstable: point lookups here, walks in [`super::cursor`].
//!
//! Opening reads footer, properties, index root, filter and range tombstones and keeps them; their bytes are charged to
//! the cache's budget. Data blocks and index partitions come through the cache, or past it for compaction.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cache::{BlockCache, Cached, Charge, FilterPart, Pinned};
use crate::coding::{Malformed, prefix_hash};
use crate::encryption::{FileCipher, KEY_BLOCK_BYTES, KeyedFile, StoreKeys};
use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::file_id::FileId;
use crate::keyspace::Keyspace;
use crate::options::ReadMode;
use crate::range_tombstone::{RangeTombstone, RangeTombstones};
use crate::sstable::block::{Block, BlockBytes, Position};
use crate::sstable::filter::{Filter, FilterBlock};
use crate::sstable::footer::{BlockHandle, FOOTER_BYTES, Footer};
use crate::sstable::open_files::{OpenFiles, Slot};
use crate::sstable::properties::Properties;
use crate::sstable::sealed::{BlockType, Unsealed, unseal};
use crate::timestamp::Timestamp;
use crate::value_slice::ValueSlice;
use crate::vfs::{MappedBytes, Vfs};

/// A value shorter than this part of its block is copied rather than pinning the block.
const SHARE_OF_BLOCK_MIN: usize = 64;

/// Opens the files of one tablet.
pub struct FileOpener {
    /// Where files come from.
    pub vfs: Arc<dyn Vfs>,
    /// The tablet's directory.
    pub directory: PathBuf,
    /// Shared by all files of the store.
    pub cache: Arc<BlockCache>,
    /// How they are read.
    pub read_mode: ReadMode,
    /// Which of them are open.
    pub open_files: Arc<OpenFiles>,
    /// Wraps their keys; `None` when they have none.
    pub keys: Option<Arc<StoreKeys>>,
}

impl FileOpener {
    /// The cipher of a new file and the key block to store in it; neither where nothing is encrypted.
    pub fn new_file_key(
        &self,
        path: &Path,
        kind: KeyedFile,
        file_id: FileId,
    ) -> Result<(Option<FileCipher>, Vec<u8>)> {
        let Some(keys) = &self.keys else { return Ok((None, Vec::new())) };
        let (cipher, block) = keys.new_file(&*self.vfs, path, kind, file_id.0)?;
        Ok((Some(cipher), block))
    }
}

impl std::fmt::Debug for FileOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileOpener({})", self.directory.display())
    }
}

/// An open file of sealed blocks: an sstable's or a blob file's.
pub struct BlockFile {
    vfs: Arc<dyn Vfs>,
    open_files: Arc<OpenFiles>,
    slot: Arc<Slot>,
    map: Option<MappedBytes>,
    path: PathBuf,
    file_id: FileId,
    file_bytes: u64,
    /// Decrypts its blocks, once its head or foot has said that they are encrypted.
    cipher: Option<FileCipher>,
    /// This open file's number in the cache.
    holder: u64,
    cache: Arc<BlockCache>,
}

/// Bytes of a file that were read at once.
pub struct Ahead {
    offset: u64,
    bytes: Vec<u8>,
    _charge: Charge,
}

impl Ahead {
    /// A block's part, if all of it is there.
    pub fn bytes_of(&self, handle: BlockHandle) -> Option<&[u8]> {
        let start = usize::try_from(handle.offset.checked_sub(self.offset)?).ok()?;
        self.bytes.get(start..start.checked_add(handle.length as usize)?)
    }
}

/// Whether a read goes through the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Looks there first and leaves there what it read.
    Through,
    /// Neither: a compaction reads everything once.
    Past,
}

impl BlockFile {
    /// Opens a file and checks its length, before anything is mapped or believed.
    pub fn open(opener: &FileOpener, path: PathBuf, file_id: FileId, file_bytes: u64) -> Result<BlockFile> {
        let io = |operation: &'static str| {
            let path = path.clone();
            move |error| Error::io(operation, &path, error)
        };
        let slot = opener.open_files.open(&*opener.vfs, &path).map_err(io("open"))?;
        let file = opener.open_files.get(&*opener.vfs, &slot).map_err(io("open"))?;
        let found = file.len().map_err(io("measure"))?;
        if found != file_bytes {
            let detail = format!("file is {found} bytes long, the manifest says {file_bytes}");
            return Err(Error::corruption(&path, found.min(file_bytes), detail));
        }
        let map = match opener.read_mode {
            ReadMode::Pread => None,
            ReadMode::Mmap => file.map().map_err(io("map"))?,
        };
        let holder = opener.cache.draw_holder();
        let cache = Arc::clone(&opener.cache);
        let (vfs, open_files) = (Arc::clone(&opener.vfs), Arc::clone(&opener.open_files));
        Ok(BlockFile { vfs, open_files, slot, map, path, file_id, file_bytes, cipher: None, holder, cache })
    }

    /// Takes the file's key from the key block at `offset`, if it is `encrypted`. In an encrypted store every file is.
    pub fn unlock(
        &mut self,
        opener: &FileOpener,
        kind: KeyedFile,
        encrypted: bool,
        offset: u64,
    ) -> Result<()> {
        let wrong = |what| Err(self.corruption(offset, Malformed(what)));
        let keys = match (&opener.keys, encrypted) {
            (None, false) => return Ok(()),
            (None, true) => return wrong("the file is encrypted and the store is not"),
            (Some(_), false) => return wrong("the file is not encrypted and the store is"),
            (Some(keys), true) => keys,
        };
        let block = self.read(offset, KEY_BLOCK_BYTES)?;
        let cipher = keys.open_file(kind, self.file_id.0, &block);
        self.cipher = Some(cipher.map_err(|malformed| self.corruption(offset, malformed))?);
        Ok(())
    }

    /// The error for wrong bytes at `offset`.
    pub fn corruption(&self, offset: u64, malformed: Malformed) -> Error {
        Error::corruption(&self.path, offset, malformed.0)
    }

    /// The path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The cache it reads through, and its number there.
    pub fn cache(&self) -> (&BlockCache, u64) {
        (&self.cache, self.holder)
    }

    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let file = self.open_files.get(&*self.vfs, &self.slot);
        let file = file.map_err(|error| Error::io("open", &self.path, error))?;
        file.read_exact_at(offset, &mut bytes).map_err(|error| Error::io("read", &self.path, error))?;
        Ok(bytes)
    }

    /// Reads and checks one sealed block; its bytes before compression.
    pub fn read_sealed(&self, handle: BlockHandle, block_type: BlockType) -> Result<BlockBytes> {
        if handle.end().is_none_or(|end| end > self.file_bytes) {
            return Err(self.corruption(handle.offset, Malformed("a block handle reaches past the file")));
        }
        let length = handle.length as usize;
        let wrong = |malformed| self.corruption(handle.offset, malformed);
        let cipher = self.cipher.as_ref();
        if let Some(map) = &self.map {
            let start = usize::try_from(handle.offset).unwrap_or(usize::MAX);
            let sealed = (**map).as_ref().get(start..start.saturating_add(length)).unwrap_or_default();
            return match unseal(sealed, block_type, self.file_id.0, handle.offset, cipher).map_err(wrong)? {
                Unsealed::Same(raw) => Ok(BlockBytes::Mapped(Arc::clone(map), start..start + raw.len())),
                Unsealed::Decoded(raw) => Ok(BlockBytes::Heap(raw)),
            };
        }
        let mut sealed = self.read(handle.offset, length)?;
        let kept = match unseal(&sealed, block_type, self.file_id.0, handle.offset, cipher).map_err(wrong)? {
            Unsealed::Same(raw) => raw.len(),
            Unsealed::Decoded(raw) => return Ok(BlockBytes::Heap(raw)),
        };
        sealed.truncate(kept);
        Ok(BlockBytes::Heap(sealed.into_boxed_slice()))
    }

    fn parse_block(&self, handle: BlockHandle, block_type: BlockType) -> Result<Arc<Block>> {
        let bytes = self.read_sealed(handle, block_type)?;
        let block = Block::parse(bytes).map_err(|malformed| self.corruption(handle.offset, malformed))?;
        Ok(Arc::new(block.charged(&self.cache)))
    }

    /// A part of the filter, through the cache.
    fn filter_part(&self, handle: BlockHandle) -> Result<Arc<FilterPart>> {
        if let Some(Cached::Filter(part)) = self.cache.get(self.holder, handle.offset) {
            return Ok(part);
        }
        self.cache.admit_load(u64::from(handle.length))?;
        let bytes = self.read_sealed(handle, BlockType::Filter)?;
        let wrong = |malformed| self.corruption(handle.offset, malformed);
        let filter = Filter::parse(bytes.as_slice()).map_err(wrong)?;
        // The directory is of a kind this build knows, and its parts are of one it knows as well.
        let filter = filter.ok_or_else(|| wrong(Malformed("a part of a filter of an unknown kind")))?;
        let charge = self.cache.charge(filter.memory_bytes() as u64);
        let part = Arc::new(FilterPart::new(filter, charge));
        self.cache.insert(self.holder, handle.offset, Cached::Filter(Arc::clone(&part)));
        Ok(part)
    }

    /// A block that is cached.
    pub fn cached(&self, handle: BlockHandle) -> Option<Arc<Block>> {
        match self.cache.get(self.holder, handle.offset) {
            Some(Cached::Block(block)) => Some(block),
            _ => None,
        }
    }

    /// Whether the file is mapped: the system reads ahead then.
    pub fn is_mapped(&self) -> bool {
        self.map.is_some()
    }

    /// Reads the bytes from `handle` on, about `length` and the whole block at least; less where memory is short.
    pub fn read_ahead(&self, handle: BlockHandle, length: u64, caching: Caching) -> Result<Ahead> {
        let least = u64::from(handle.length);
        let mut length = length.max(least);
        if caching == Caching::Through && self.cache.admit_load(2 * length).is_err() {
            length = least;
            self.cache.admit_load(2 * length)?;
        }
        let left = self.file_bytes.saturating_sub(handle.offset);
        let length = length.min(left);
        let bytes = self.read(handle.offset, usize::try_from(length).unwrap_or(usize::MAX))?;
        let charge = self.cache.charge(length);
        Ok(Ahead { offset: handle.offset, bytes, _charge: charge })
    }

    /// A parsed block out of what was read ahead.
    pub fn block_from(
        &self,
        ahead: &Ahead,
        handle: BlockHandle,
        block_type: BlockType,
        caching: Caching,
    ) -> Result<Arc<Block>> {
        let wrong = |malformed| self.corruption(handle.offset, malformed);
        let sealed =
            ahead.bytes_of(handle).ok_or(Malformed("a block handle reaches past the file")).map_err(wrong)?;
        let unsealed = unseal(sealed, block_type, self.file_id.0, handle.offset, self.cipher.as_ref());
        let bytes = match unsealed.map_err(wrong)? {
            Unsealed::Same(raw) => BlockBytes::Heap(raw.into()),
            Unsealed::Decoded(raw) => BlockBytes::Heap(raw),
        };
        let block = Arc::new(Block::parse(bytes).map_err(wrong)?.charged(&self.cache));
        if caching == Caching::Through {
            self.cache.insert(self.holder, handle.offset, Cached::Block(Arc::clone(&block)));
        }
        Ok(block)
    }

    /// A parsed block.
    pub fn block(&self, handle: BlockHandle, block_type: BlockType, caching: Caching) -> Result<Arc<Block>> {
        if caching == Caching::Past {
            return self.parse_block(handle, block_type);
        }
        if let Some(block) = self.cached(handle) {
            return Ok(block);
        }
        self.cache.admit_load(u64::from(handle.length) + size_of::<Block>() as u64)?;
        let block = self.parse_block(handle, block_type)?;
        self.cache.insert(self.holder, handle.offset, Cached::Block(Arc::clone(&block)));
        Ok(block)
    }
}

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
        write!(f, "TableReader({})", self.file.path.display())
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
        let footer = Footer::read(&tail, &file.path, file_bytes, file_id.0)?;
        let key_at = file_bytes.saturating_sub((FOOTER_BYTES + KEY_BLOCK_BYTES) as u64);
        file.unlock(opener, KeyedFile::Sstable, footer.encrypted, key_at)?;
        let root = file.parse_block(footer.index, BlockType::TopIndex)?;
        let properties = file.read_sealed(footer.properties, BlockType::Properties)?;
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
        let bytes = file.read_sealed(handle, BlockType::Filter)?;
        FilterBlock::parse(bytes.as_slice()).map_err(|malformed| file.corruption(handle.offset, malformed))
    }

    fn read_range_tombstones(file: &BlockFile, handle: BlockHandle) -> Result<Option<Arc<RangeTombstones>>> {
        if !handle.exists() {
            return Ok(None);
        }
        let block = file.parse_block(handle, BlockType::RangeTombstones)?;
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

    /// Whether a key of this hash may be in it; `false` is certain.
    #[inline]
    pub fn may_contain(&self, key_hash: u64) -> Result<bool> {
        match &self.filter {
            None => Ok(true),
            Some(FilterBlock::Whole(filter)) => Ok(filter.may_contain(key_hash)),
            Some(FilterBlock::Parts(parts)) => {
                let Some(handle) = parts.handle_of(key_hash) else { return Ok(true) };
                Ok(self.file.filter_part(handle)?.filter().may_contain(key_hash))
            }
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
        Ok(self.found(&block, block.seek(target), key))
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
        let mut index = Arc::clone(&self.root);
        if self.index_levels == 2 {
            let at = index.seek(target);
            if at == index.entries() {
                return Ok(None);
            }
            index = self.file.block(self.handle_at(&index, at)?, BlockType::Index, Caching::Through)?;
        }
        let at = index.seek(target);
        if at == index.entries() {
            return Ok(None);
        }
        self.file.block(self.handle_at(&index, at)?, BlockType::Data, Caching::Through).map(Some)
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
    if range.len() * SHARE_OF_BLOCK_MIN < block.bytes().len() {
        return ValueSlice::copied(block.value(at));
    }
    ValueSlice::shared(block, range)
}
