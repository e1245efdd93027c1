//! Walks one sstable in either direction.
//!
//! The cursor keeps the current key in a buffer of its own: within a group of keys only the part behind the shared
//! prefix is replaced. Moving inside a block allocates nothing. The index position is kept beside the block, so the next
//! block is found without searching again.
//!
//! Who walks forward through a few blocks will walk on: from the third block in a row on, blocks are read several at a
//! time, twice as much every time up to [`AHEAD_BYTES_MAX`]. A mapped file needs none of this.

use std::sync::Arc;

use crate::coding::Malformed;
use crate::entry::ValueKind;
use crate::error::Result;
use crate::sstable::block::{Block, Position};
use crate::sstable::footer::BlockHandle;
use crate::sstable::reader::{Ahead, Caching, TableReader};
use crate::sstable::sealed::BlockType;
use crate::timestamp::Timestamp;

/// Blocks in a row after which more than the next is read.
const AHEAD_AFTER: u32 = 2;
/// What is read at once at first, and at most.
const AHEAD_BYTES_MIN: u64 = 8 << 10;
const AHEAD_BYTES_MAX: u64 = 256 << 10;

/// Where in the index a cursor stands.
#[derive(Default)]
struct IndexPlace {
    root_at: usize,
    /// With two index levels: the partition and the place in it.
    leaf: Option<(Arc<Block>, usize)>,
}

/// A place in a table.
pub struct TableCursor {
    reader: Arc<TableReader>,
    caching: Caching,
    index: IndexPlace,
    block: Option<Arc<Block>>,
    at: usize,
    /// The group the buffer's prefix belongs to.
    group: Option<usize>,
    prefix_length: usize,
    key: Vec<u8>,
    /// Blocks gone through forward since the last jump.
    in_a_row: u32,
    /// What was read ahead.
    ahead: Option<Ahead>,
    /// How much was read at once.
    ahead_bytes: u64,
}

impl TableCursor {
    /// Stands nowhere until moved.
    pub fn new(reader: Arc<TableReader>, caching: Caching) -> TableCursor {
        TableCursor {
            reader,
            caching,
            index: IndexPlace::default(),
            block: None,
            at: 0,
            group: None,
            prefix_length: 0,
            key: Vec::new(),
            in_a_row: 0,
            ahead: None,
            ahead_bytes: 0,
        }
    }

    /// Whether it stands on an entry.
    #[inline]
    pub fn valid(&self) -> bool {
        self.block.is_some()
    }

    /// Where it stands; meaningless unless valid.
    #[inline]
    pub fn position(&self) -> Position<'_> {
        let stored = self.block.as_ref().map_or(Timestamp::ZERO, |block| block.timestamp(self.at));
        let timestamp = self.reader.fixed.unwrap_or(stored);
        Position { key: &self.key, timestamp }
    }

    /// What the entry is.
    #[inline]
    pub fn kind(&self) -> ValueKind {
        self.block.as_ref().map_or(ValueKind::Delete, |block| block.kind(self.at))
    }

    /// The entry's value.
    #[inline]
    pub fn value(&self) -> &[u8] {
        self.block.as_ref().map_or(&[], |block| block.value(self.at))
    }

    /// Moves to the first entry at or after `target`.
    pub fn seek(&mut self, target: Position<'_>) -> Result<()> {
        self.leave();
        let target = self.reader.stored(target);
        let Some(handle) = self.index_seek(target)? else { return Ok(()) };
        let block = self.load(handle)?;
        let at = block.seek(target);
        if at < block.entries() {
            self.arrive(block, at);
            return Ok(());
        }
        self.next_block()
    }

    /// Moves to the last entry before `target`.
    pub fn seek_before(&mut self, target: Position<'_>) -> Result<()> {
        self.leave();
        let target = self.reader.stored(target);
        let Some(handle) = self.index_seek(target)? else { return self.seek_to_last() };
        let block = self.load(handle)?;
        match block.seek(target).checked_sub(1) {
            Some(at) => {
                self.arrive(block, at);
                Ok(())
            }
            None => self.previous_block(),
        }
    }

    /// Moves to the first entry.
    pub fn seek_to_first(&mut self) -> Result<()> {
        self.leave();
        self.index = IndexPlace::default();
        match self.index_handle(true)? {
            Some(handle) => {
                let block = self.load(handle)?;
                self.arrive(block, 0);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Moves to the last entry.
    pub fn seek_to_last(&mut self) -> Result<()> {
        self.leave();
        let Some(root_at) = self.reader.root.entries().checked_sub(1) else { return Ok(()) };
        self.index = IndexPlace { root_at, leaf: None };
        match self.index_handle(false)? {
            Some(handle) => self.stand_on_last(handle),
            None => Ok(()),
        }
    }

    /// Moves to the next entry, or off the end.
    #[inline]
    pub fn advance(&mut self) -> Result<()> {
        let Some(block) = &self.block else { return Ok(()) };
        if self.at + 1 < block.entries() {
            self.at += 1;
            self.build_key();
            return Ok(());
        }
        self.leave();
        self.next_block()
    }

    /// Moves to the entry before, or off the start.
    #[inline]
    pub fn retreat(&mut self) -> Result<()> {
        if self.block.is_none() {
            return Ok(());
        }
        if let Some(before) = self.at.checked_sub(1) {
            self.at = before;
            self.build_key();
            return Ok(());
        }
        self.leave();
        self.previous_block()
    }

    fn leave(&mut self) {
        self.block = None;
        self.group = None;
    }

    fn arrive(&mut self, block: Arc<Block>, at: usize) {
        self.block = Some(block);
        self.at = at;
        self.group = None;
        self.build_key();
    }

    #[inline]
    fn build_key(&mut self) {
        let Some(block) = &self.block else { return };
        let group = block.group_of(self.at);
        if self.group != Some(group) {
            let prefix = block.group_prefix(group);
            self.key.clear();
            self.key.extend_from_slice(prefix);
            self.prefix_length = prefix.len();
            self.group = Some(group);
        }
        self.key.truncate(self.prefix_length);
        self.key.extend_from_slice(block.key_rest(self.at));
    }

    /// Loads a block after a jump.
    fn load(&mut self, handle: BlockHandle) -> Result<Arc<Block>> {
        (self.in_a_row, self.ahead, self.ahead_bytes) = (0, None, 0);
        let block = self.reader.file.block(handle, BlockType::Data, self.caching)?;
        self.check_entries(block, handle)
    }

    /// Loads the block behind the one before.
    fn load_next(&mut self, handle: BlockHandle) -> Result<Arc<Block>> {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let file = &self.reader.file;
        if self.in_a_row < AHEAD_AFTER || file.is_mapped() {
            let block = file.block(handle, BlockType::Data, self.caching)?;
            return self.check_entries(block, handle);
        }
        if self.caching == Caching::Through
            && let Some(block) = file.cached(handle)
        {
            return self.check_entries(block, handle);
        }
        let ahead = match self.ahead.take().filter(|ahead| ahead.bytes_of(handle).is_some()) {
            Some(ahead) => ahead,
            None => {
                self.ahead_bytes = (2 * self.ahead_bytes).clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX);
                file.read_ahead(handle, self.ahead_bytes, self.caching)?
            }
        };
        let block = file.block_from(&ahead, handle, BlockType::Data, self.caching)?;
        self.ahead = Some(ahead);
        self.check_entries(block, handle)
    }

    fn check_entries(&self, block: Arc<Block>, handle: BlockHandle) -> Result<Arc<Block>> {
        if block.entries() == 0 {
            return Err(self
                .reader
                .file
                .corruption(handle.offset, Malformed("a data block without entries")));
        }
        Ok(block)
    }

    fn stand_on_last(&mut self, handle: BlockHandle) -> Result<()> {
        let block = self.load(handle)?;
        let at = block.entries() - 1;
        self.arrive(block, at);
        Ok(())
    }

    fn next_block(&mut self) -> Result<()> {
        match self.index_next()? {
            Some(handle) => {
                let block = self.load_next(handle)?;
                self.arrive(block, 0);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn previous_block(&mut self) -> Result<()> {
        match self.index_previous()? {
            Some(handle) => self.stand_on_last(handle),
            None => Ok(()),
        }
    }

    fn load_leaf(&self) -> Result<Arc<Block>> {
        let handle = self.reader.handle_at(&self.reader.root, self.index.root_at)?;
        let leaf = self.reader.file.block(handle, BlockType::Index, self.caching)?;
        if leaf.entries() == 0 {
            return Err(self
                .reader
                .file
                .corruption(handle.offset, Malformed("an index block without entries")));
        }
        Ok(leaf)
    }

    /// The data block at the index place. With two levels and no partition loaded, stands on that partition's first or
    /// last entry.
    fn index_handle(&mut self, first: bool) -> Result<Option<BlockHandle>> {
        if self.index.root_at >= self.reader.root.entries() {
            return Ok(None);
        }
        if self.reader.index_levels == 1 {
            return self.reader.handle_at(&self.reader.root, self.index.root_at).map(Some);
        }
        if self.index.leaf.is_none() {
            let leaf = self.load_leaf()?;
            let at = if first { 0 } else { leaf.entries() - 1 };
            self.index.leaf = Some((leaf, at));
        }
        match &self.index.leaf {
            Some((leaf, at)) => self.reader.handle_at(leaf, *at).map(Some),
            None => Ok(None),
        }
    }

    /// The block that holds the first entry at or after `target`, if any does.
    fn index_seek(&mut self, target: Position<'_>) -> Result<Option<BlockHandle>> {
        self.index = IndexPlace { root_at: self.reader.root.seek(target), leaf: None };
        if self.reader.index_levels == 2 && self.index.root_at < self.reader.root.entries() {
            let leaf = self.load_leaf()?;
            // The root's separator is the partition's last one, so the target is at or before it.
            let at = leaf.seek(target).min(leaf.entries() - 1);
            self.index.leaf = Some((leaf, at));
        }
        self.index_handle(true)
    }

    fn index_next(&mut self) -> Result<Option<BlockHandle>> {
        if let Some((leaf, at)) = &mut self.index.leaf
            && *at + 1 < leaf.entries()
        {
            *at += 1;
            return self.index_handle(true);
        }
        self.index = IndexPlace { root_at: self.index.root_at + 1, leaf: None };
        self.index_handle(true)
    }

    fn index_previous(&mut self) -> Result<Option<BlockHandle>> {
        if let Some((_, at)) = &mut self.index.leaf
            && *at > 0
        {
            *at -= 1;
            return self.index_handle(false);
        }
        let Some(root_at) = self.index.root_at.checked_sub(1) else { return Ok(None) };
        self.index = IndexPlace { root_at, leaf: None };
        self.index_handle(false)
    }
}
