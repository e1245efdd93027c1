//! Where the newest version of each key stands: a hash table beside the sorted list.
//!
//! A lookup of one key in the list costs a comparison, and most of the time a cache miss, per level; here it costs one or
//! two in all, and a key that is not in the memtable costs none of the list. The list stays what orders, and what older
//! versions are found in.
//!
//! Open addressing with linear probing, at most two thirds full, nothing ever removed. One writer at a time, readers
//! without locks: the writer stores the node first and the hash after it (release), so a reader that sees the hash
//! (acquire) sees the node. A table that is full is copied into one twice as large; the old one stays until the index is
//! dropped, because a reader may still look at it. All old tables together are smaller than the current one. A reader
//! with an old table misses what was added later, which is above the timestamp it reads at: a timestamp is published
//! after its writes are in the table, and read before the table is.
//!
//! A slot takes 12 bytes: the low 32 bits of the key's hash, which place it and are compared before the key is, and the
//! node.

#![expect(unsafe_code, reason = "tables shared between one writer and many readers; see the essay")]

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use crate::prefetch::prefetch_address;
use crate::sync::ordered::{AtomicPtr, AtomicU32};

/// Slots of a new index.
const SLOTS_MIN: usize = 16;
/// What an empty slot holds instead of a hash.
const EMPTY: u32 = 0;

/// One size of the table.
struct Table<T> {
    hashes: Box<[AtomicU32]>,
    nodes: Box<[AtomicPtr<T>]>,
}

/// The index. `T` is the list's node.
pub(super) struct KeyIndex<T> {
    current: AtomicPtr<Table<T>>,
}

/// What only the writer touches: every table there was, the current one last. It owns them.
pub(super) struct KeyIndexWriter<T> {
    tables: Vec<NonNull<Table<T>>>,
    used: usize,
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
}

/// The low bits of a hash, never [`EMPTY`].
fn short(hash: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
    let low = hash as u32;
    low.max(EMPTY + 1)
}

impl<T> Table<T> {
    fn new(slots: usize) -> Self {
        let hashes = (0..slots).map(|_| AtomicU32::new(EMPTY)).collect();
        let nodes = (0..slots).map(|_| AtomicPtr::default()).collect();
        Self { hashes, nodes }
    }

    /// To where it stays until [`KeyIndexWriter`] frees it.
    fn pinned(self) -> NonNull<Self> {
        NonNull::from(Box::leak(Box::new(self)))
    }

    /// The slots in the order in which a hash looks at them.
    fn probe(&self, hash: u32) -> impl Iterator<Item = (&AtomicU32, &AtomicPtr<T>)> {
        let mask = self.hashes.len() - 1;
        let first = hash as usize;
        (0..=mask).filter_map(move |step| {
            let at = first.wrapping_add(step) & mask;
            self.hashes.get(at).zip(self.nodes.get(at))
        })
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
        let slots_expected = (keys_expected + keys_expected / 2 + 1).next_power_of_two();
        (Self { current }, KeyIndexWriter { tables: vec![table], used: 0, slots_expected })
    }

    /// Brings near the slot of a key with this hash, which is going to be inserted.
    pub(super) fn prefetch(&self, writer: &KeyIndexWriter<T>, hash: u64) {
        let Some(table) = writer.current() else { return };
        let at = short(hash) as usize & (table.hashes.len() - 1);
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
        let hash = short(hash);
        for (found, slot) in table.probe(hash) {
            match found.load(Ordering::Acquire) {
                EMPTY => return None,
                other if other != hash => {}
                _ => {
                    let node = slot.load(Ordering::Acquire);
                    if is_key(node) {
                        return Some(node);
                    }
                }
            }
        }
        None
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
        let Some(table) = writer.current() else { return 0 };
        for (found, slot) in table.probe(hash) {
            match found.load(Ordering::Relaxed) {
                EMPTY => break,
                other if other != hash => {}
                _ => match relation(slot.load(Ordering::Relaxed)) {
                    None => {}
                    Some(replace) => {
                        if replace {
                            slot.store(node, Ordering::Release);
                        }
                        return 0;
                    }
                },
            }
        }
        let grown = if 3 * (writer.used + 1) > 2 * table.hashes.len() { self.grow(writer) } else { 0 };
        if let Some(table) = writer.current() {
            table.place(hash, node);
            writer.used += 1;
        }
        grown
    }

    /// Goes straight to the size for the keys expected; returns by how many bytes the index has grown.
    pub(super) fn make_ready(&self, writer: &mut KeyIndexWriter<T>) -> usize {
        let slots = writer.current().map_or(0, |table| table.hashes.len());
        if writer.slots_expected > slots { self.grow(writer) } else { 0 }
    }

    /// Goes on with a table twice as large.
    fn grow(&self, writer: &mut KeyIndexWriter<T>) -> usize {
        let Some(old) = writer.current() else { return 0 };
        let table = Table::new((2 * old.hashes.len()).max(writer.slots_expected));
        for (hash, node) in old.hashes.iter().zip(&old.nodes) {
            let hash = hash.load(Ordering::Relaxed);
            if hash != EMPTY {
                table.place(hash, node.load(Ordering::Relaxed));
            }
        }
        let (bytes, table) = (table.bytes(), table.pinned());
        self.current.store(table.as_ptr(), Ordering::Release);
        writer.tables.push(table);
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
            if cfg!(miri) { &[SLOTS_MIN, 256, 512, 1_024] } else { &[SLOTS_MIN, 256, 512, 1_024, 2_048] };
        assert_eq!(slots, expected);
        assert!((0..KEYS).all(|key| find(&index, key, spread(key)) == Some(key)));
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
