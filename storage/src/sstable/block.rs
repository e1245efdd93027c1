//! A block of sorted entries, as data blocks, index blocks and range tombstone blocks are.
//!
//! Keys stand apart from values, and every column is an array with fixed-width elements, so entry `i` is found without
//! decoding its neighbours: a seek is a binary search over groups, then one inside a group; stepping back costs what
//! stepping forward costs; a walk over keys does not touch values. FORMAT.md, "Block", draws the bytes.
//!
//! Keys are cut into groups of `group_entries`. A group stores the prefix all its keys share, then each key's rest.
//! The first key of a group therefore lies in one piece, and the search over groups compares plain slices.
//!
//! `Block::parse` checks every offset of every column once; the accessors rely on that. They still read through `get`,
//! so a mistake here yields an empty slice and not a panic.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::cache::{BlockCache, Charge};
use crate::coding::{Malformed, take_u8, take_u16, take_u32, take_u64, u16_at, u32_at, u64_at};
use crate::entry::ValueKind;
use crate::prefetch::prefetch;
use crate::sstable::children::{Children, Home};
use crate::sstable::heads::Heads;
use crate::timestamp::Timestamp;

/// Bytes of the trailer that ends a block.
pub const BLOCK_TRAILER_BYTES: usize = 40;

/// Where a column starts and how wide its elements are, read from the trailer once. Kept small: a lookup reads all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    timestamp_base: u64,
    entries: u32,
    groups: u32,
    value_length_constant: u32,
    restarts_at: u32,
    timestamps_at: u32,
    kinds_at: u32,
    value_offsets_at: u32,
    keys_at: u32,
    values_at: u32,
    values_end: u32,
    group_entries: u16,
    key_width: u8,
    value_width: u8,
    timestamp_width: u8,
    /// Every kind, when they are all the same and the column is absent.
    kind_constant: Option<ValueKind>,
}

/// Reads fields as what indices are made of.
macro_rules! indices {
    ($($field:ident)*) => {
        impl Layout {
            $(#[inline]
            const fn $field(&self) -> usize {
                self.$field as usize
            })*
        }
    };
}

indices!(
    entries groups value_length_constant restarts_at timestamps_at kinds_at value_offsets_at keys_at values_at values_end
    group_entries key_width value_width timestamp_width
);

/// The bytes of a block: read into memory, or a part of a mapped file.
#[derive(Clone)]
pub enum BlockBytes {
    /// Owned.
    Heap(Box<[u8]>),
    /// A range of a memory map.
    Mapped(Arc<dyn AsRef<[u8]> + Send + Sync>, Range<usize>),
}

impl BlockBytes {
    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            BlockBytes::Heap(bytes) => bytes,
            BlockBytes::Mapped(map, range) => (**map).as_ref().get(range.clone()).unwrap_or_default(),
        }
    }
}

/// A group of entries whose keys share a prefix, looked up once for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The first entry in it.
    pub first: usize,
    /// The entry behind the last.
    pub end: usize,
    /// The prefix, within the key bytes.
    prefix: Range<usize>,
    /// Where the last key ends.
    keys_end: usize,
}

/// What the blocks of an index have beside their bytes.
struct IndexSearch {
    heads: Heads,
    children: Children,
}

/// A parsed block. Shared by the cache, cursors and value slices.
pub struct Block {
    bytes: BlockBytes,
    layout: Layout,
    home: Home,
    /// For an index.
    search: Option<Box<IndexSearch>>,
    /// Its place in the memory account.
    _charge: Option<Charge>,
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}

/// One entry's place in the order: its key and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<'a> {
    /// The user key.
    pub key: &'a [u8],
    /// The version; among versions of a key the newest comes first.
    pub timestamp: Timestamp,
}

/// Orders keys bytewise. Most differ within their first eight bytes, which are compared as one number.
#[inline]
pub fn compare_keys(a: &[u8], b: &[u8]) -> Ordering {
    if let (Some(start_a), Some(start_b)) = (a.first_chunk(), b.first_chunk()) {
        let (start_a, start_b) = (u64::from_be_bytes(*start_a), u64::from_be_bytes(*start_b));
        if start_a != start_b {
            return start_a.cmp(&start_b);
        }
    }
    a.cmp(b)
}

impl Ord for Position<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_keys(self.key, other.key).then_with(|| other.timestamp.cmp(&self.timestamp))
    }
}

impl PartialOrd for Position<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Block {
    /// Reads the trailer and checks every column against the block's length and its own order.
    pub fn parse(bytes: BlockBytes) -> Result<Block, Malformed> {
        let layout = Layout::read(bytes.as_slice())?;
        let block = Block { bytes, layout, home: Home::default(), search: None, _charge: None };
        block.check_keys()?;
        block.check_values()?;
        block.check_kinds()?;
        Ok(block)
    }

    fn check_keys(&self) -> Result<(), Malformed> {
        let layout = &self.layout;
        let keys_length = layout.values_at() - layout.keys_at();
        let mut previous = 0;
        for index in 0..layout.entries() {
            if index % layout.group_entries() == 0 {
                let restart = self.restart(index / layout.group_entries());
                if restart < previous || (index == 0 && restart != 0) {
                    return Err(Malformed("a group starts before the previous key ends"));
                }
                previous = restart;
            }
            let start = self.key_offset(index);
            if start < previous || start > keys_length {
                return Err(Malformed("key offsets are out of order"));
            }
            previous = start;
        }
        if layout.entries() == 0 && keys_length != 0 {
            return Err(Malformed("key bytes without an entry"));
        }
        Ok(())
    }

    fn check_values(&self) -> Result<(), Malformed> {
        let layout = &self.layout;
        let length = layout.values_end() - layout.values_at();
        if layout.value_width() == 0 {
            let expected = layout.entries().checked_mul(layout.value_length_constant());
            return if expected == Some(length) {
                Ok(())
            } else {
                Err(Malformed("value bytes do not add up"))
            };
        }
        let mut previous = 0;
        for index in 0..layout.entries() {
            let end = self.value_end(index);
            if end < previous {
                return Err(Malformed("value offsets are out of order"));
            }
            previous = end;
        }
        if previous == length { Ok(()) } else { Err(Malformed("value bytes do not add up")) }
    }

    fn check_kinds(&self) -> Result<(), Malformed> {
        if self.layout.kind_constant.is_some() {
            return Ok(());
        }
        let kinds = self.column(self.layout.kinds_at(), self.layout.entries());
        if kinds.iter().all(|&kind| ValueKind::from_byte(kind).is_some()) {
            Ok(())
        } else {
            Err(Malformed("unknown entry kind"))
        }
    }

    /// How many entries it holds.
    #[inline]
    pub fn entries(&self) -> usize {
        self.layout.entries()
    }

    /// For a block of an index, which is searched over and over and leads to others.
    pub fn into_index(mut self) -> Block {
        if let Some(last) = self.layout.groups().checked_sub(1) {
            let keys = (0..self.layout.groups()).map(|group| self.first_key(group));
            let heads = Heads::new(keys, self.first_key(last));
            let children = Children::new(self.layout.entries());
            self.search = Some(Box::new(IndexSearch { heads, children }));
        }
        self
    }

    /// For a block of an index: the blocks it leads to.
    #[inline]
    pub fn children(&self) -> Option<&Children> {
        self.search.as_ref().map(|search| &search.children)
    }

    /// Where it came from.
    #[inline]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Puts the block into the memory account, until it is dropped.
    pub fn charged(mut self, cache: &BlockCache) -> Block {
        self._charge = Some(cache.charge(self.memory_bytes() as u64));
        self
    }

    /// What the block takes in memory, for the cache's account.
    pub fn memory_bytes(&self) -> usize {
        let held = match &self.bytes {
            BlockBytes::Heap(bytes) => bytes.len(),
            BlockBytes::Mapped(..) => 0,
        };
        held + size_of::<Block>()
            + self
                .search
                .as_ref()
                .map_or(0, |search| search.heads.memory_bytes() + search.children.memory_bytes())
    }

    #[inline]
    fn column(&self, at: usize, length: usize) -> &[u8] {
        self.bytes.as_slice().get(at..at + length).unwrap_or_default()
    }

    #[inline]
    fn restart(&self, group: usize) -> usize {
        u32_at(self.bytes.as_slice(), self.layout.restarts_at() + 4 * group).unwrap_or_default() as usize
    }

    #[inline]
    fn key_offset(&self, index: usize) -> usize {
        offset_at(self.bytes.as_slice(), self.layout.key_width(), 0, index)
    }

    #[inline]
    fn value_end(&self, index: usize) -> usize {
        offset_at(self.bytes.as_slice(), self.layout.value_width(), self.layout.value_offsets_at(), index)
    }

    /// Group `number`, which exists.
    #[inline]
    pub fn group(&self, number: usize) -> Group {
        let first = number * self.layout.group_entries();
        let behind = first + self.layout.group_entries();
        let (end, keys_end) = if behind < self.layout.entries() {
            (behind, self.restart(number + 1))
        } else {
            (self.layout.entries(), self.layout.values_at() - self.layout.keys_at())
        };
        Group { first, end, prefix: self.restart(number)..self.key_offset(first), keys_end }
    }

    /// The group of entry `index`.
    #[inline]
    pub fn group_of(&self, index: usize) -> Group {
        self.group(index / self.layout.group_entries())
    }

    /// The first key of group `number`, in full.
    #[inline]
    fn first_key(&self, number: usize) -> &[u8] {
        let first = number * self.layout.group_entries();
        let next = first + 1;
        let end = if next >= self.layout.entries() {
            self.layout.values_at() - self.layout.keys_at()
        } else if self.layout.group_entries() == 1 {
            self.restart(number + 1)
        } else {
            self.key_offset(next)
        };
        self.key_bytes(self.restart(number), end)
    }

    #[inline]
    fn key_bytes(&self, start: usize, end: usize) -> &[u8] {
        let base = self.layout.keys_at();
        self.bytes.as_slice().get(base + start..base + end).unwrap_or_default()
    }

    /// What all keys of `group` start with.
    #[inline]
    pub fn group_prefix(&self, group: &Group) -> &[u8] {
        self.key_bytes(group.prefix.start, group.prefix.end)
    }

    /// What follows the prefix of its group in key `index`.
    #[inline]
    pub fn key_rest(&self, group: &Group, index: usize) -> &[u8] {
        let next = index + 1;
        let end = if next < group.end { self.key_offset(next) } else { group.keys_end };
        self.key_bytes(self.key_offset(index), end)
    }

    /// Appends key `index` in full.
    pub fn append_key(&self, index: usize, out: &mut Vec<u8>) {
        let group = self.group_of(index);
        out.extend_from_slice(self.group_prefix(&group));
        out.extend_from_slice(self.key_rest(&group, index));
    }

    /// Whether key `index` is `key`, without building it.
    #[inline]
    pub fn key_equals(&self, index: usize, key: &[u8]) -> bool {
        let group = self.group_of(index);
        key.strip_prefix(self.group_prefix(&group)) == Some(self.key_rest(&group, index))
    }

    /// Brings the start of value `index` near; see [`prefetch`].
    #[inline]
    pub fn prefetch_value(&self, index: usize) {
        if index < self.layout.entries() {
            prefetch(self.bytes.as_slice(), self.value_range(index).start);
        }
    }

    /// The version of entry `index`.
    #[inline]
    pub fn timestamp(&self, index: usize) -> Timestamp {
        let layout = &self.layout;
        let bytes = self.bytes.as_slice();
        let at = layout.timestamps_at() + layout.timestamp_width() * index;
        let delta = match layout.timestamp_width() {
            0 => 0,
            1 => u64::from(bytes.get(at).copied().unwrap_or_default()),
            2 => u64::from(u16_at(bytes, at).unwrap_or_default()),
            4 => u64::from(u32_at(bytes, at).unwrap_or_default()),
            _ => u64_at(bytes, at).unwrap_or_default(),
        };
        Timestamp(layout.timestamp_base.wrapping_add(delta))
    }

    /// What entry `index` is.
    #[inline]
    pub fn kind(&self, index: usize) -> ValueKind {
        if let Some(kind) = self.layout.kind_constant {
            return kind;
        }
        let byte = self.bytes.as_slice().get(self.layout.kinds_at() + index).copied();
        byte.and_then(ValueKind::from_byte).unwrap_or(ValueKind::Put)
    }

    /// Where the value of entry `index` lies within `bytes`.
    #[inline]
    pub fn value_range(&self, index: usize) -> Range<usize> {
        let base = self.layout.values_at();
        if self.layout.value_width() == 0 {
            let length = self.layout.value_length_constant();
            let start = base + index * length;
            return start..start + length;
        }
        let start = if index == 0 { 0 } else { self.value_end(index - 1) };
        base + start..base + self.value_end(index)
    }

    /// The value of entry `index`.
    #[inline]
    pub fn value(&self, index: usize) -> &[u8] {
        self.bytes.as_slice().get(self.value_range(index)).unwrap_or_default()
    }

    /// The whole block, as `value_range` counts in it.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The first entry at or after `target`, or `entries()` when all come before it.
    pub fn seek(&self, target: Position<'_>) -> usize {
        let group_entries = self.layout.group_entries();
        // The last group whose first entry is not after the target.
        let near =
            self.search.as_ref().map_or(0..self.layout.groups(), |search| search.heads.near(target.key));
        let (mut low, mut high) = (near.start, near.end);
        while low < high {
            let middle = low + (high - low) / 2;
            let timestamp = || self.timestamp(middle * group_entries);
            if compare_keys(self.first_key(middle), target.key)
                .then_with(|| target.timestamp.cmp(&timestamp()))
                .is_le()
            {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let Some(group) = low.checked_sub(1) else { return 0 };
        let group = self.group(group);
        // The group's first key is not after the target, so a target without the prefix is after all of them.
        let Some(rest) = target.key.strip_prefix(self.group_prefix(&group)) else { return group.end };
        let (mut low, mut high) = (group.first, group.end);
        while low < high {
            let middle = low + (high - low) / 2;
            let timestamp = || self.timestamp(middle);
            if compare_keys(self.key_rest(&group, middle), rest)
                .then_with(|| target.timestamp.cmp(&timestamp()))
                .is_lt()
            {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

#[inline]
fn offset_at(bytes: &[u8], width: usize, at: usize, index: usize) -> usize {
    if width == 2 {
        usize::from(u16_at(bytes, at + 2 * index).unwrap_or_default())
    } else {
        u32_at(bytes, at + 4 * index).unwrap_or_default() as usize
    }
}

impl Layout {
    /// The trailer's fields, and that the columns they describe fill the block exactly.
    fn read(bytes: &[u8]) -> Result<Layout, Malformed> {
        let body = bytes
            .len()
            .checked_sub(BLOCK_TRAILER_BYTES)
            .ok_or(Malformed("block shorter than its trailer"))?;
        let trailer = bytes.get(body..).unwrap_or_default();
        let layout =
            Self::read_fields(trailer, body).ok_or(Malformed("block columns do not fit the block"))?;
        if layout.group_entries() == 0
            || !matches!(layout.key_width(), 2 | 4)
            || !matches!(layout.value_width(), 0 | 2 | 4)
            || !matches!(layout.timestamp_width(), 0 | 1 | 2 | 4 | 8)
        {
            return Err(Malformed("unknown column width"));
        }
        if layout.values_end() != body {
            Err(Malformed("block columns do not fill the block"))
        } else {
            Ok(layout)
        }
    }

    fn read_fields(mut trailer: &[u8], body: usize) -> Option<Layout> {
        let entries = take_u32(&mut trailer)? as usize;
        let keys_length = take_u32(&mut trailer)? as usize;
        let values_length = take_u32(&mut trailer)? as usize;
        let value_length_constant = take_u32(&mut trailer)? as usize;
        let timestamp_base = take_u64(&mut trailer)?;
        let group_entries = take_u16(&mut trailer)?;
        let key_width = take_u8(&mut trailer)?;
        let value_width = take_u8(&mut trailer)?;
        let timestamp_width = take_u8(&mut trailer)?;
        let kind_byte = take_u8(&mut trailer)?;
        let hash_index = take_u16(&mut trailer)?;
        let reserved = take_u64(&mut trailer)?;
        // Kept for a hash index over the block; a writer that knows one will raise the format version.
        if hash_index != 0 || reserved != 0 || entries > body {
            return None;
        }
        let kind_constant = match kind_byte {
            0 => None,
            byte => Some(ValueKind::from_byte(byte)?),
        };
        let groups = if group_entries == 0 { 0 } else { entries.div_ceil(usize::from(group_entries)) };
        let restarts_at = entries.checked_mul(usize::from(key_width))?;
        let timestamps_at = restarts_at.checked_add(groups.checked_mul(4)?)?;
        let kinds_at = timestamps_at.checked_add(entries.checked_mul(usize::from(timestamp_width))?)?;
        let value_offsets_at = kinds_at.checked_add(if kind_constant.is_some() { 0 } else { entries })?;
        let keys_at = value_offsets_at.checked_add(entries.checked_mul(usize::from(value_width))?)?;
        let values_at = keys_at.checked_add(keys_length)?;
        let values_end = values_at.checked_add(values_length)?;
        let offset = |at: usize| u32::try_from(at).ok();
        Some(Layout {
            timestamp_base,
            entries: offset(entries)?,
            groups: offset(groups)?,
            value_length_constant: offset(value_length_constant)?,
            restarts_at: offset(restarts_at)?,
            timestamps_at: offset(timestamps_at)?,
            kinds_at: offset(kinds_at)?,
            value_offsets_at: offset(value_offsets_at)?,
            keys_at: offset(keys_at)?,
            values_at: offset(values_at)?,
            values_end: offset(values_end)?,
            group_entries,
            key_width,
            value_width,
            timestamp_width,
            kind_constant,
        })
    }
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
