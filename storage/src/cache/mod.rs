//! The one cache of blocks and large values, charged in bytes.
//!
//! Scan-resistant (CLOCK-Pro's hot and cold items, by quick_cache; which of those that come back are hot is decided by
//! [`let_go`]), shared by all sstables and blob files of a store. An item is found by who holds it and where it starts:
//! every opened file draws a number of its own, so a file number used by two tablets, or a file replaced after a failed
//! open, can not be mistaken for another.
//!
//! Who comes from an index finds its block without asking here, by the slots of [`crate::sstable::children`]; what is let
//! go leaves its slot.
//!
//! It also keeps the account of the store's one memory budget. Six parts share it:
//!
//! | part | charged when | given back when |
//! |---|---|---|
//! | memtables, log buffer | reserved by the tablet at every seal and flush | flushed and no longer read |
//! | transactions' own writes, locks and read sets | written, locked, read | the transaction and its views end |
//! | open files (index roots, filters, range tombstones) | opened | closed |
//! | live blocks and large values, cached | loaded | evicted and no longer read |
//! | live blocks and large values, held by readers after eviction | as above | the last reader drops them |
//! | bookkeeping of the cache | per item | evicted |
//!
//! The cache is the part that gives way: its capacity is what the others leave, up to `cache_bytes` and down to an eighth of
//! that. Only when that does not suffice is somebody refused: a write waits for flushes first, a read fails at
//! once. Jobs of the store itself (flush, compaction) are charged and never refused a block, for they are what
//! gives memory back.

mod let_go;
mod read_counters;

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

pub use read_counters::{FilterStatistics, ReadCounters};

use crate::cache::let_go::LetGo;
use crate::error::{Error, Result};
use crate::sstable::block::Block;
use crate::sstable::filter::Filter;

/// Bookkeeping per item: its slot, its key, its counters, and what is remembered of those that were let go.
const ITEM_OVERHEAD_BYTES: u64 = 112;
/// The cache is in shards, each with a lock of its own and a share of the capacity: so many per core, of this size at least.
const SHARDS_PER_CORE: usize = 4;
const SHARD_BYTES_MIN: u64 = 4 << 20;
/// Of a shard, what is cold: what was read once, and is let go before anything hot is. What is larger takes the place of hot
/// items, so it is at least eight blocks, but for caches so small that this would be more than half.
const COLD_SHARE: f64 = 0.03;
const COLD_BYTES_MIN: u64 = 64 << 10;
const COLD_SHARE_MAX: f64 = 0.5;
/// What comes back before so many capacities were let go is there to stay: enough for a set that takes most of the capacity and is
/// read in turns with twice as much of a scan. With more, a scan of a few capacities over and over would throw out what it has
/// here before it comes round.
const CAPACITIES_REMEMBERED: u64 = 2;
/// However much is taken by others, this share of the cache's budget stays for blocks.
const CAPACITY_SHARE_MIN: u64 = 8;
/// There is room as long as this share of the capacity is free.
const ROOM_SHARE: u64 = 16;
/// Files are small when together they have no more than so many times the bytes of the capacity.
const FILES_PER_CAPACITY: u64 = 2;
/// While the cache lets go less than this part of its budget, it need not be told twice that an item is used.
const TURNS: u64 = 256;
/// After so many loads the capacity is fitted to what readers hold by now.
const LOADS_BETWEEN_FITS: u64 = 1_024;

/// Which file, and where in it.
type Place = (u64, u64);

/// Something cached.
#[derive(Clone)]
pub enum Cached {
    /// A parsed block.
    Block(Arc<Block>),
    /// A part of a filter.
    Filter(Arc<FilterPart>),
    /// A large value's bytes.
    Value(Arc<LargeValue>),
}

/// A part of a filter in memory.
pub struct FilterPart {
    filter: Filter,
    _charge: Charge,
}

impl FilterPart {
    /// With its place in the account.
    pub fn new(filter: Filter, charge: Charge) -> FilterPart {
        FilterPart { filter, _charge: charge }
    }

    /// The filter.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }
}

/// A large value in memory.
pub struct LargeValue {
    bytes: Vec<u8>,
    _charge: Charge,
}

impl LargeValue {
    /// With its place in the account.
    pub fn new(bytes: Vec<u8>, charge: Charge) -> LargeValue {
        LargeValue { bytes, _charge: charge }
    }
}

impl AsRef<[u8]> for LargeValue {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes of a block or value that is in memory, until it is dropped.
pub struct Charge {
    live_bytes: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.live_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Place, Cached> for ByBytes {
    fn weight(&self, _: &Place, item: &Cached) -> u64 {
        let held = match item {
            Cached::Block(block) => block.memory_bytes(),
            Cached::Filter(part) => part.filter.memory_bytes(),
            Cached::Value(value) => value.bytes.len(),
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

/// Takes blocks that are let go out of the slots that lead to them, and remembers what was let go after one use.
#[derive(Clone)]
struct LettingGo(Arc<LetGo>);

impl Lifecycle<Place, Cached> for LettingGo {
    /// What is let go is dropped when the cache is no longer locked.
    type RequestState = Vec<Cached>;

    fn on_evict_cold(&self, gone: &mut Vec<Cached>, place: Place, item: Cached) {
        self.0.note(hash(place), ByBytes.weight(&place, &item));
        self.on_evict(gone, place, item);
    }

    fn on_evict(&self, gone: &mut Vec<Cached>, place: Place, item: Cached) {
        self.0.count(ByBytes.weight(&place, &item));
        if let Cached::Block(block) = &item {
            block.home().leave(block);
        }
        gone.push(item);
    }
}

type BuildPlaceHasher = std::hash::BuildHasherDefault<PlaceHasher>;

fn hash(place: Place) -> u64 {
    BuildPlaceHasher::default().hash_one(place)
}

type Blocks = Cache<Place, Cached, ByBytes, BuildPlaceHasher, LettingGo>;

/// A cache of `budget_bytes` that has no ghosts of its own.
fn empty(budget_bytes: u64, let_go: &Arc<LetGo>) -> Blocks {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let large_enough = usize::try_from(budget_bytes / SHARD_BYTES_MIN).unwrap_or(usize::MAX).max(1);
    // A power of two: quick_cache would take the next higher one.
    let shards = 1 << (SHARDS_PER_CORE * cores).min(large_enough).ilog2();
    let shard_bytes = (budget_bytes / shards as u64).max(1);
    let cold = (COLD_BYTES_MIN as f64 / shard_bytes as f64).clamp(COLD_SHARE, COLD_SHARE_MAX);
    let mut options = OptionsBuilder::new();
    options.shards(shards).hot_allocation(1.0 - cold).ghost_allocation(0.0);
    // The estimate is for the ghosts, and would change the number of shards if it were low.
    options.weight_capacity(budget_bytes).estimated_items_capacity(usize::MAX);
    #[expect(clippy::expect_used, reason = "it fails where one of the two capacities is not given")]
    let options = options.build().expect("both capacities are given");
    let letting_go = LettingGo(Arc::clone(let_go));
    Cache::with_options(options, ByBytes, BuildPlaceHasher::default(), letting_go)
}

/// The cache.
pub struct BlockCache {
    blocks: Blocks,
    /// What left `blocks` lately.
    let_go: Arc<LetGo>,
    /// Of `blocks`.
    capacity_bytes: AtomicU64,
    budget_bytes: u64,
    /// What all parts may take together.
    memory_bytes: u64,
    pinned_bytes: AtomicU64,
    /// Lengths of the open sstables and blob files.
    file_bytes: AtomicU64,
    /// Memtables and buffers.
    reserved_bytes: AtomicU64,
    /// What transactions hold.
    transaction_bytes: AtomicU64,
    /// Blocks and large values in memory, cached or only held by readers.
    live_bytes: Arc<AtomicU64>,
    loads: AtomicU64,
    next_holder: AtomicU64,
    /// How the cache and the filters of the open files do.
    pub counters: ReadCounters,
}

/// What the cache holds and how it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatistics {
    /// Bytes of cached items with their bookkeeping.
    pub used_bytes: u64,
    /// Bytes held by open files, taken from its capacity.
    pub pinned_bytes: u64,
    /// Bytes of blocks and values that are no longer cached and still held by somebody.
    pub held_bytes: u64,
    /// Bytes of transactions' own writes, of the keys they have locked, and of what they have read.
    pub transaction_bytes: u64,
    /// What the cache and open files may take.
    pub budget_bytes: u64,
    /// What everything may take.
    pub memory_bytes: u64,
    /// Items.
    pub items: u64,
    /// Lookups that found their item.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// How filters have done.
    pub filters: FilterStatistics,
}

impl BlockCache {
    /// A cache of `budget_bytes`, and no limit on everything else.
    pub fn new(budget_bytes: u64) -> BlockCache {
        BlockCache::within(budget_bytes, u64::MAX)
    }

    /// A cache of at most `budget_bytes` and an account of `memory_bytes`.
    pub fn within(budget_bytes: u64, memory_bytes: u64) -> BlockCache {
        let let_go = Arc::new(LetGo::new(budget_bytes));
        BlockCache {
            blocks: empty(budget_bytes, &let_go),
            let_go,
            capacity_bytes: AtomicU64::new(budget_bytes),
            budget_bytes,
            memory_bytes,
            pinned_bytes: AtomicU64::new(0),
            file_bytes: AtomicU64::new(0),
            reserved_bytes: AtomicU64::new(0),
            transaction_bytes: AtomicU64::new(0),
            live_bytes: Arc::default(),
            loads: AtomicU64::new(0),
            next_holder: AtomicU64::new(1),
            counters: ReadCounters::default(),
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
        self.counters.note_asked(found.is_some());
        found
    }

    /// Whether there is an item of `holder` at `offset`, for who does not want it yet.
    pub fn holds(&self, holder: u64, offset: u64) -> bool {
        self.blocks.contains_key(&(holder, offset))
    }

    /// A number from 1 on that is another one whenever the cache has let go a part of its budget.
    pub fn turn(&self) -> u8 {
        let turns = self.let_go.all_bytes() / (self.budget_bytes / TURNS).max(1);
        u8::try_from(turns % u64::from(u8::MAX)).unwrap_or_default() + 1
    }

    /// Keeps an item for a while; for long, if it was let go only lately.
    pub fn insert(&self, holder: u64, offset: u64, item: Cached) {
        let place = (holder, offset);
        let lately = self.capacity_bytes.load(Ordering::Relaxed).saturating_mul(CAPACITIES_REMEMBERED);
        let comes_back = self.let_go.take(hash(place), lately);
        self.blocks.insert(place, item);
        if comes_back {
            // A use, which makes it hot when its turn to go comes.
            let _used = self.blocks.get(&place);
        }
    }

    /// Lets an item go that nobody will ask for again.
    pub fn forget(&self, holder: u64, offset: u64) {
        self.blocks.remove(&(holder, offset));
    }

    /// Lets all items of `holder` go. Looks at every item there is.
    pub fn forget_all(&self, holder: u64) {
        self.blocks.retain(|place, _| place.0 != holder);
    }

    /// Charges `bytes` of an open file until the charge is dropped; refused when they do not fit.
    pub fn pin(self: &Arc<Self>, bytes: u64) -> Result<Pinned> {
        self.make_room(bytes)?;
        self.pinned_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.fit();
        Ok(Pinned { cache: Arc::clone(self), bytes })
    }

    /// Charges what a transaction is about to hold; refused when it does not fit although the cache gave way.
    pub fn admit_transaction(&self, bytes: u64) -> Result<()> {
        self.make_room(bytes)?;
        self.add_transaction(bytes);
        Ok(())
    }

    /// Charges what a transaction holds, whatever is left.
    pub fn add_transaction(&self, bytes: u64) {
        self.transaction_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes back what transactions were charged.
    pub fn remove_transaction(&self, bytes: u64) {
        if bytes > 0 {
            self.transaction_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Says what memtables and buffers take now.
    pub fn reserve(&self, bytes: u64) {
        if self.reserved_bytes.swap(bytes, Ordering::Relaxed) != bytes {
            self.fit();
        }
    }

    /// Charges a block or value that has been loaded, and its bookkeeping, whatever is left.
    pub fn charge(&self, bytes: u64) -> Charge {
        let bytes = bytes + ITEM_OVERHEAD_BYTES;
        self.live_bytes.fetch_add(bytes, Ordering::Relaxed);
        Charge { live_bytes: Arc::clone(&self.live_bytes), bytes }
    }

    /// Fails if `bytes` more for a reader pass the budget although the cache gave way.
    pub fn admit_load(&self, bytes: u64) -> Result<()> {
        if self.loads.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOADS_BETWEEN_FITS) {
            self.fit();
        }
        self.make_room(bytes + ITEM_OVERHEAD_BYTES)
    }

    /// What could be taken, by a write, if the cache gave way; `None` when the others alone are over the budget.
    pub fn room_bytes(&self) -> Option<u64> {
        let taken = self.firm_bytes().saturating_add(self.held_bytes());
        self.memory_bytes.checked_sub(taken)?.checked_sub(self.budget_bytes / CAPACITY_SHARE_MIN)
    }

    /// Whether everything together is over the budget now, before the cache gives way.
    pub fn is_over(&self) -> bool {
        self.firm_bytes().saturating_add(self.live_bytes.load(Ordering::Relaxed)) > self.memory_bytes
    }

    /// Whether it pays to read more than is wanted: another item would cost none its place, and the open files are small
    /// enough that most of them will be in memory, here or at the system's, before long.
    pub fn has_room(&self) -> bool {
        let capacity = self.blocks.capacity();
        self.file_bytes.load(Ordering::Relaxed) <= capacity.saturating_mul(FILES_PER_CAPACITY)
            && self.blocks.weight() + capacity / ROOM_SHARE < capacity
    }

    /// Counts the bytes of a file that is opened.
    pub fn add_file(&self, bytes: u64) {
        self.file_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes back what [`Self::add_file`] counted.
    pub fn remove_file(&self, bytes: u64) {
        self.file_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What everything may take.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// What is reserved for memtables and buffers.
    #[cfg(test)]
    pub fn reserved_bytes(&self) -> u64 {
        self.reserved_bytes.load(Ordering::Relaxed)
    }

    /// What does not give way: open files, memtables, buffers, transactions.
    fn firm_bytes(&self) -> u64 {
        [&self.pinned_bytes, &self.reserved_bytes, &self.transaction_bytes]
            .into_iter()
            .fold(0, |sum, part| sum.saturating_add(part.load(Ordering::Relaxed)))
    }

    /// Blocks and values in memory that are not cached.
    fn held_bytes(&self) -> u64 {
        self.live_bytes.load(Ordering::Relaxed).saturating_sub(self.blocks.weight())
    }

    fn make_room(&self, bytes: u64) -> Result<()> {
        let fits = || {
            let taken = self.firm_bytes().saturating_add(self.live_bytes.load(Ordering::Relaxed));
            taken.saturating_add(bytes) <= self.memory_bytes
        };
        if fits() {
            return Ok(());
        }
        self.fit_beside(bytes);
        if fits() {
            return Ok(());
        }
        Err(Error::MemoryExceeded(format!(
            "{bytes} bytes more do not fit: of {} bytes, memtables and buffers take {}, open files {}, transactions {}, blocks that are held {}",
            self.memory_bytes,
            self.reserved_bytes.load(Ordering::Relaxed),
            self.pinned_bytes.load(Ordering::Relaxed),
            self.transaction_bytes.load(Ordering::Relaxed),
            self.held_bytes()
        )))
    }

    fn fit(&self) {
        self.fit_beside(0);
    }

    /// Gives the cache the capacity that the others, and `bytes` about to be taken, leave it.
    fn fit_beside(&self, bytes: u64) {
        let own = self.budget_bytes.saturating_sub(self.pinned_bytes.load(Ordering::Relaxed));
        let mut left = own;
        if self.memory_bytes < u64::MAX {
            let others = self.firm_bytes().saturating_add(self.held_bytes()).saturating_add(bytes);
            left = own.min(self.memory_bytes.saturating_sub(others));
        }
        let capacity = left.max(self.budget_bytes / CAPACITY_SHARE_MIN);
        self.capacity_bytes.store(capacity, Ordering::Relaxed);
        self.blocks.set_capacity(capacity);
    }

    /// The figures.
    pub fn statistics(&self) -> CacheStatistics {
        let (hits, misses) = self.counters.hits_and_misses();
        CacheStatistics {
            used_bytes: self.blocks.weight(),
            pinned_bytes: self.pinned_bytes.load(Ordering::Relaxed),
            held_bytes: self.held_bytes(),
            transaction_bytes: self.transaction_bytes.load(Ordering::Relaxed),
            budget_bytes: self.budget_bytes,
            memory_bytes: self.memory_bytes,
            items: self.blocks.len() as u64,
            hits,
            misses,
            filters: self.counters.filters(),
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
#[path = "admission_tests.rs"]
mod admission_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn value(cache: &BlockCache, length: usize) -> Arc<LargeValue> {
        Arc::new(LargeValue::new(vec![0; length], cache.charge(length as u64)))
    }

    #[test]
    fn what_is_cached_stays_within_the_budget() {
        let cache = Arc::new(BlockCache::new(1 << 20));
        for offset in 0..2_000 {
            cache.insert(1, offset, Cached::Value(value(&cache, 4_000)));
        }
        assert!(cache.statistics().used_bytes <= 1 << 20);
        assert!(cache.statistics().items > 100);
        let pinned = cache.pin(512 << 10).unwrap();
        assert!(cache.statistics().used_bytes <= 512 << 10, "a pinned half leaves half");
        drop(pinned);
        for offset in 0..2_000 {
            cache.insert(2, offset, Cached::Value(value(&cache, 4_000)));
        }
        assert!(cache.statistics().used_bytes > 700 << 10);
    }

    #[test]
    fn the_cache_gives_way_and_then_somebody_is_refused() {
        let cache = Arc::new(BlockCache::within(1 << 20, 2 << 20));
        let fill = || {
            for offset in 0..600 {
                cache.insert(1, offset, Cached::Value(value(&cache, 4_000)));
            }
        };
        fill();
        assert!(cache.statistics().used_bytes > 700 << 10);
        cache.reserve(1_500 << 10);
        assert!(cache.statistics().used_bytes <= 548 << 10, "memtables take from the cache");
        cache.reserve(0);
        fill();
        // What readers hold counts even when the cache has let it go.
        let held: Vec<_> = (0..400).map(|_| value(&cache, 4_000)).collect();
        assert_eq!(cache.statistics().held_bytes, 400 * (4_000 + ITEM_OVERHEAD_BYTES));
        cache.admit_load(300_000).unwrap();
        assert!(cache.statistics().used_bytes < 300 << 10);
        assert!(matches!(cache.admit_load(500_000), Err(Error::MemoryExceeded(_))));
        assert!(matches!(cache.pin(500_000), Err(Error::MemoryExceeded(_))));
        assert!(cache.room_bytes().unwrap() < 400_000);
        drop(held);
        cache.admit_load(500_000).unwrap();
        assert_eq!(cache.statistics().held_bytes, 0);
        assert!(cache.room_bytes().unwrap() > 1_500_000);
    }

    #[test]
    fn there_is_room_while_the_files_are_small_and_the_cache_is_not_full() {
        let cache = BlockCache::new(1 << 20);
        assert!(cache.has_room());
        cache.add_file(3 << 20);
        assert!(!cache.has_room(), "files of three times the capacity");
        cache.remove_file(2 << 20);
        assert!(cache.has_room());
        for offset in 0..2_000 {
            cache.insert(1, offset, Cached::Value(value(&cache, 4_000)));
        }
        assert!(!cache.has_room(), "full");
    }

    #[test]
    fn an_item_is_its_holders_alone() {
        let cache = BlockCache::new(1 << 20);
        let (first, second) = (cache.draw_holder(), cache.draw_holder());
        cache.insert(first, 0, Cached::Value(value(&cache, 10)));
        assert!(cache.get(first, 0).is_some());
        assert!(cache.get(second, 0).is_none());
        assert!(cache.get(first, 1).is_none());
        assert_eq!((cache.statistics().hits, cache.statistics().misses), (1, 2));
    }
}
