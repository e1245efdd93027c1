//! What gets a place in the cache and keeps it: traces of reads, of which the hits are counted.

use super::*;

const BUDGET_BYTES: u64 = 6 << 20;
/// Where the blocks of a scan start, each seen once.
const SCANNED: u64 = 1 << 40;

/// A cache, and who reads through it.
struct Trace {
    cache: Arc<BlockCache>,
    budget_bytes: u64,
    item_bytes: usize,
    scanned: u64,
}

impl Trace {
    fn new(budget_bytes: u64, item_bytes: usize) -> Trace {
        Trace { cache: Arc::new(BlockCache::new(budget_bytes)), budget_bytes, item_bytes, scanned: SCANNED }
    }

    /// Items that fill `percent` of the cache.
    fn items(&self, percent: u64) -> u64 {
        self.budget_bytes * percent / 100 / (self.item_bytes as u64 + ITEM_OVERHEAD_BYTES)
    }

    /// Reads an item, and keeps it if it was not there; whether it was.
    fn read(&self, offset: u64) -> bool {
        let is_hit = self.cache.get(1, offset).is_some();
        if !is_hit {
            let charge = self.cache.charge(self.item_bytes as u64);
            let value = LargeValue::new(vec![0; self.item_bytes], charge);
            self.cache.insert(1, offset, Cached::Value(Arc::new(value)));
        }
        is_hit
    }

    /// Reads so many items that were never read before.
    fn scan(&mut self, items: u64) {
        for _ in 0..items {
            self.scanned += 1;
            assert!(!self.read(self.scanned));
        }
    }

    /// Reads items from the first one up to `items`, with `beside` scanned ones for each. Returns the hits in percent.
    fn cycle(&mut self, items: u64, beside: u64) -> u64 {
        let mut hits = 0;
        for offset in 0..items {
            hits += u64::from(self.read(offset));
            self.scan(beside);
        }
        hits * 100 / items
    }
}

#[test]
#[cfg_attr(miri, ignore = "many reads, and no unsafe code of ours")]
fn a_hot_set_enters_a_cache_full_of_what_was_scanned() {
    for (budget_bytes, item_bytes, beside) in [
        (BUDGET_BYTES, 8 << 10, 0),
        (BUDGET_BYTES, 8 << 10, 1),
        (BUDGET_BYTES, 8 << 10, 2),
        (BUDGET_BYTES, 4 << 10, 1),
        (BUDGET_BYTES, 32 << 10, 1),
        (512 << 10, 8 << 10, 1),
        (16 << 20, 8 << 10, 1),
    ] {
        let mut trace = Trace::new(budget_bytes, item_bytes);
        let case = format!("{budget_bytes} bytes, items of {item_bytes}, {beside} beside");
        trace.scan(trace.items(300));
        let hot = trace.items(60);
        let hits = (0..6).map(|_| trace.cycle(hot, beside)).collect::<Vec<_>>();
        assert!(hits[4..].iter().all(|hits| *hits > 80), "{case}: {hits:?}");
        // And a scan alone does not throw it out again.
        trace.scan(trace.items(500));
        let kept = trace.cycle(hot, 0);
        assert!(kept > 90, "{case}: {kept} % kept");
    }
}

#[test]
#[cfg_attr(miri, ignore = "many reads, and no unsafe code of ours")]
fn a_hot_set_still_enters_after_many_changes_of_capacity() {
    let mut trace = Trace::new(BUDGET_BYTES, 8 << 10);
    trace.scan(trace.items(300));
    for step in 0..3_000 {
        drop(trace.cache.pin(100_000 + step % 7 * 10_000).unwrap());
    }
    let hot = trace.items(60);
    let hits = (0..6).map(|_| trace.cycle(hot, 1)).collect::<Vec<_>>();
    assert!(hits[4..].iter().all(|hits| *hits > 80), "{hits:?}");
}

#[test]
#[cfg_attr(miri, ignore = "many reads, and no unsafe code of ours")]
fn one_scan_does_not_evict_what_was_read_first() {
    let mut trace = Trace::new(BUDGET_BYTES, 8 << 10);
    let hot = trace.items(60);
    trace.cycle(hot, 0);
    assert_eq!(trace.cycle(hot, 0), 100);
    trace.scan(trace.items(1_000));
    assert!(trace.cycle(hot, 0) > 90);
}

#[test]
#[cfg_attr(miri, ignore = "many reads, and no unsafe code of ours")]
fn a_scan_that_comes_round_finds_a_part_of_what_it_read() {
    for percent in [150, 250, 400] {
        let mut trace = Trace::new(BUDGET_BYTES, 8 << 10);
        let items = trace.items(percent);
        let hits = (0..8).map(|_| trace.cycle(items, 0)).collect::<Vec<_>>();
        let mean = hits[3..].iter().sum::<u64>() / 5;
        // What is used least lately first would hit nothing; nobody can hit more than what fits.
        assert!(mean * percent > 25 * 100, "{percent} %: {hits:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "many reads, and no unsafe code of ours")]
fn the_bookkeeping_is_what_is_charged_for_it() {
    let mut trace = Trace::new(BUDGET_BYTES, 8 << 10);
    trace.scan(trace.items(1_000));
    let taken = trace.cache.blocks.memory_used();
    let taken = (taken.entries + taken.map + trace.cache.let_go.memory_bytes()) as u64;
    let charged = trace.cache.statistics().items * ITEM_OVERHEAD_BYTES;
    assert!(taken <= charged * 2 && charged <= taken * 2, "{taken} taken, {charged} charged");
}
