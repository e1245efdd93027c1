//! Where the newest version of each key stands: a hash table beside the sorted list.
//!
//! A lookup of one key in the list costs a comparison, and most of the time a cache miss, per level; here it costs one or
//! two in all, and a key that is not in the memtable costs none of the list. The list stays what orders, and what older
//! versions are found in.
//!
//! Open addressing with linear probing, at most two thirds full, nothing ever removed. One writer at a time, readers
//! without locks: the writer stores the node first and the hash after it (release), so a reader that sees the hash
//! (acquire) sees the node.
//!
//! A table that is full is followed by one twice as large, to which every insert after moves a few slots: to move all at once
//! would make one insert in many wait for milliseconds. Until all are moved the new table names the old one, and a key is in
//! exactly one of two places: in the slots of the old table that are not moved yet, where a newer version replaces it as
//! ever, or in the new table.
//!
//! ```text
//!   old       [ moved: copies, nobody's concern | not moved: still the keys' place ]
//!                                               ^ moved_slots
//!   current   [ keys moved, and keys that are new since                            ]   previous -> old, null at the end
//! ```
//!
//! A reader reads `previous` first, then looks into the current table, then into the previous one if there was one. What was
//! published before it came it finds: in the current table if it was there by then; else in the old one, which nothing ever
//! leaves. If `previous` was null (acquire, after the last move's release), all is in the current one.
//!
//! The old table stays until the index is dropped, because a reader may still look at it. All old tables together are
//! smaller than the current one. A reader with an old table misses what was added later, which is above the timestamp it
//! reads at: a timestamp is published after its writes are in the table, and read before the table is.
//!
//! A slot takes 12 bytes: the low 32 bits of the key's hash, which place it and are compared before the key is, and the
//! node. A table has any number of slots, so that an index whose keys were foretold takes no more memory than they need: the
//! hash, as a fraction of 2^32, is where in the table its slot is.

#![expect(unsafe_code, reason = "tables shared between one writer and many readers; see the essay")]

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use crate::prefetch::prefetch_address;
use crate::sync::ordered::{AtomicPtr, AtomicU32};

/// Slots of a new index. Few where all orders of steps are tried, so that some of them grow it.
const SLOTS_MIN: usize = if cfg!(loom) { 2 } else { 16 };
/// So many slots of the previous table an insert moves. A table of `s` slots is followed by one that is full after `2/3 s` keys
/// more; to move all takes `1/4 s` inserts.
const MOVED_PER_INSERT: usize = if cfg!(loom) { 1 } else { 4 };
/// A page of memory, about.
const PAGE_BYTES: usize = 4096;
/// What an empty slot holds instead of a hash.
const EMPTY: u32 = 0;

/// One size of the table.
struct Table<T> {
    hashes: Box<[AtomicU32]>,
    nodes: Box<[AtomicPtr<T>]>,
    /// The table before, while there are keys in it that are not here; null otherwise.
    previous: AtomicPtr<Table<T>>,
}

/// The index. `T` is the list's node.
pub(super) struct KeyIndex<T> {
    current: AtomicPtr<Table<T>>,
}

/// What only the writer touches: every table there was, the current one last. It owns them.
pub(super) struct KeyIndexWriter<T> {
    tables: Vec<NonNull<Table<T>>>,
    /// Keys in the current table.
    used: usize,
    /// So many slots of the table before are moved, if the current one still names it.
    moved_slots: usize,
    /// Slots of the second table at least.
    slots_expected: usize,
}

impl<T> Drop for KeyIndexWriter<T> {
    fn drop(&mut self) {
        for table in &self.tables {
            // SAFETY: leaked from a box in `Table::pinned`, and freed nowhere else.
            drop(unsafe { Box::from_raw(table.as_ptr()) });
        }
    }
}

impl<T> KeyIndexWriter<T> {
    /// The table that is filled now.
    fn current(&self) -> Option<&Table<T>> {
        // SAFETY: tables live as long as the writer, and nobody has one for changing it: what changes in them is atomic.
        self.tables.last().map(|table| unsafe { table.as_ref() })
    }

    /// The table whose keys are being moved to the current one.
    fn previous(&self) -> Option<&Table<T>> {
        let previous = NonNull::new(self.current()?.previous.load(Ordering::Relaxed))?;
        // SAFETY: as in `current`; it is one of the writer's tables.
        Some(unsafe { previous.as_ref() })
    }
}

/// The low bits of a hash, never [`EMPTY`].
fn short(hash: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
    let low = hash as u32;
    low.max(EMPTY + 1)
}

/// A slice of zeros, which the system gives page by page when they are first touched.
#[cfg(not(loom))]
fn zeros<A>(length: usize) -> Box<[A]> {
    // SAFETY: only called for atomic integers and pointers, for which all bits zero is a value: 0, and null.
    unsafe { Box::new_zeroed_slice(length).assume_init() }
}

impl<T> Table<T> {
    #[cfg(not(loom))]
    fn new(slots: usize) -> Self {
        const { assert!(EMPTY == 0) };
        Self { hashes: zeros(slots), nodes: zeros(slots), previous: AtomicPtr::default() }
    }

    #[cfg(loom)]
    fn new(slots: usize) -> Self {
        let hashes = (0..slots).map(|_| AtomicU32::new(EMPTY)).collect();
        let nodes = (0..slots).map(|_| AtomicPtr::default()).collect();
        Self { hashes, nodes, previous: AtomicPtr::default() }
    }

    /// Has the system give all of an empty table's memory now, and not when keys come.
    fn touch(&self) {
        let (hashes, nodes) = (self.hashes.iter(), self.nodes.iter());
        hashes.step_by(PAGE_BYTES / size_of::<u32>()).for_each(|hash| hash.store(EMPTY, Ordering::Relaxed));
        let pages = nodes.step_by(PAGE_BYTES / size_of::<*mut T>());
        pages.for_each(|node| node.store(std::ptr::null_mut(), Ordering::Relaxed));
    }

    /// To where it stays until [`KeyIndexWriter`] frees it.
    fn pinned(self) -> NonNull<Self> {
        NonNull::from(Box::leak(Box::new(self)))
    }

    /// Where the slots begin that a hash looks at.
    fn first(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.hashes.len() as u64) >> u32::BITS) as usize
    }

    /// The slots in the order in which a hash looks at them.
    fn probe(&self, hash: u32) -> impl Iterator<Item = (&AtomicU32, &AtomicPtr<T>)> {
        let first = self.first(hash);
        let places = (first..self.hashes.len()).chain(0..first);
        places.filter_map(|at| self.hashes.get(at).zip(self.nodes.get(at)))
    }

    /// The slot that holds a node with this hash for which `is_wanted` has an answer, and the answer.
    fn find<A>(&self, hash: u32, is_wanted: impl Fn(*mut T) -> Option<A>) -> Option<(&AtomicPtr<T>, A)> {
        for (found, slot) in self.probe(hash) {
            match found.load(Ordering::Acquire) {
                EMPTY => return None,
                other if other != hash => {}
                _ => {
                    if let Some(answer) = is_wanted(slot.load(Ordering::Acquire)) {
                        return Some((slot, answer));
                    }
                }
            }
        }
        None
    }

    /// Puts a node where no key like it is.
    fn place(&self, hash: u32, node: *mut T) {
        let free = self.probe(hash).find(|(found, _)| found.load(Ordering::Relaxed) == EMPTY);
        if let Some((found, slot)) = free {
            slot.store(node, Ordering::Relaxed);
            found.store(hash, Ordering::Release);
        }
    }

    fn bytes(&self) -> usize {
        self.hashes.len() * (size_of::<AtomicU32>() + size_of::<AtomicPtr<T>>())
    }
}

impl<T> KeyIndex<T> {
    /// An empty index, and what its writer needs. It begins small whatever is expected, and goes straight to the size for
    /// `keys_expected` when it is first full: each doubling on the way would move all keys to other places in memory.
    pub(super) fn new(keys_expected: usize) -> (Self, KeyIndexWriter<T>) {
        let table = Table::new(SLOTS_MIN).pinned();
        let current = AtomicPtr::new(table.as_ptr());
        let slots_expected = (keys_expected + keys_expected / 2).next_multiple_of(SLOTS_MIN);
        (Self { current }, KeyIndexWriter { tables: vec![table], used: 0, moved_slots: 0, slots_expected })
    }

    /// Brings near the slot of a key with this hash, which is going to be inserted.
    pub(super) fn prefetch(&self, writer: &KeyIndexWriter<T>, hash: u64) {
        let Some(table) = writer.current() else { return };
        let at = table.first(short(hash));
        if let (Some(found), Some(slot)) = (table.hashes.get(at), table.nodes.get(at)) {
            prefetch_address(std::ptr::from_ref(found).cast());
            prefetch_address(std::ptr::from_ref(slot).cast());
        }
    }

    /// The node of the key with this hash that `is_key` recognises.
    ///
    /// # Safety
    /// The writer that came with this index is still there: it owns the tables.
    pub(super) unsafe fn get(&self, hash: u64, is_key: impl Fn(*mut T) -> bool) -> Option<*mut T> {
        // SAFETY: by the caller's promise; tables are never freed before.
        let table = unsafe { &*self.current.load(Ordering::Acquire) };
        // Before the table is looked into: see the essay.
        let previous = table.previous.load(Ordering::Acquire);
        let hash = short(hash);
        let node = |node| is_key(node).then_some(node);
        if let Some((_, found)) = table.find(hash, node) {
            return Some(found);
        }
        // SAFETY: as above.
        let previous = unsafe { previous.as_ref() }?;
        previous.find(hash, node).map(|(_, found)| found)
    }

    /// Makes `node` what its key leads to. `relation` says of a node with the same hash whether it has another key
    /// (`None`), or whether it is to be replaced. Returns by how many bytes the index has grown.
    pub(super) fn insert(
        &self,
        writer: &mut KeyIndexWriter<T>,
        hash: u64,
        node: *mut T,
        relation: impl Fn(*mut T) -> Option<bool>,
    ) -> usize {
        let hash = short(hash);
        self.move_slots(writer, MOVED_PER_INSERT);
        let here = writer.current().and_then(|table| table.find(hash, &relation));
        // A key moved is found here, before its copy there.
        let known = here.or_else(|| writer.previous().and_then(|table| table.find(hash, &relation)));
        if let Some((slot, replace)) = known {
            if replace {
                slot.store(node, Ordering::Release);
            }
            return 0;
        }
        let slots = writer.current().map_or(0, |table| table.hashes.len());
        let grown = if 3 * (writer.used + 1) > 2 * slots { self.grow(writer, false) } else { 0 };
        if let Some(table) = writer.current() {
            table.place(hash, node);
            writer.used += 1;
        }
        grown
    }

    /// Goes straight to the size for the keys expected, and takes the memory for it; returns by how many bytes the index has
    /// grown.
    pub(super) fn make_ready(&self, writer: &mut KeyIndexWriter<T>) -> usize {
        let slots = writer.current().map_or(0, |table| table.hashes.len());
        if writer.slots_expected > slots { self.grow(writer, true) } else { 0 }
    }

    /// Moves the next `count` slots of the table before, if there are any left.
    fn move_slots(&self, writer: &mut KeyIndexWriter<T>, count: usize) {
        let (Some(current), Some(previous)) = (writer.current(), writer.previous()) else { return };
        let (from, mut moved) = (writer.moved_slots, 0);
        let end = from.saturating_add(count).min(previous.hashes.len());
        for (hash, node) in previous.hashes.iter().zip(&previous.nodes).take(end).skip(from) {
            let hash = hash.load(Ordering::Relaxed);
            if hash != EMPTY {
                current.place(hash, node.load(Ordering::Relaxed));
                moved += 1;
            }
        }
        if end == previous.hashes.len() {
            current.previous.store(std::ptr::null_mut(), Ordering::Release);
        }
        writer.moved_slots = end;
        writer.used += moved;
    }

    /// Goes on with a table twice as large, whose memory is there at once if it is to be touched.
    fn grow(&self, writer: &mut KeyIndexWriter<T>, touch: bool) -> usize {
        // Of two tables at a time: inserts have moved all by now, unless nothing was inserted.
        self.move_slots(writer, usize::MAX);
        let Some(old) = writer.current() else { return 0 };
        let table = Table::new((2 * old.hashes.len()).max(writer.slots_expected));
        if touch {
            table.touch();
        }
        table.previous.store(std::ptr::from_ref(old).cast_mut(), Ordering::Relaxed);
        let (bytes, table) = (table.bytes(), table.pinned());
        self.current.store(table.as_ptr(), Ordering::Release);
        writer.tables.push(table);
        (writer.used, writer.moved_slots) = (0, 0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes are numbers here; two of them have the same key when they are equal modulo 1,000.
    fn index(nodes: &mut [u64], hash: impl Fn(u64) -> u64) -> (KeyIndex<u64>, KeyIndexWriter<u64>) {
        let (index, mut writer) = KeyIndex::new(0);
        for node in nodes {
            let number = *node;
            // SAFETY: nodes outlive the index in these tests.
            let relation =
                |other: *mut u64| unsafe { (*other % 1_000 == number % 1_000).then_some(*other <= number) };
            index.insert(&mut writer, hash(number % 1_000), &raw mut *node, relation);
        }
        (index, writer)
    }

    fn find(index: &KeyIndex<u64>, key: u64, hash: u64) -> Option<u64> {
        // SAFETY: the writer is kept by the test, and so are the nodes.
        unsafe { index.get(hash, |node| *node % 1_000 == key).map(|node| *node) }
    }

    /// An interpreter needs a minute for what is done in a millisecond otherwise.
    const KEYS: u64 = if cfg!(miri) { 60 } else { 900 };

    #[test]
    fn every_key_leads_to_its_newest_node_through_all_growth() {
        let spread = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let renewed = KEYS / 2;
        let mut nodes: Vec<u64> = (0..KEYS).chain(1_000..1_000 + renewed).chain(0..10).collect();
        let (index, _writer) = index(&mut nodes, spread);
        for key in 0..KEYS + 100 {
            let newest = if key < renewed { Some(key + 1_000) } else { Some(key).filter(|key| *key < KEYS) };
            assert_eq!(find(&index, key, spread(key)), newest, "{key}");
        }
    }

    #[test]
    fn an_index_grows_to_what_is_expected_at_once_and_beyond() {
        let spread = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (index, mut writer) = KeyIndex::new(100);
        let mut nodes: Vec<u64> = (0..KEYS.max(400)).collect();
        let mut slots = Vec::new();
        for node in &mut nodes {
            let hash = spread(*node);
            index.prefetch(&writer, hash);
            index.insert(&mut writer, hash, &raw mut *node, |_| None);
            slots.push(writer.current().unwrap().hashes.len());
        }
        slots.dedup();
        let expected: &[usize] =
            if cfg!(miri) { &[SLOTS_MIN, 160, 320, 640] } else { &[SLOTS_MIN, 160, 320, 640, 1_280, 2_560] };
        assert_eq!(slots, expected);
        assert!((0..KEYS).all(|key| find(&index, key, spread(key)) == Some(key)));
    }

    #[test]
    fn a_growing_index_moves_a_few_slots_with_every_insert_and_answers_meanwhile() {
        let spread = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let count = if cfg!(miri) { 30 } else { 600 };
        // Keys that are new, and between them newer versions of keys there are, and older ones that change nothing.
        let numbers = (0..count).flat_map(|key| [key, key / 2 + 1_000, key / 3]);
        let mut nodes: Vec<u64> = numbers.collect();
        let (index, mut writer) = KeyIndex::new(0);
        let mut newest = std::collections::BTreeMap::new();
        let mut moving = 0;
        for node in &mut nodes {
            let (number, key) = (*node, *node % 1_000);
            // SAFETY: nodes outlive the index.
            let relation = |other: *mut u64| unsafe { (*other % 1_000 == key).then_some(*other <= number) };
            let moved = writer.previous().map(|_| writer.moved_slots);
            index.insert(&mut writer, spread(key), &raw mut *node, relation);
            if let (Some(before), Some(previous)) = (moved, writer.previous()) {
                assert!(
                    before == writer.moved_slots.saturating_sub(MOVED_PER_INSERT) || writer.moved_slots == 0
                );
                assert!(writer.moved_slots < previous.hashes.len());
                moving += 1;
            }
            let known = newest.entry(key).or_insert(number);
            *known = number.max(*known);
            assert!(newest.iter().all(|(key, newest)| find(&index, *key, spread(*key)) == Some(*newest)));
            assert_eq!(find(&index, 999, spread(999)), None);
        }
        assert!(moving > count / 4, "{moving}");
        let slots: usize = writer.current().unwrap().hashes.len();
        assert!(writer.previous().is_some() || writer.used == newest.len());
        assert!(3 * newest.len() <= 2 * slots);
    }

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        for hash in [0, 1, u64::MAX] {
            let keys = if cfg!(miri) { 12 } else { 50 };
            let mut nodes: Vec<u64> = (0..keys).collect();
            let (index, _writer) = index(&mut nodes, |_| hash);
            assert!((0..keys).all(|key| find(&index, key, hash) == Some(key)));
            assert_eq!(find(&index, keys, hash), None);
        }
    }
}
