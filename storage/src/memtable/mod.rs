//! The in-memory sorted buffer of recent writes.
//!
//! Point entries are in a [`skiplist`]; range deletes are few and are kept apart, fragmented again when the next reader
//! asks. A memtable is written by one committer at a time and read by everybody; a sealed one is no longer written.

mod key_index;
mod skiplist;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::coding::key_hash;
use crate::entry::ValueKind;
use crate::range_tombstone::{RangeTombstone, RangeTombstones};
use crate::timestamp::Timestamp;

pub use skiplist::Cursor as MemtableCursor;
pub use skiplist::NewEntry;
use skiplist::Skiplist;

/// Range deletes, and their fragments once somebody asked.
#[derive(Default)]
struct Ranges {
    all: Vec<RangeTombstone>,
    fragmented: Option<Arc<RangeTombstones>>,
}

/// A memtable.
pub struct Memtable {
    list: Arc<Skiplist>,
    ranges: Mutex<Ranges>,
    has_ranges: AtomicBool,
    entries: AtomicUsize,
    range_bytes: AtomicUsize,
    timestamp_min: AtomicU64,
    timestamp_max: AtomicU64,
}

/// What a memtable says about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    /// When it was committed.
    pub timestamp: Timestamp,
    /// Put, delete, or a blob handle.
    pub kind: ValueKind,
    /// The value or the handle.
    pub value: &'a [u8],
}

impl Default for Memtable {
    fn default() -> Self {
        Self::new()
    }
}

impl Memtable {
    /// An empty memtable.
    pub fn new() -> Self {
        Self::for_about(0)
    }

    /// An empty memtable which is going to hold about `entries_expected` entries, or any other number.
    pub fn for_about(entries_expected: usize) -> Self {
        Self {
            list: Arc::new(Skiplist::new(entries_expected)),
            ranges: Mutex::default(),
            has_ranges: AtomicBool::new(false),
            entries: AtomicUsize::new(0),
            range_bytes: AtomicUsize::new(0),
            timestamp_min: AtomicU64::new(u64::MAX),
            timestamp_max: AtomicU64::new(0),
        }
    }

    /// Takes the memory at once that is otherwise taken when the first entries come: what depends on how many are expected.
    pub fn make_ready(&self) {
        self.list.make_ready();
    }

    /// Adds a version of a key. A second insert of the same key and timestamp takes the first one's place for readers.
    pub fn insert(&self, key: &[u8], timestamp: Timestamp, kind: ValueKind, value: &[u8]) {
        self.insert_all(timestamp, [NewEntry { key, kind, value }]);
    }

    /// Adds versions of keys, all of one timestamp.
    pub fn insert_all<'a>(&self, timestamp: Timestamp, entries: impl IntoIterator<Item = NewEntry<'a>>) {
        let inserted = self.list.insert_all(timestamp, entries);
        if inserted > 0 {
            self.note(timestamp, inserted);
        }
    }

    /// Deletes all versions below `timestamp` of the keys from `start` up to `end`.
    pub fn insert_range_delete(&self, start: &[u8], end: &[u8], timestamp: Timestamp) {
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        ranges.all.push(RangeTombstone { start: start.to_vec(), end: end.to_vec(), timestamp });
        ranges.fragmented = None;
        self.range_bytes.fetch_add(start.len() + end.len() + size_of::<RangeTombstone>(), Ordering::Relaxed);
        self.has_ranges.store(true, Ordering::Release);
        self.note(timestamp, 1);
    }

    fn note(&self, timestamp: Timestamp, entries: usize) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.timestamp_min.fetch_min(timestamp.0, Ordering::Relaxed);
        self.timestamp_max.fetch_max(timestamp.0, Ordering::Relaxed);
    }

    /// The newest version of `key` at or below `visible`. Range deletes are asked for apart.
    pub fn get(&self, key: &[u8], visible: Timestamp) -> Option<Version<'_>> {
        self.get_hashed(key, key_hash(key), visible)
    }

    /// `get` for a caller that knows the key's [`key_hash`].
    pub fn get_hashed(&self, key: &[u8], hash: u64, visible: Timestamp) -> Option<Version<'_>> {
        let entry = self.list.get(key, hash, visible)?;
        Some(Version { timestamp: entry.timestamp(), kind: entry.kind(), value: entry.value() })
    }

    /// The newest timestamp at which `key` was written or range-deleted, for conflict checks.
    pub fn newest_timestamp(&self, key: &[u8]) -> Option<Timestamp> {
        let point = self.get(key, Timestamp::MAX).map(|version| version.timestamp);
        let range = self.range_tombstones().and_then(|ranges| ranges.newest_covering(key, Timestamp::MAX));
        point.max(range)
    }

    /// The range deletes, `None` when there is none.
    pub fn range_tombstones(&self) -> Option<Arc<RangeTombstones>> {
        if !self.has_ranges.load(Ordering::Acquire) {
            return None;
        }
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        if ranges.fragmented.is_none() {
            ranges.fragmented = Some(Arc::new(RangeTombstones::new(ranges.all.iter().cloned())));
        }
        ranges.fragmented.clone()
    }

    /// A cursor over the point entries, standing nowhere.
    pub fn cursor(&self) -> MemtableCursor {
        MemtableCursor::new(Arc::clone(&self.list))
    }

    /// Point entries and range deletes.
    pub fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.entries() == 0
    }

    /// Bytes of memory taken.
    pub fn memory_bytes(&self) -> usize {
        self.list.memory_bytes() + self.range_bytes.load(Ordering::Relaxed)
    }

    /// The oldest and the newest timestamp in it, `None` when it is empty.
    pub fn timestamps(&self) -> Option<(Timestamp, Timestamp)> {
        let (min, max) =
            (self.timestamp_min.load(Ordering::Relaxed), self.timestamp_max.load(Ordering::Relaxed));
        (!self.is_empty()).then_some((Timestamp(min), Timestamp(max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_the_newest_version_it_may_see() {
        let memtable = Memtable::new();
        assert!(memtable.is_empty() && memtable.timestamps().is_none());
        memtable.insert(b"a", Timestamp(3), ValueKind::Put, b"three");
        memtable.insert(b"a", Timestamp(7), ValueKind::Delete, b"");
        memtable.insert(b"ab", Timestamp(5), ValueKind::Put, b"other");
        assert_eq!(memtable.get(b"a", Timestamp(2)), None);
        assert_eq!(memtable.get(b"a", Timestamp(6)).unwrap().value, b"three");
        assert_eq!(memtable.get(b"a", Timestamp(9)).unwrap().kind, ValueKind::Delete);
        assert_eq!(memtable.get(b"b", Timestamp(9)), None);
        assert_eq!(memtable.timestamps(), Some((Timestamp(3), Timestamp(7))));
        assert_eq!(memtable.entries(), 3);
    }

    #[test]
    fn keys_are_found_while_the_index_grows() {
        let count = if cfg!(miri) { 60_u64 } else { 20_000 };
        let memtable = Memtable::new();
        let published = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut turn = 0_u64;
                    loop {
                        let known = published.load(Ordering::Acquire);
                        for _ in 0..known.min(50) {
                            turn += 1;
                            let number = key_hash(&turn.to_le_bytes()) % known;
                            let found = memtable.get(&number.to_le_bytes(), Timestamp(number + 1));
                            assert_eq!(found.map(|version| version.value), Some(&number.to_be_bytes()[..]));
                        }
                        if known == count {
                            return;
                        }
                    }
                });
            }
            for number in 0..count {
                memtable.insert(
                    &number.to_le_bytes(),
                    Timestamp(number + 1),
                    ValueKind::Put,
                    &number.to_be_bytes(),
                );
                published.store(number + 1, Ordering::Release);
            }
        });
    }

    #[test]
    fn range_deletes_are_seen_by_the_next_reader() {
        let memtable = Memtable::new();
        assert!(memtable.range_tombstones().is_none());
        memtable.insert(b"b", Timestamp(2), ValueKind::Put, b"v");
        memtable.insert_range_delete(b"a", b"c", Timestamp(4));
        assert!(memtable.range_tombstones().unwrap().covers(b"b", Timestamp(2), Timestamp(4)));
        memtable.insert_range_delete(b"b", b"d", Timestamp(8));
        assert_eq!(memtable.newest_timestamp(b"b"), Some(Timestamp(8)));
        assert_eq!(memtable.newest_timestamp(b"a"), Some(Timestamp(4)));
        assert_eq!(memtable.newest_timestamp(b"d"), None);
    }
}
