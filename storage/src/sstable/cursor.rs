//! Walks one sstable in either direction.
//!
//! The cursor keeps the current key in a buffer of its own: within a group of keys only the part behind the shared
//! prefix is replaced. Moving inside a block allocates nothing. The index position is kept beside the block, so the next
//! block is found without searching again.
//!
//! Who walks through a few blocks in one direction will walk on: from the third block in a row on, blocks are read several
//! at a time, twice as much every time up to [`AHEAD_BYTES_MAX`]. Turning round begins anew. A mapped file needs none of
//! this.
//!
//! A walk through blocks in memory is a chain of waits for memory: slot, block, columns, value. So each link is asked for well
//! before the next needs it. On arrival in a block the one after the next is brought near, head and columns, and the slot
//! behind that; [`VALUES_AHEAD`] entries before its end the next one, which is near by then, is taken hold of, and from there on it
//! is values of that one that are brought near.

use std::sync::Arc;

use crate::coding::Malformed;
use crate::entry::ValueKind;
use crate::error::Result;
use crate::sstable::block::{Block, Group, Position};
use crate::sstable::block_file::{Ahead, Caching, Direction};
use crate::sstable::reader::{TableReader, slice_value};
use crate::sstable::sealed::BlockType;
use crate::timestamp::Timestamp;
use crate::value_slice::ValueSlice;

/// Blocks in a row after which more than the next is read.
const AHEAD_AFTER: u32 = 2;
/// What is read at once at first, and at most.
const AHEAD_BYTES_MIN: u64 = 8 << 10;
const AHEAD_BYTES_MAX: u64 = 256 << 10;
/// How many entries on from the current one values are brought near, and the next block taken hold of.
const VALUES_AHEAD: usize = 7;

/// A seek whose walk goes on behind the block it finds has so much read at once.
const WALK_BYTES_ANNOUNCED: u64 = 32 << 10;

/// How far a walk will go that a seek begins.
#[derive(Clone, Copy, Debug)]
pub enum Reach<'a> {
    /// Not far.
    Entry,
    /// Up to this key, or down to it.
    Key(&'a [u8]),
    /// To the end, or the start, or until it is left.
    End,
}

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
    /// The group the buffer's prefix belongs to; empty when there is none.
    group: Group,
    prefix_length: usize,
    /// Whether values are going to be read, and are brought near ahead of time.
    with_values: bool,
    key: Vec<u8>,
    /// Which way it walked last; what was read ahead lies there.
    direction: Direction,
    /// Blocks gone through in that direction since the last jump.
    in_a_row: u32,
    /// What was read ahead.
    ahead: Option<Ahead>,
    /// Whether the seek that was begun has found a block.
    is_within: bool,
    /// The next block in that direction, once it is taken hold of; between the halves of a seek, the block it found.
    upcoming: Option<Arc<Block>>,
    /// Whether the next block was looked for, and found or not.
    is_upcoming_known: bool,
    /// How much was read at once.
    ahead_bytes: u64,
}

impl TableCursor {
    /// Stands nowhere until moved.
    pub fn new(reader: Arc<TableReader>, caching: Caching) -> TableCursor {
        TableCursor::reusing(Vec::new(), reader, caching)
    }

    /// As `new`, with the buffer of another cursor.
    pub fn reusing(buffer: Vec<u8>, reader: Arc<TableReader>, caching: Caching) -> TableCursor {
        TableCursor {
            reader,
            caching,
            index: IndexPlace::default(),
            block: None,
            at: 0,
            group: Group::default(),
            prefix_length: 0,
            with_values: true,
            key: buffer,
            direction: Direction::Forward,
            in_a_row: 0,
            ahead: None,
            is_within: false,
            upcoming: None,
            is_upcoming_known: false,
            ahead_bytes: 0,
        }
    }

    /// Its buffer, for another.
    pub fn into_buffer(self) -> Vec<u8> {
        self.key
    }

    /// For a walk over keys alone.
    pub fn without_values(self) -> TableCursor {
        TableCursor { with_values: false, ..self }
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

    /// The entry's value for keeps: a share of its block, unless it is a small part of it.
    pub fn value_slice(&self) -> ValueSlice {
        match &self.block {
            Some(block) => slice_value(Arc::clone(block), self.at),
            None => ValueSlice::copied(&[]),
        }
    }

    /// Moves to the first entry at or after `target`.
    pub fn seek(&mut self, target: Position<'_>) -> Result<()> {
        self.begin_seek(target, Reach::Entry)?;
        self.finish_seek(target)
    }

    /// The first half of a seek: finds the block in the index, and has it read or brought near without waiting for it. Who
    /// seeks in several tables begins all seeks before it finishes one, so that it waits for all blocks at once.
    pub fn begin_seek(&mut self, target: Position<'_>, reach: Reach<'_>) -> Result<()> {
        self.leave();
        self.forget_ahead(Direction::Forward);
        self.is_within = self.index_seek(self.reader.stored(target))?;
        self.bring_near(reach)
    }

    /// The first half of `seek_before`: see [`Self::begin_seek`].
    pub fn begin_seek_before(&mut self, target: Position<'_>, reach: Reach<'_>) -> Result<()> {
        self.leave();
        self.forget_ahead(Direction::Backward);
        self.is_within = self.index_seek(self.reader.stored(target))? || self.index_last()?;
        self.bring_near(reach)
    }

    /// Has the block that a seek found read or brought near, and what the walk will reach beside it.
    fn bring_near(&mut self, reach: Reach<'_>) -> Result<()> {
        if !self.is_within || self.caching == Caching::Past {
            return Ok(());
        }
        let (index, at) = self.index_entry();
        let block = self.reader.resident(index, at, self.caching)?;
        match &block {
            Some(_) => {
                if matches!(reach, Reach::End) {
                    self.look_ahead(1);
                    self.look_ahead(2);
                }
            }
            None => {
                let ends_here = match reach {
                    Reach::Entry => true,
                    Reach::Key(key) => {
                        let last = index.seek(Position { key, timestamp: Timestamp::MAX });
                        if self.direction == Direction::Forward { last <= at } else { last >= at }
                    }
                    Reach::End => false,
                };
                let bytes = if ends_here { 0 } else { WALK_BYTES_ANNOUNCED };
                self.reader.file.announce(self.reader.handle_at(index, at)?, bytes, self.direction)?;
            }
        }
        self.upcoming = block;
        Ok(())
    }

    /// The second half, with the same target.
    pub fn finish_seek(&mut self, target: Position<'_>) -> Result<()> {
        if !self.is_within {
            return Ok(());
        }
        let target = self.reader.stored(target);
        let block = self.load_found()?;
        let at = block.seek(target);
        if at < block.entries() {
            self.land(block, at);
            return Ok(());
        }
        self.next_block()
    }

    /// Moves to the last entry before `target`.
    pub fn seek_before(&mut self, target: Position<'_>) -> Result<()> {
        self.begin_seek_before(target, Reach::Entry)?;
        self.finish_seek_before(target)
    }

    /// The second half of `seek_before`, with the same target.
    pub fn finish_seek_before(&mut self, target: Position<'_>) -> Result<()> {
        if !self.is_within {
            return Ok(());
        }
        let target = self.reader.stored(target);
        let block = self.load_found()?;
        match block.seek(target).checked_sub(1) {
            Some(at) => {
                self.land(block, at);
                Ok(())
            }
            None => self.previous_block(),
        }
    }

    /// Moves to the first entry.
    pub fn seek_to_first(&mut self) -> Result<()> {
        self.leave();
        self.index = IndexPlace::default();
        if self.enter_index(true)? {
            let block = self.load(Direction::Forward)?;
            self.land(block, 0);
        }
        Ok(())
    }

    /// Moves to the last entry.
    pub fn seek_to_last(&mut self) -> Result<()> {
        self.leave();
        if self.index_last()? {
            let block = self.load(Direction::Backward)?;
            let at = block.entries() - 1;
            self.land(block, at);
        }
        Ok(())
    }

    /// Moves to the next entry, or off the end.
    #[inline]
    pub fn advance(&mut self) -> Result<()> {
        let Some(block) = &self.block else { return Ok(()) };
        if self.at + 1 < block.entries() {
            self.at += 1;
            let ahead = self.at + VALUES_AHEAD;
            let beyond = ahead.checked_sub(block.entries());
            if self.with_values && beyond.is_none() {
                block.prefetch_value(ahead);
            }
            self.build_key();
            return beyond.map_or(Ok(()), |beyond| self.look_beyond(Direction::Forward, beyond));
        }
        self.leave();
        self.next_block()
    }

    /// Moves to the entry before, or off the start.
    #[inline]
    pub fn retreat(&mut self) -> Result<()> {
        let Some(block) = &self.block else { return Ok(()) };
        if let Some(before) = self.at.checked_sub(1) {
            self.at = before;
            let ahead = before.checked_sub(VALUES_AHEAD);
            if self.with_values
                && let Some(ahead) = ahead
            {
                block.prefetch_value(ahead);
            }
            self.build_key();
            return match ahead {
                Some(_) => Ok(()),
                None => self.look_beyond(Direction::Backward, VALUES_AHEAD - 1 - before),
            };
        }
        self.leave();
        self.previous_block()
    }

    fn leave(&mut self) {
        self.block = None;
        self.group = Group::default();
    }

    /// Stands in `block`, to which it has jumped and from which it is expected to walk on in its direction.
    fn land(&mut self, block: Arc<Block>, at: usize) {
        if self.with_values {
            let values = match self.direction {
                Direction::Forward => at..at + VALUES_AHEAD + 1,
                Direction::Backward => at.saturating_sub(VALUES_AHEAD)..at + 1,
            };
            values.for_each(|at| block.prefetch_value(at));
        }
        self.arrive(block, at);
    }

    #[inline]
    fn arrive(&mut self, block: Arc<Block>, at: usize) {
        self.block = Some(block);
        self.at = at;
        self.group = Group::default();
        self.build_key();
    }

    /// Called at each step that is nearer to the end of its block than values are brought near: by then value `beyond` of the
    /// next block, counted in this direction, is to be.
    fn look_beyond(&mut self, direction: Direction, beyond: usize) -> Result<()> {
        self.turn(direction);
        let known = self.is_upcoming_known;
        if !known {
            self.is_upcoming_known = true;
            self.upcoming = match self.next_index_entry(1) {
                Some((index, next)) => self.reader.resident(index, next, self.caching)?,
                None => None,
            };
        }
        if let (true, Some(block)) = (self.with_values, &self.upcoming) {
            let first = if known { beyond } else { 0 };
            for at in first..=beyond {
                match direction {
                    Direction::Forward => block.prefetch_value(at),
                    Direction::Backward => {
                        block
                            .entries()
                            .checked_sub(at + 1)
                            .into_iter()
                            .for_each(|at| block.prefetch_value(at));
                    }
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn build_key(&mut self) {
        let Some(block) = &self.block else { return };
        if self.at < self.group.first || self.at >= self.group.end {
            self.group = block.group_of(self.at);
            let prefix = block.group_prefix(&self.group);
            self.key.clear();
            self.key.extend_from_slice(prefix);
            self.prefix_length = prefix.len();
        }
        self.key.truncate(self.prefix_length);
        self.key.extend_from_slice(block.key_rest(&self.group, self.at));
    }

    /// Forgets where it came from: a walk in this direction begins.
    fn forget_ahead(&mut self, direction: Direction) {
        self.direction = direction;
        (self.in_a_row, self.ahead, self.ahead_bytes) = (0, None, 0);
        (self.upcoming, self.is_upcoming_known) = (None, false);
    }

    /// Goes on in this direction.
    fn turn(&mut self, direction: Direction) {
        if self.direction != direction {
            self.forget_ahead(direction);
        }
    }

    /// Loads the block at the index place after a jump.
    fn load(&mut self, direction: Direction) -> Result<Arc<Block>> {
        self.forget_ahead(direction);
        let (index, at) = self.index_entry();
        let block = self.reader.block_at(index, at, BlockType::Data, self.caching)?;
        self.check_entries(block)
    }

    /// The block that the first half of a seek found.
    fn load_found(&mut self) -> Result<Arc<Block>> {
        match self.upcoming.take() {
            Some(block) => self.check_entries(block),
            None => self.load(self.direction),
        }
    }

    /// Loads the block at the index place, which is the next one in this direction.
    fn load_next(&mut self, direction: Direction) -> Result<Arc<Block>> {
        self.turn(direction);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.is_upcoming_known = false;
        if let Some(block) = self.upcoming.take() {
            return self.check_entries(block);
        }
        let (index, at) = self.index_entry();
        let file = &self.reader.file;
        if self.in_a_row < AHEAD_AFTER || file.is_mapped(self.caching) {
            let block = self.reader.block_at(index, at, BlockType::Data, self.caching)?;
            return self.check_entries(block);
        }
        if let Some(block) = self.reader.resident(index, at, self.caching)? {
            return self.check_entries(block);
        }
        let handle = self.reader.handle_at(index, at)?;
        if self.caching == Caching::Through
            && let Some(block) = file.cached(handle)
        {
            return self.check_entries(block);
        }
        let ahead = match self.ahead.take().filter(|ahead| ahead.bytes_of(handle).is_some()) {
            Some(ahead) => ahead,
            None => {
                self.ahead_bytes = (2 * self.ahead_bytes).clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX);
                file.read_ahead(handle, self.ahead_bytes, direction, self.caching)?
            }
        };
        let block = file.block_from(&ahead, handle, BlockType::Data, self.caching)?;
        self.ahead = Some(ahead);
        self.check_entries(block)
    }

    fn check_entries(&self, block: Arc<Block>) -> Result<Arc<Block>> {
        if block.entries() > 0 {
            return Ok(block);
        }
        let (index, at) = self.index_entry();
        let handle = self.reader.handle_at(index, at)?;
        Err(self.reader.file.corruption(handle.offset, Malformed("a data block without entries")))
    }

    fn next_block(&mut self) -> Result<()> {
        if self.index_next()? {
            let block = self.load_next(Direction::Forward)?;
            self.walk_into(block, 0)?;
        }
        Ok(())
    }

    fn previous_block(&mut self) -> Result<()> {
        if self.index_previous()? {
            let block = self.load_next(Direction::Backward)?;
            let at = block.entries() - 1;
            self.walk_into(block, at)?;
        }
        Ok(())
    }

    /// Stands at the end of `block` at which its walk comes in: the values there are near already, or just read.
    fn walk_into(&mut self, block: Arc<Block>, at: usize) -> Result<()> {
        let beyond = VALUES_AHEAD.checked_sub(block.entries());
        if self.with_values && beyond.is_none() {
            block.prefetch_value(at.abs_diff(VALUES_AHEAD));
        }
        self.arrive(block, at);
        self.look_ahead(2);
        beyond.map_or(Ok(()), |beyond| self.look_beyond(self.direction, beyond))
    }

    /// The index block and the entry in it that lead to the data block so many blocks on in this direction, if it is the same
    /// index block; the entry may be too high.
    fn next_index_entry(&self, blocks: usize) -> Option<(&Arc<Block>, usize)> {
        let (index, at) = self.index_entry();
        let next = match self.direction {
            Direction::Forward => at + blocks,
            Direction::Backward => at.checked_sub(blocks)?,
        };
        Some((index, next))
    }

    /// Brings the block so many blocks on near, if it is in memory, and the slot of the one behind it.
    fn look_ahead(&self, blocks: usize) {
        if let Some((index, next)) = self.next_index_entry(blocks)
            && let Some(children) = index.children()
        {
            children.prefetch(next);
            if let Some((_, behind)) = self.next_index_entry(blocks + 1) {
                children.prefetch_slot(behind);
            }
        }
    }

    fn load_leaf(&self) -> Result<Arc<Block>> {
        let (root, at) = (&self.reader.root, self.index.root_at);
        let leaf = self.reader.block_at(root, at, BlockType::Index, self.caching)?;
        if leaf.entries() > 0 {
            return Ok(leaf);
        }
        let handle = self.reader.handle_at(root, at)?;
        Err(self.reader.file.corruption(handle.offset, Malformed("an index block without entries")))
    }

    /// The index block and the entry in it that lead to the data block at the index place.
    #[inline]
    fn index_entry(&self) -> (&Arc<Block>, usize) {
        match &self.index.leaf {
            Some((leaf, at)) => (leaf, *at),
            None => (&self.reader.root, self.index.root_at),
        }
    }

    /// Whether there is a data block at the index place. With two levels and no partition loaded, goes to that partition's
    /// first or last entry.
    fn enter_index(&mut self, first: bool) -> Result<bool> {
        if self.index.root_at >= self.reader.root.entries() {
            return Ok(false);
        }
        if self.reader.index_levels == 2 && self.index.leaf.is_none() {
            let leaf = self.load_leaf()?;
            let at = if first { 0 } else { leaf.entries() - 1 };
            self.index.leaf = Some((leaf, at));
        }
        Ok(true)
    }

    /// Goes to the block that holds the first entry at or after `target`; whether any does.
    fn index_seek(&mut self, target: Position<'_>) -> Result<bool> {
        self.index = IndexPlace { root_at: self.reader.root.seek(target), leaf: None };
        if self.reader.index_levels == 2 && self.index.root_at < self.reader.root.entries() {
            let leaf = self.load_leaf()?;
            // The root's separator is the partition's last one, so the target is at or before it.
            let at = leaf.seek(target).min(leaf.entries() - 1);
            self.index.leaf = Some((leaf, at));
        }
        self.enter_index(true)
    }

    /// Goes to the last block; whether there is one.
    fn index_last(&mut self) -> Result<bool> {
        let Some(root_at) = self.reader.root.entries().checked_sub(1) else { return Ok(false) };
        self.index = IndexPlace { root_at, leaf: None };
        self.enter_index(false)
    }

    fn index_next(&mut self) -> Result<bool> {
        if let Some((leaf, at)) = &mut self.index.leaf
            && *at + 1 < leaf.entries()
        {
            *at += 1;
            return self.enter_index(true);
        }
        self.index = IndexPlace { root_at: self.index.root_at + 1, leaf: None };
        self.enter_index(true)
    }

    fn index_previous(&mut self) -> Result<bool> {
        if let Some((_, at)) = &mut self.index.leaf
            && *at > 0
        {
            *at -= 1;
            return self.enter_index(false);
        }
        let Some(root_at) = self.index.root_at.checked_sub(1) else { return Ok(false) };
        self.index = IndexPlace { root_at, leaf: None };
        self.enter_index(false)
    }
}
