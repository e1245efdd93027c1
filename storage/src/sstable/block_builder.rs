//! Collects sorted entries and lays them out as one block (FORMAT.md, "Block").

use crate::entry::ValueKind;
use crate::sstable::block::BLOCK_TRAILER_BYTES;
use crate::timestamp::Timestamp;

/// Keys in a group, unless somebody says otherwise: the reach of one shared prefix, and of the second half of a seek.
pub const GROUP_ENTRIES: u16 = 16;

/// A block under construction. `finish` hands out the bytes and leaves the builder empty for the next block.
pub struct BlockBuilder {
    /// Keys in a group.
    group_entries: u16,
    /// Every key in full, one after the other.
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    timestamps: Vec<u64>,
    kinds: Vec<u8>,
    values: Vec<u8>,
    value_ends: Vec<usize>,
}

impl Default for BlockBuilder {
    fn default() -> Self {
        Self::with_groups(GROUP_ENTRIES)
    }
}

impl BlockBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty builder of blocks with so many keys in a group, at least one.
    pub fn with_groups(group_entries: u16) -> Self {
        BlockBuilder {
            group_entries: group_entries.max(1),
            keys: Vec::new(),
            key_ends: Vec::new(),
            timestamps: Vec::new(),
            kinds: Vec::new(),
            values: Vec::new(),
            value_ends: Vec::new(),
        }
    }

    /// Appends an entry; the caller keeps the order.
    pub fn add(&mut self, key: &[u8], timestamp: Timestamp, kind: ValueKind, value: &[u8]) {
        self.keys.extend_from_slice(key);
        self.key_ends.push(self.keys.len());
        self.timestamps.push(timestamp.0);
        self.kinds.push(kind.to_byte());
        self.values.extend_from_slice(value);
        self.value_ends.push(self.values.len());
    }

    /// Entries so far.
    pub fn entries(&self) -> usize {
        self.key_ends.len()
    }

    /// An upper bound, near enough to cut blocks by.
    pub fn size_estimate_bytes(&self) -> usize {
        self.keys.len() + self.values.len() + 8 * self.key_ends.len() + BLOCK_TRAILER_BYTES
    }

    /// The last key added.
    pub fn last_key(&self) -> &[u8] {
        self.key_at(self.key_ends.len().wrapping_sub(1))
    }

    /// The last version added.
    pub fn last_timestamp(&self) -> Timestamp {
        Timestamp(self.timestamps.last().copied().unwrap_or_default())
    }

    fn key_at(&self, index: usize) -> &[u8] {
        let start =
            index.checked_sub(1).and_then(|before| self.key_ends.get(before)).copied().unwrap_or_default();
        let end = self.key_ends.get(index).copied().unwrap_or_default();
        self.keys.get(start..end).unwrap_or_default()
    }

    /// Writes the block into `out` (cleared first) and empties the builder. Fails only when the block would pass
    /// 4 GiB, which the limits on keys and values rule out.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Option<()> {
        out.clear();
        let (key_offsets, restarts, key_bytes) = self.group_keys()?;
        let key_width = if key_bytes.len() <= usize::from(u16::MAX) { 2 } else { 4 };
        for offset in &key_offsets {
            put_offset(out, key_width, *offset);
        }
        for restart in &restarts {
            out.extend_from_slice(&restart.to_le_bytes());
        }
        let (base, timestamp_width) = self.put_timestamps(out);
        let kind_byte = self.put_kinds(out);
        let (value_width, value_length) = self.put_value_offsets(out)?;
        out.extend_from_slice(&key_bytes);
        out.extend_from_slice(&self.values);

        out.extend_from_slice(&u32::try_from(self.key_ends.len()).ok()?.to_le_bytes());
        out.extend_from_slice(&u32::try_from(key_bytes.len()).ok()?.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.values.len()).ok()?.to_le_bytes());
        out.extend_from_slice(&value_length.to_le_bytes());
        out.extend_from_slice(&base.to_le_bytes());
        out.extend_from_slice(&self.group_entries.to_le_bytes());
        out.extend_from_slice(&[key_width, value_width, timestamp_width, kind_byte]);
        out.extend_from_slice(&[0; 10]);
        self.clear();
        Some(())
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.key_ends.clear();
        self.timestamps.clear();
        self.kinds.clear();
        self.values.clear();
        self.value_ends.clear();
    }

    /// Where each key's rest starts, where each group starts, and the key bytes both count in.
    fn group_keys(&self) -> Option<(Vec<u32>, Vec<u32>, Vec<u8>)> {
        let (entries, group_entries) = (self.key_ends.len(), usize::from(self.group_entries));
        let mut offsets = Vec::with_capacity(entries);
        let mut restarts = Vec::with_capacity(entries.div_ceil(group_entries));
        let mut bytes = Vec::with_capacity(self.keys.len());
        let mut shared = 0;
        for index in 0..entries {
            let key = self.key_at(index);
            if index % group_entries == 0 {
                let last = (index + group_entries).min(entries) - 1;
                shared = shared_prefix_length(key, self.key_at(last));
                restarts.push(u32::try_from(bytes.len()).ok()?);
                bytes.extend_from_slice(key.get(..shared)?);
            }
            offsets.push(u32::try_from(bytes.len()).ok()?);
            bytes.extend_from_slice(key.get(shared..)?);
        }
        Some((offsets, restarts, bytes))
    }

    fn put_timestamps(&self, out: &mut Vec<u8>) -> (u64, u8) {
        let base = self.timestamps.iter().min().copied().unwrap_or_default();
        let span = self.timestamps.iter().max().copied().unwrap_or_default() - base;
        let width = match span {
            0 => 0,
            1..=0xff => 1,
            0x100..=0xffff => 2,
            0x1_0000..=0xffff_ffff => 4,
            _ => 8,
        };
        for timestamp in &self.timestamps {
            let delta = (timestamp - base).to_le_bytes();
            out.extend_from_slice(delta.get(..usize::from(width)).unwrap_or_default());
        }
        (base, width)
    }

    /// The one kind all entries have, or 0 with the column written.
    fn put_kinds(&self, out: &mut Vec<u8>) -> u8 {
        let first = self.kinds.first().copied().unwrap_or(ValueKind::Put.to_byte());
        if self.kinds.iter().all(|&kind| kind == first) {
            return first;
        }
        out.extend_from_slice(&self.kinds);
        0
    }

    /// The width of the ends column, 0 when every value has the returned length.
    fn put_value_offsets(&self, out: &mut Vec<u8>) -> Option<(u8, u32)> {
        let first = self.value_ends.first().copied().unwrap_or_default();
        let mut previous = 0;
        let constant = self.value_ends.iter().all(|&end| {
            let length = end - previous;
            previous = end;
            length == first
        });
        if constant {
            return Some((0, u32::try_from(first).ok()?));
        }
        let width = if self.values.len() <= usize::from(u16::MAX) { 2 } else { 4 };
        for &end in &self.value_ends {
            put_offset(out, width, u32::try_from(end).ok()?);
        }
        Some((width, 0))
    }
}

fn put_offset(out: &mut Vec<u8>, width: u8, offset: u32) {
    let bytes = offset.to_le_bytes();
    out.extend_from_slice(bytes.get(..usize::from(width)).unwrap_or_default());
}

/// How many leading bytes `a` and `b` share.
pub fn shared_prefix_length(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// The shortest key that is at or after `left` and before `right`; `left` itself when none is shorter. Index entries
/// need only tell two blocks apart.
pub fn shortest_separator(left: &[u8], right: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let shared = shared_prefix_length(left, right);
    if let (Some(&low), Some(&high)) = (left.get(shared), right.get(shared))
        && low < 0xff
        && low + 1 < high
    {
        out.extend_from_slice(left.get(..shared).unwrap_or_default());
        out.push(low + 1);
        return;
    }
    // The differing byte leaves no room between (or `left` is a prefix of `right`): go one byte further in `left`.
    let rest = left.get(shared + 1..).unwrap_or_default();
    match rest.iter().position(|&byte| byte < 0xff) {
        Some(more) if shared < right.len() && shared < left.len() => {
            out.extend_from_slice(left.get(..shared + 1 + more).unwrap_or_default());
            out.push(rest.get(more).copied().unwrap_or_default() + 1);
        }
        _ => out.extend_from_slice(left),
    }
}
