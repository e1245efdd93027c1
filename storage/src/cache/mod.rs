//! The one cache of blocks and large values, charged in bytes.
//!
//! Scan-resistant (S3-FIFO, by quick_cache), shared by all sstables and blob files of a store. An item is found by who
//! holds it and where it starts: every opened file draws a number of its own, so a file number used by two tablets, or a
//! file replaced after a failed open, can not be mistaken for another.
//!
//! What readers hold outside the cache (index roots, filters) is charged too: it takes its bytes from the cache's
//! capacity, so that both together stay within the budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use crate::sstable::block::Block;

/// Bookkeeping per item: its slot, its key, its counters.
const ITEM_OVERHEAD_BYTES: u64 = 96;
/// What the capacity is taken to hold when the table of slots is sized.
const ITEM_BYTES_EXPECTED: u64 = 4 << 10;
/// However much is pinned, this share of the budget stays for blocks.
const CAPACITY_SHARE_MIN: u64 = 8;

/// Which file, and where in it.
type Place = (u64, u64);

/// Something cached.
#[derive(Clone)]
pub enum Cached {
    /// A parsed block.
    Block(Arc<Block>),
    /// A large value's bytes.
    Value(Arc<Vec<u8>>),
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Place, Cached> for ByBytes {
    fn weight(&self, _: &Place, item: &Cached) -> u64 {
        let held = match item {
            Cached::Block(block) => block.memory_bytes(),
            Cached::Value(bytes) => bytes.len(),
        };
        held as u64 + ITEM_OVERHEAD_BYTES
    }
}

/// Multiplies and folds the two halves: offsets are near multiples of the block size, so low bits alone say little.
#[derive(Clone, Default)]
struct PlaceHasher(u64);

impl std::hash::Hasher for PlaceHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let bytes = product.to_le_bytes();
        let (low, high) = bytes.split_at(8);
        let half = |part: &[u8]| part.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        self.0 = half(low) ^ half(high);
    }
}

type BuildPlaceHasher = std::hash::BuildHasherDefault<PlaceHasher>;
type Blocks = Cache<Place, Cached, ByBytes, BuildPlaceHasher, DefaultLifecycle<Place, Cached>>;

/// The cache.
pub struct BlockCache {
    blocks: Blocks,
    budget_bytes: u64,
    pinned_bytes: AtomicU64,
    next_holder: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What the cache holds and how it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatistics {
    /// Bytes of cached items with their bookkeeping.
    pub used_bytes: u64,
    /// Bytes held by readers outside it, taken from its capacity.
    pub pinned_bytes: u64,
    /// What both may take.
    pub budget_bytes: u64,
    /// Items.
    pub items: u64,
    /// Lookups that found their item.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
}

impl BlockCache {
    /// A cache of `budget_bytes`.
    pub fn new(budget_bytes: u64) -> BlockCache {
        let items = usize::try_from(budget_bytes / ITEM_BYTES_EXPECTED).unwrap_or(usize::MAX).max(16);
        let blocks = Cache::with(
            items,
            budget_bytes,
            ByBytes,
            BuildPlaceHasher::default(),
            DefaultLifecycle::default(),
        );
        BlockCache {
            blocks,
            budget_bytes,
            pinned_bytes: AtomicU64::new(0),
            next_holder: AtomicU64::new(1),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// A number for a newly opened file.
    pub fn draw_holder(&self) -> u64 {
        self.next_holder.fetch_add(1, Ordering::Relaxed)
    }

    /// The item of `holder` at `offset`.
    #[inline]
    pub fn get(&self, holder: u64, offset: u64) -> Option<Cached> {
        let found = self.blocks.get(&(holder, offset));
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps an item for a while.
    pub fn insert(&self, holder: u64, offset: u64, item: Cached) {
        self.blocks.insert((holder, offset), item);
    }

    /// Charges `bytes` held outside until the charge is dropped.
    pub fn pin(self: &Arc<Self>, bytes: u64) -> Pinned {
        self.pinned_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.fit();
        Pinned { cache: Arc::clone(self), bytes }
    }

    fn fit(&self) {
        let left = self.budget_bytes.saturating_sub(self.pinned_bytes.load(Ordering::Relaxed));
        self.blocks.set_capacity(left.max(self.budget_bytes / CAPACITY_SHARE_MIN));
    }

    /// The figures.
    pub fn statistics(&self) -> CacheStatistics {
        CacheStatistics {
            used_bytes: self.blocks.weight(),
            pinned_bytes: self.pinned_bytes.load(Ordering::Relaxed),
            budget_bytes: self.budget_bytes,
            items: self.blocks.len() as u64,
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}

/// Bytes charged to the cache's budget; dropping it gives them back.
pub struct Pinned {
    cache: Arc<BlockCache>,
    bytes: u64,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.cache.pinned_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.cache.fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(length: usize) -> Cached {
        Cached::Value(Arc::new(vec![0; length]))
    }

    #[test]
    fn what_is_cached_stays_within_the_budget() {
        let cache = Arc::new(BlockCache::new(1 << 20));
        for offset in 0..2_000 {
            cache.insert(1, offset, value(4_000));
        }
        assert!(cache.statistics().used_bytes <= 1 << 20);
        assert!(cache.statistics().items > 100);
        let pinned = cache.pin(512 << 10);
        assert!(cache.statistics().used_bytes <= 512 << 10, "a pinned half leaves half");
        drop(pinned);
        for offset in 0..2_000 {
            cache.insert(2, offset, value(4_000));
        }
        assert!(cache.statistics().used_bytes > 700 << 10);
    }

    #[test]
    fn an_item_is_its_holders_alone() {
        let cache = BlockCache::new(1 << 20);
        let (first, second) = (cache.draw_holder(), cache.draw_holder());
        cache.insert(first, 0, value(10));
        assert!(cache.get(first, 0).is_some());
        assert!(cache.get(second, 0).is_none());
        assert!(cache.get(first, 1).is_none());
        assert_eq!((cache.statistics().hits, cache.statistics().misses), (1, 2));
    }
}
