//! Which items the cache let go a short while ago.
//!
//! What is asked for once is let go soon, so that a scan does not throw out what is used. But a set that is read in a long
//! cycle is, each time, something asked for once. What tells it from a scan is that it comes back. So an item that comes
//! back while it is remembered here counts as used from the start, and gets a place among those that stay.
//!
//! A short while is a number of bytes let go meanwhile, not of items: blocks and large values differ much in size.
//!
//! The memory is a hash table of fixed size, in buckets of one cache line; a full bucket forgets its oldest. An entry is
//! half of a hash and the moment, so that a stranger may be taken for one that comes back, about once in a thousand million
//! times. Neither that nor an entry that two threads overwrite for each other does harm.
//!
//! quick_cache remembers too (its ghosts), as many as its capacity is expected to hold; but each change of the capacity
//! rounds their number down, so that a store that has lived for long has none left. Here nothing hangs on the capacity.

use std::sync::atomic::{AtomicU64, Ordering};

/// Entries that share a cache line.
const BUCKET_ENTRIES: usize = 8;
/// Of the budget, so many bytes for each entry: three entries for a block of the lower levels.
const BUDGET_BYTES_PER_ENTRY: u64 = 2 << 10;
/// The bytes of a moment's unit, as a power of two: 32 bits of KiB come round after 4 TiB.
const MOMENT_SHIFT: u32 = 10;
/// No entry.
const EMPTY: u64 = 0;

/// The upper half of a hash, and in the lower half the moment.
#[derive(Default)]
#[repr(align(64))]
struct Bucket([AtomicU64; BUCKET_ENTRIES]);

/// The memory.
pub(super) struct LetGo {
    buckets: Box<[Bucket]>,
    /// All that was ever let go after one use.
    bytes: AtomicU64,
    /// All that was ever let go.
    all_bytes: AtomicU64,
}

/// The half of a hash that an entry has, never that of [`EMPTY`].
fn mark(hash: u64) -> u64 {
    (hash >> 32).max(1) << 32
}

/// How long ago the moment of an entry was at the moment `now`, in units of moments.
fn age(entry: u64, now: u64) -> u64 {
    now.wrapping_sub(entry) & u64::from(u32::MAX)
}

impl LetGo {
    /// For a cache of `budget_bytes`.
    pub(super) fn new(budget_bytes: u64) -> LetGo {
        let buckets = budget_bytes / (BUDGET_BYTES_PER_ENTRY * BUCKET_ENTRIES as u64);
        let buckets = usize::try_from(buckets).unwrap_or(usize::MAX).max(1);
        LetGo {
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
            bytes: AtomicU64::new(0),
            all_bytes: AtomicU64::new(0),
        }
    }

    fn bucket(&self, hash: u64) -> &[AtomicU64] {
        let low = hash & u64::from(u32::MAX);
        let at = usize::try_from(low).unwrap_or_default() % self.buckets.len().max(1);
        self.buckets.get(at).map_or(&[], |bucket| &bucket.0)
    }

    /// Counts an item of `bytes` that is let go.
    pub(super) fn count(&self, bytes: u64) {
        self.all_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The bytes of all items that were let go.
    pub(super) fn all_bytes(&self) -> u64 {
        self.all_bytes.load(Ordering::Relaxed)
    }

    /// Remembers that an item of `bytes` is let go now.
    pub(super) fn note(&self, hash: u64, bytes: u64) {
        let now = self.bytes.fetch_add(bytes, Ordering::Relaxed) >> MOMENT_SHIFT;
        let worth = |slot: &&AtomicU64| {
            let entry = slot.load(Ordering::Relaxed);
            let is_free = entry == EMPTY || entry & !u64::from(u32::MAX) == mark(hash);
            if is_free { u64::MAX } else { age(entry, now) }
        };
        if let Some(slot) = self.bucket(hash).iter().max_by_key(worth) {
            slot.store(mark(hash) | now & u64::from(u32::MAX), Ordering::Relaxed);
        }
    }

    /// Whether an item that is loaded was let go while less than `bytes` were. It is forgotten with that.
    pub(super) fn take(&self, hash: u64, bytes: u64) -> bool {
        let now = self.bytes.load(Ordering::Relaxed) >> MOMENT_SHIFT;
        for slot in self.bucket(hash) {
            let entry = slot.load(Ordering::Relaxed);
            if entry & !u64::from(u32::MAX) == mark(hash) {
                slot.store(EMPTY, Ordering::Relaxed);
                return age(entry, now) <= bytes >> MOMENT_SHIFT;
            }
        }
        false
    }

    /// Bytes of memory taken.
    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xf39c_c060_5ced_c835)
    }

    #[test]
    fn what_comes_back_in_time_is_known_once() {
        let gone = LetGo::new(1 << 20);
        gone.note(hash(1), 8 << 10);
        gone.note(hash(2), 8 << 10);
        assert!(!gone.take(hash(3), 1 << 20));
        assert!(gone.take(hash(1), 1 << 20));
        assert!(!gone.take(hash(1), 1 << 20), "it is let go no longer");
        gone.note(hash(4), 1 << 20);
        assert!(!gone.take(hash(2), 1 << 20), "more than so much was let go meanwhile");
    }

    #[test]
    fn a_moment_may_come_round() {
        let gone = LetGo::new(1 << 20);
        gone.note(hash(1), (1 << (32 + MOMENT_SHIFT)) - (4 << 10));
        gone.note(hash(2), 8 << 10);
        gone.note(hash(3), 8 << 10);
        assert!(gone.take(hash(2), 16 << 10) && gone.take(hash(3), 16 << 10));
    }

    #[test]
    #[cfg_attr(miri, ignore = "many entries, and no unsafe code of ours")]
    fn most_of_what_fills_half_of_it_is_known() {
        let gone = LetGo::new(8 << 20);
        let entries = (8 << 20) / BUDGET_BYTES_PER_ENTRY;
        (0..entries / 2).for_each(|number| gone.note(hash(number), 8 << 10));
        let known = (0..entries / 2).filter(|number| gone.take(hash(*number), u64::MAX)).count() as u64;
        assert!(known * 100 > 95 * (entries / 2), "{known} of {}", entries / 2);
        let strangers = (0..entries).filter(|number| gone.take(hash(number + (1 << 40)), u64::MAX)).count();
        assert_eq!(strangers, 0);
    }

    #[test]
    fn what_is_let_go_twice_is_remembered_by_the_second_time() {
        let gone = LetGo::new(1 << 20);
        gone.note(hash(1), 8 << 10);
        gone.note(hash(2), 1 << 20);
        gone.note(hash(1), 8 << 10);
        assert!(gone.take(hash(1), 64 << 10));
        assert!(!gone.take(hash(1), u64::MAX), "and once");
    }

    #[test]
    fn a_hash_whose_upper_half_is_nothing_is_no_free_place() {
        let gone = LetGo::new(1 << 20);
        assert!(!gone.take(5, u64::MAX));
        gone.note(5, 8 << 10);
        assert!(gone.take(5, 64 << 10));
        assert!(!gone.take(5, 64 << 10));
    }
}
