//! A file of sealed blocks, open: reads its blocks through the block cache or past it. Sstables and blob files are such.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::cache::{BlockCache, Cached, Charge, FilterPart};
use crate::coding::Malformed;
use crate::encryption::{FileCipher, KEY_BLOCK_BYTES, KeyedFile, StoreKeys};
use crate::error::{Error, Result};
use crate::file_id::FileId;
use crate::options::ReadMode;
use crate::sstable::block::{Block, BlockBytes};
use crate::sstable::filter::Filter;
use crate::sstable::footer::BlockHandle;
use crate::sstable::open_files::{OpenFiles, Slot};
use crate::sstable::regions::{PAGE_BYTES, REGION_BYTES, Regions};
use crate::sstable::removals::Unneeded;
use crate::sstable::sealed::{BlockType, Unsealed, unseal};
use crate::vfs::{MappedBytes, Vfs, VfsFile};

/// What is wrong with a handle whose block would end behind the file.
const PAST_THE_FILE: &str = "a block handle reaches past the file";

/// A walk that reads so much at once goes far, and what it will read next is announced.
const FOLLOWED_BYTES_MIN: u64 = 128 << 10;

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
    /// Set when the tablet is no more: its directory goes with its last file.
    pub abandoned: Arc<AtomicBool>,
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

    /// Removes a file of so many bytes that nobody needs any more, now or in a while.
    pub fn give_up(&self, path: PathBuf, bytes: u64) {
        let (vfs, abandoned) = (Arc::clone(&self.vfs), Arc::clone(&self.abandoned));
        self.open_files.removals.give_up(Unneeded { vfs, path, bytes, abandoned });
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
    /// What has been read ahead of single blocks; of a map, what has been brought into memory.
    regions: Regions,
    /// This open file's number in the cache.
    holder: u64,
    cache: Arc<BlockCache>,
}

impl Drop for BlockFile {
    fn drop(&mut self) {
        self.cache.remove_file(self.file_bytes);
    }
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

/// Which way a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To larger keys, which lie at larger offsets.
    Forward,
    /// To smaller ones.
    Backward,
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
        cache.add_file(file_bytes);
        let (vfs, open_files) = (Arc::clone(&opener.vfs), Arc::clone(&opener.open_files));
        let regions = Regions::new(file_bytes, if map.is_none() { REGION_BYTES } else { PAGE_BYTES });
        let cipher = None;
        Ok(BlockFile {
            vfs,
            open_files,
            slot,
            map,
            path,
            file_id,
            file_bytes,
            cipher,
            regions,
            holder,
            cache,
        })
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

    fn system_file(&self) -> Result<Arc<dyn VfsFile>> {
        let file = self.open_files.get(&*self.vfs, &self.slot);
        file.map_err(|error| Error::io("open", &self.path, error))
    }

    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let file = self.system_file()?;
        file.read_exact_at(offset, &mut bytes).map_err(|error| Error::io("read", &self.path, error))?;
        Ok(bytes)
    }

    /// The file's map, with the bytes of a block in memory: what cannot be read is an error here.
    fn mapped(&self, map: &MappedBytes, handle: BlockHandle) -> Result<()> {
        let bytes = handle.offset..handle.end().unwrap_or(handle.offset);
        if self.regions.are_asked(&bytes) {
            return Ok(());
        }
        let part = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let populated = map.populate(part(bytes.start)..part(bytes.end));
        populated.map_err(|error| Error::io("read", &self.path, error))?;
        // After that, so that nobody touches what somebody else is still asking for.
        self.regions.ask(bytes);
        Ok(())
    }

    /// Reads and checks one sealed block; its bytes before compression. A compaction reads past the map as well: it would throw
    /// out what others read.
    pub fn read_sealed(
        &self,
        handle: BlockHandle,
        block_type: BlockType,
        caching: Caching,
    ) -> Result<BlockBytes> {
        if handle.end().is_none_or(|end| end > self.file_bytes) {
            return Err(self.corruption(handle.offset, Malformed(PAST_THE_FILE)));
        }
        let length = handle.length as usize;
        let wrong = |malformed| self.corruption(handle.offset, malformed);
        let cipher = self.cipher.as_ref();
        if let Some(map) = self.map.as_ref().filter(|_| caching == Caching::Through) {
            self.mapped(map, handle)?;
            let start = usize::try_from(handle.offset).unwrap_or(usize::MAX);
            let sealed = (**map).as_ref().get(start..start.saturating_add(length)).unwrap_or_default();
            return match unseal(sealed, block_type, self.file_id.0, handle.offset, cipher).map_err(wrong)? {
                Unsealed::Same(raw) => {
                    let map: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::clone(map) as _;
                    Ok(BlockBytes::Mapped(map, start..start + raw.len()))
                }
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

    /// Reads a block, for somebody who accounts for it.
    pub(super) fn parse(
        &self,
        handle: BlockHandle,
        block_type: BlockType,
        caching: Caching,
    ) -> Result<Block> {
        let bytes = self.read_sealed(handle, block_type, caching)?;
        let block = Block::parse(bytes).map_err(|malformed| self.corruption(handle.offset, malformed))?;
        let is_index = matches!(block_type, BlockType::Index | BlockType::TopIndex);
        Ok(if is_index { block.into_index() } else { block })
    }

    fn parse_block(
        &self,
        handle: BlockHandle,
        block_type: BlockType,
        caching: Caching,
    ) -> Result<Arc<Block>> {
        Ok(Arc::new(self.parse(handle, block_type, caching)?.charged(&self.cache)))
    }

    /// A part of the filter, through the cache.
    pub(super) fn filter_part(&self, handle: BlockHandle) -> Result<Arc<FilterPart>> {
        if let Some(Cached::Filter(part)) = self.cache.get(self.holder, handle.offset) {
            return Ok(part);
        }
        self.cache.admit_load(u64::from(handle.length))?;
        let bytes = self.read_sealed(handle, BlockType::Filter, Caching::Through)?;
        let wrong = |malformed| self.corruption(handle.offset, malformed);
        let filter = Filter::parse(bytes.as_slice()).map_err(wrong)?;
        // The directory is of a kind this build knows, and its parts are of one it knows as well.
        let filter = filter.ok_or_else(|| wrong(Malformed("a part of a filter of an unknown kind")))?;
        let charge = self.cache.charge(filter.memory_bytes() as u64);
        let part = Arc::new(FilterPart::new(filter, charge));
        self.cache.insert(self.holder, handle.offset, Cached::Filter(Arc::clone(&part)));
        Ok(part)
    }

    /// Brings the block's region into the system's page cache, if that was not done before and there is room.
    fn ask_for_region(&self, handle: BlockHandle) -> Result<()> {
        let end = handle.end().unwrap_or(handle.offset);
        if self.map.is_some() || !self.cache.has_room() {
            return Ok(());
        }
        if let Some(region) = self.regions.ask(handle.offset..end) {
            self.system_file()?.will_need(region.start..region.end.min(self.file_bytes));
        }
        Ok(())
    }

    /// Has the system read a block that is not cached, and what lies beside it in the `direction` of the walk, up to `bytes`
    /// in all. Nothing is waited for.
    pub(super) fn announce(&self, handle: BlockHandle, bytes: u64, direction: Direction) -> Result<()> {
        if self.map.is_some() || self.cache.holds(self.holder, handle.offset) {
            return Ok(());
        }
        if self.cache.has_room() {
            return self.ask_for_region(handle);
        }
        self.system_file()?.will_need(self.beside(handle, bytes, direction)?);
        Ok(())
    }

    /// Takes a block out of the cache.
    pub(super) fn forget(&self, handle: BlockHandle) {
        self.cache.forget(self.holder, handle.offset);
    }

    /// A block that is cached.
    pub fn cached(&self, handle: BlockHandle) -> Option<Arc<Block>> {
        match self.cache.get(self.holder, handle.offset) {
            Some(Cached::Block(block)) => Some(block),
            _ => None,
        }
    }

    /// Whether such a read is of the map: nothing is read ahead then.
    pub fn is_mapped(&self, caching: Caching) -> bool {
        self.map.is_some() && caching == Caching::Through
    }

    /// Where a block and what lies beside it are: about `length` bytes, the whole block at least, none past the file.
    fn beside(&self, handle: BlockHandle, length: u64, direction: Direction) -> Result<Range<u64>> {
        let end = handle.end().filter(|end| *end <= self.file_bytes);
        let end = end.ok_or_else(|| self.corruption(handle.offset, Malformed(PAST_THE_FILE)))?;
        let length = length.max(u64::from(handle.length));
        Ok(match direction {
            Direction::Forward => handle.offset..handle.offset.saturating_add(length).min(self.file_bytes),
            Direction::Backward => end.saturating_sub(length)..end,
        })
    }

    /// Reads a block and what lies beside it in the `direction` of the walk, about `length` bytes in all and the whole block
    /// at least; less where memory is short. Of a long walk the system reads as much again meanwhile, for the next such call.
    pub fn read_ahead(
        &self,
        handle: BlockHandle,
        length: u64,
        direction: Direction,
        caching: Caching,
    ) -> Result<Ahead> {
        let least = u64::from(handle.length);
        let mut length = length.max(least);
        if caching == Caching::Through && self.cache.admit_load(2 * length).is_err() {
            length = least;
            self.cache.admit_load(2 * length)?;
        }
        let range = self.beside(handle, length, direction)?;
        let length = range.end - range.start;
        if length >= FOLLOWED_BYTES_MIN {
            let next = match direction {
                Direction::Forward => range.end..range.end.saturating_add(length).min(self.file_bytes),
                Direction::Backward => range.start.saturating_sub(length)..range.start,
            };
            let file = self.system_file()?;
            file.will_need(range.clone());
            file.will_need(next);
        }
        let bytes = self.read(range.start, usize::try_from(length).unwrap_or(usize::MAX))?;
        let charge = self.cache.charge(length);
        Ok(Ahead { offset: range.start, bytes, _charge: charge })
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
        let sealed = ahead.bytes_of(handle).ok_or(Malformed(PAST_THE_FILE)).map_err(wrong)?;
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
            return self.parse_block(handle, block_type, caching);
        }
        if let Some(block) = self.cached(handle) {
            return Ok(block);
        }
        self.cache.admit_load(u64::from(handle.length) + size_of::<Block>() as u64)?;
        self.ask_for_region(handle)?;
        let block = self.parse_block(handle, block_type, caching)?;
        self.cache.insert(self.holder, handle.offset, Cached::Block(Arc::clone(&block)));
        Ok(block)
    }
}
