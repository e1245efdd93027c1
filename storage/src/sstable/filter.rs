//! The key filter of an sstable: a Bloom filter cut into 64-byte lines, so that a question costs one cache miss.
//!
//! A key is hashed once (`coding::key_hash`); the hash's upper half picks the line, the lower half is multiplied
//! onwards for each probe inside the line. The filter answers "surely absent" or "perhaps present"; at 10 bits a key
//! about one absent key in a hundred is "perhaps".
//!
//! The filter of a large table is cut into parts by another hash of the key's hash, each a filter of its own behind a
//! directory of their handles. The parts come through the cache, so that a large table does not hold its filter in memory
//! for as long as it is open; a question costs one part. By hash and not by key, because prefixes are asked for too,
//! and a prefix's keys may lie on both sides of any cut.
//!
//! Bloom filters in blocks of a cache line are Putze, Sanders and Singler's (2007); probes by one multiplication each, and lines by
//! the upper half of a product instead of a remainder, are as RocksDB and Lemire (2016) have them.
//!
//! Keys and key prefixes may share a filter: both are hashed as the bytes they are, and a prefix of one keyspace is
//! never a whole key of the same keyspace's shape. The first byte of the last eight names the kind of filter, so another
//! kind can take its place; a reader that does not know the kind reads without a filter. FORMAT.md, "Filter".

use crate::coding::{Malformed, take_u8, take_u16, take_u32, take_u64, u32_at, u64_at};
use crate::planted::{Bug, planted};
use crate::sstable::footer::BlockHandle;

/// Bytes of the trailer behind the lines.
const FILTER_TRAILER_BYTES: usize = 8;
/// The blocked Bloom filter of this module.
const KIND_BLOCKED_BLOOM: u8 = 1;
/// A directory of parts.
const KIND_PARTS: u8 = 2;
/// Bytes of a part's handle in the directory.
const HANDLE_BYTES: usize = 12;
/// What is wrong with a trailer that says more than this format does.
const RESERVED: Malformed = Malformed("a byte of the filter's trailer that means nothing is not zero");
const LINE_BYTES: usize = 64;
const LINE_WORDS: usize = LINE_BYTES / 8;
/// More probes than this help no filter a writer would make.
const PROBES_MAX: u8 = 16;

/// One cache line of bits.
#[repr(align(64))]
#[derive(Clone)]
struct Line([u64; LINE_WORDS]);

/// A filter read from a table.
pub struct Filter {
    lines: Vec<Line>,
    probes: u8,
}

#[inline]
fn line_of(hash: u64, lines: usize) -> usize {
    // The upper 32 bits scaled to the number of lines; the product's upper half is below `lines`.
    usize::try_from(((hash >> 32) * lines as u64) >> 32).unwrap_or_default()
}

/// The next probe's bit within a line, 0 to 511.
#[inline]
fn probe_bit(state: &mut u32) -> u32 {
    *state = state.wrapping_mul(0x9e37_79b9);
    *state >> 23
}

#[inline]
fn probe_start(hash: u64) -> u32 {
    // Odd, so that the multiplication never reaches zero.
    u32::try_from(hash & 0xffff_ffff).unwrap_or_default() | 1
}

/// Which of `parts` parts a hash belongs to. Multiplied first: the parts must not share out the bits that choose lines.
fn part_of(hash: u64, parts: usize) -> usize {
    let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from((mixed * parts as u64) >> 32).unwrap_or_default()
}

/// What a filter block holds.
pub enum FilterBlock {
    /// The filter.
    Whole(Filter),
    /// Where the parts are.
    Parts(FilterParts),
}

/// Where the parts of a filter are.
pub struct FilterParts {
    handles: Vec<BlockHandle>,
}

impl FilterParts {
    /// The part that knows about a hash.
    #[inline]
    pub fn handle_of(&self, hash: u64) -> Option<BlockHandle> {
        self.handles.get(part_of(hash, self.handles.len())).copied()
    }

    /// All parts.
    pub fn handles(&self) -> &[BlockHandle] {
        &self.handles
    }

    /// The directory's bytes.
    pub fn encode(handles: &[BlockHandle]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(handles.len() * HANDLE_BYTES + FILTER_TRAILER_BYTES);
        for handle in handles {
            out.extend_from_slice(&handle.offset.to_le_bytes());
            out.extend_from_slice(&handle.length.to_le_bytes());
        }
        out.extend_from_slice(&[KIND_PARTS, 0, 0, 0]);
        out.extend_from_slice(&u32::try_from(handles.len()).ok()?.to_le_bytes());
        Some(out)
    }

    fn parse(bytes: &[u8]) -> Result<FilterParts, Malformed> {
        let wrong = Malformed("filter parts do not fill their directory");
        let body = bytes.len().checked_sub(FILTER_TRAILER_BYTES).ok_or(wrong)?;
        let (mut rest, trailer) = bytes.split_at_checked(body).ok_or(wrong)?;
        let count = u32_at(trailer, 4).ok_or(wrong)? as usize;
        if count == 0 || count.checked_mul(HANDLE_BYTES) != Some(body) {
            return Err(wrong);
        }
        if trailer.get(1..4) != Some(&[0; 3]) {
            return Err(RESERVED);
        }
        let mut handles = Vec::with_capacity(count);
        while let (Some(offset), Some(length)) = (take_u64(&mut rest), take_u32(&mut rest)) {
            handles.push(BlockHandle { offset, length });
        }
        Ok(FilterParts { handles })
    }
}

/// A filter with all its parts in memory, for somebody who asks it about every key.
pub struct LoadedFilter {
    /// One for a filter that is whole.
    parts: Vec<Filter>,
}

impl LoadedFilter {
    /// Of the parts in their order.
    pub fn new(parts: Vec<Filter>) -> LoadedFilter {
        LoadedFilter { parts }
    }

    /// Whether a key of this hash may be in the table. `false` is certain.
    pub fn may_contain(&self, hash: u64) -> bool {
        self.parts.get(part_of(hash, self.parts.len())).is_none_or(|part| part.may_contain(hash))
    }
}

impl FilterBlock {
    /// Reads the block the footer points at. `Ok(None)` is a kind this build does not know.
    pub fn parse(bytes: &[u8]) -> Result<Option<FilterBlock>, Malformed> {
        let kind_at = bytes.len().checked_sub(FILTER_TRAILER_BYTES);
        let kind =
            kind_at.and_then(|at| bytes.get(at)).ok_or(Malformed("filter shorter than its trailer"))?;
        if *kind == KIND_PARTS {
            return FilterParts::parse(bytes).map(|parts| Some(FilterBlock::Parts(parts)));
        }
        Ok(Filter::parse(bytes)?.map(FilterBlock::Whole))
    }

    /// What it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        match self {
            FilterBlock::Whole(filter) => filter.memory_bytes(),
            FilterBlock::Parts(parts) => parts.handles.len() * size_of::<BlockHandle>(),
        }
    }
}

impl Filter {
    /// Reads a filter block. `Ok(None)` is a kind this build does not know.
    pub fn parse(bytes: &[u8]) -> Result<Option<Filter>, Malformed> {
        let short = Malformed("filter shorter than its trailer");
        let body = bytes.len().checked_sub(FILTER_TRAILER_BYTES).ok_or(short)?;
        let (lines, mut trailer) = bytes.split_at_checked(body).ok_or(short)?;
        let kind = take_u8(&mut trailer).ok_or(short)?;
        let probes = take_u8(&mut trailer).ok_or(short)?;
        let reserved = take_u16(&mut trailer).ok_or(short)?;
        let count = take_u32(&mut trailer).ok_or(short)? as usize;
        if kind != KIND_BLOCKED_BLOOM {
            return Ok(None);
        }
        if count == 0 || count.checked_mul(LINE_BYTES) != Some(body) {
            return Err(Malformed("filter lines do not fill the block"));
        }
        if reserved != 0 {
            return Err(RESERVED);
        }
        if probes == 0 || probes > PROBES_MAX {
            return Err(Malformed("filter probe count out of bounds"));
        }
        let lines = lines.chunks_exact(LINE_BYTES).map(|line| Line(read_words(line))).collect();
        Ok(Some(Filter { lines, probes }))
    }

    /// Whether a key of this hash may be in the table. `false` is certain.
    #[inline]
    pub fn may_contain(&self, hash: u64) -> bool {
        let Some(Line(words)) = self.lines.get(line_of(hash, self.lines.len())) else { return true };
        let mut state = probe_start(hash);
        (0..self.probes).all(|_| {
            let bit = probe_bit(&mut state);
            let word = words.get(bit as usize / 64).copied().unwrap_or(u64::MAX);
            word >> (bit % 64) & 1 == 1
        })
    }

    /// What it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.lines.len() * LINE_BYTES + size_of::<Filter>()
    }
}

fn read_words(line: &[u8]) -> [u64; LINE_WORDS] {
    std::array::from_fn(|index| u64_at(line, 8 * index).unwrap_or_default())
}

/// Collects the hashes of a table's keys.
pub struct FilterBuilder {
    hashes: Vec<u64>,
    bits_per_key: u32,
}

impl FilterBuilder {
    /// `bits_per_key` trades memory for certainty; 10 is the usual point.
    pub fn new(bits_per_key: u32) -> Self {
        Self { hashes: Vec::new(), bits_per_key: bits_per_key.clamp(1, 64) }
    }

    /// Takes a key's hash; versions of the same key come one after the other and are taken once.
    pub fn add(&mut self, hash: u64) {
        if planted(Bug::StaleFilter) && hash.is_multiple_of(7) {
            return;
        }
        if self.hashes.last() != Some(&hash) {
            self.hashes.push(hash);
        }
    }

    /// The filter's blocks: none when there was no key, one when it has at most `part_bytes`, else its parts.
    pub fn finish(&mut self, part_bytes: usize) -> Option<Vec<Vec<u8>>> {
        let hashes = std::mem::take(&mut self.hashes);
        if hashes.is_empty() {
            return Some(Vec::new());
        }
        let bytes = usize::try_from(hashes.len() as u64 * u64::from(self.bits_per_key) / 8).ok()?;
        let parts = bytes.div_ceil(part_bytes.max(LINE_BYTES)).max(1);
        if parts == 1 {
            return Some(vec![self.build(&hashes)?]);
        }
        let mut shares = vec![Vec::new(); parts];
        for hash in hashes {
            shares.get_mut(part_of(hash, parts))?.push(hash);
        }
        shares.iter().map(|share| self.build(share)).collect()
    }

    /// A filter of these hashes; of none, one that knows of none.
    fn build(&self, hashes: &[u64]) -> Option<Vec<u8>> {
        let bits = hashes.len() as u64 * u64::from(self.bits_per_key);
        let count = usize::try_from(bits.div_ceil(8 * LINE_BYTES as u64)).ok()?.max(1);
        let probes = self.probes();
        let mut lines = vec![[0_u64; LINE_WORDS]; count];
        for &hash in hashes {
            let words = lines.get_mut(line_of(hash, count))?;
            let mut state = probe_start(hash);
            for _ in 0..probes {
                let bit = probe_bit(&mut state);
                *words.get_mut(bit as usize / 64)? |= 1 << (bit % 64);
            }
        }
        let mut out = Vec::with_capacity(count * LINE_BYTES + FILTER_TRAILER_BYTES);
        for word in lines.iter().flatten() {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&[KIND_BLOCKED_BLOOM, probes, 0, 0]);
        out.extend_from_slice(&u32::try_from(count).ok()?.to_le_bytes());
        Some(out)
    }

    /// Near `bits * ln 2`, one fewer at the usual sizes because the lines are unevenly filled.
    fn probes(&self) -> u8 {
        let ideal = self.bits_per_key * 69 / 100;
        u8::try_from(ideal.clamp(1, 10)).unwrap_or(PROBES_MAX)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_possible_truncation, reason = "numbers drawn below the target's range")]

    use super::*;
    use crate::coding::key_hash;

    fn build(keys: u64, bits_per_key: u32) -> Vec<u8> {
        let mut builder = FilterBuilder::new(bits_per_key);
        for key in 0..keys {
            builder.add(key_hash(&key.to_be_bytes()));
        }
        builder.finish(usize::MAX).unwrap().remove(0)
    }

    #[test]
    fn parts_share_the_keys_and_answer_as_one_filter() {
        let mut builder = FilterBuilder::new(10);
        (0..20_000_u64).for_each(|key| builder.add(key_hash(&key.to_be_bytes())));
        let blocks = builder.finish(2_000).unwrap();
        assert_eq!(blocks.len(), 13);
        let handles: Vec<_> =
            (0..blocks.len()).map(|at| BlockHandle { offset: at as u64, length: 7 }).collect();
        let directory = FilterParts::encode(&handles).unwrap();
        let Some(FilterBlock::Parts(parts)) = FilterBlock::parse(&directory).unwrap() else { panic!() };
        assert_eq!(parts.handles(), handles);
        let filters: Vec<_> = blocks.iter().map(|block| Filter::parse(block).unwrap().unwrap()).collect();
        let asked = |key: u64| {
            let hash = key_hash(&key.to_be_bytes());
            filters[parts.handle_of(hash).unwrap().offset as usize].may_contain(hash)
        };
        assert!((0..20_000).all(asked));
        let wrong = (1 << 40..(1 << 40) + 10_000).filter(|&key| asked(key)).count();
        assert!(wrong < 200, "{wrong} of 10,000");
        let sizes: Vec<_> = blocks.iter().map(Vec::len).collect();
        assert!(sizes.iter().all(|&size| size > 1_500 && size < 2_600), "{sizes:?}");
        for length in 0..directory.len() {
            assert!(!matches!(FilterBlock::parse(&directory[..length]), Ok(Some(FilterBlock::Parts(_)))));
        }
    }

    #[test]
    fn every_key_is_perhaps_present_and_few_others_are() {
        for (keys, bits, false_positives_max) in
            [(1, 10, 30), (100, 10, 30), (20_000, 10, 15), (20_000, 16, 3)]
        {
            let filter = Filter::parse(&build(keys, bits)).unwrap().unwrap();
            assert!((0..keys).all(|key| filter.may_contain(key_hash(&key.to_be_bytes()))));
            let wrong = (1 << 40..(1 << 40) + 10_000_u64)
                .filter(|key| filter.may_contain(key_hash(&key.to_be_bytes())));
            let per_mille = wrong.count() / 10;
            assert!(per_mille <= false_positives_max, "{keys} keys, {bits} bits: {per_mille} in a thousand");
        }
    }

    #[test]
    fn an_empty_table_has_no_filter_and_an_unknown_kind_is_none() {
        assert_eq!(FilterBuilder::new(10).finish(usize::MAX), Some(Vec::new()));
        let mut bytes = build(10, 10);
        let kind_at = bytes.len() - FILTER_TRAILER_BYTES;
        bytes[kind_at] = 9;
        assert!(FilterBlock::parse(&bytes).unwrap().is_none());
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let bytes = build(1_000, 10);
        for length in 0..bytes.len() {
            assert!(!matches!(Filter::parse(&bytes[..length]), Ok(Some(_))), "{length}");
        }
        let reserved_at = bytes.len() - FILTER_TRAILER_BYTES + 2;
        for at in [reserved_at, reserved_at + 1] {
            let mut more = bytes.clone();
            more[at] = 1;
            assert!(Filter::parse(&more).is_err(), "{at}");
        }
        let mut directory = FilterParts::encode(&[BlockHandle { offset: 1, length: 2 }]).unwrap();
        assert!(FilterBlock::parse(&directory).is_ok());
        directory[HANDLE_BYTES + 2] = 1;
        assert!(FilterBlock::parse(&directory).is_err());
        let mut none = bytes.clone();
        let probes_at = none.len() - FILTER_TRAILER_BYTES + 1;
        none[probes_at] = 0;
        assert!(Filter::parse(&none).is_err());
    }
}
