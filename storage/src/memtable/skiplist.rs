//! The sorted list under a memtable: one writer at a time, readers without locks, nothing ever removed.
//!
//! A node is one allocation out of a bump arena: a header, its tower of forward links, the key, the value. Nodes live
//! as long as the list, so readers need no epochs and no reference counts: a cursor that holds the list may stand on
//! any node. The writer fills a node completely and then publishes it with a release store into each predecessor's
//! link, lowest level first; a reader that sees the link (acquire) sees the node whole. Back links make stepping back
//! cost what stepping forward costs; a reader that steps back while a node is being linked may pass it by, which is
//! harmless because a version becomes visible only after it has been linked.
//!
//! Skip lists are Pugh's (1990); one writer and readers that need no locks, in an arena, is how LevelDB has them.
//!
//! Order: key ascending, then timestamp descending. Of two inserts of the same key and timestamp the later one comes
//! first, so it is the one found.
//!
//! The writer remembers where the last insert went (the splice). A key that belongs right behind it, as in a load in
//! key order, is placed without a search.
//!
//! A [`KeyIndex`] leads from a key to its newest node, for lookups of one key.
//!
//! This module does not: delete, shrink, iterate over a range, know what a value means.

#![expect(
    unsafe_code,
    reason = "nodes of variable size, shared between one writer and many readers; see the essay"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cmp::Ordering;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering as Memory;
use std::sync::{Arc, PoisonError};

use crate::coding::key_hash;
use crate::entry::ValueKind;
use crate::memtable::key_index::{KeyIndex, KeyIndexWriter};
use crate::prefetch::prefetch_address;
use crate::sync::ordered::{AtomicPtr, AtomicUsize, Mutex};
use crate::timestamp::Timestamp;

/// With one node in four a level higher, 12 levels serve 4^12 nodes before searches grow.
const HEIGHT_MAX: usize = 12;
const CHUNK_BYTES_MIN: usize = 16 << 10;
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// The fixed part of a node; the tower, the key and the value follow it in the same allocation.
#[repr(C)]
struct Node {
    previous: AtomicPtr<Node>,
    timestamp: Timestamp,
    key_length: u32,
    value_length: u32,
    kind: ValueKind,
    height: u8,
}

const TOWER_AT: usize = size_of::<Node>();
const LINK_BYTES: usize = size_of::<AtomicPtr<Node>>();

/// Memory the list owns: `used` of `layout.size()` bytes at `start` are handed out.
struct Chunk {
    start: NonNull<u8>,
    layout: Layout,
    used: usize,
}

/// What only the writer touches.
struct Writer {
    chunks: Vec<Chunk>,
    /// Behind which node of each level the last insert went.
    splice: [NonNull<Node>; HEIGHT_MAX],
    keys: KeyIndexWriter<Node>,
    random_state: u64,
}

/// The list.
pub struct Skiplist {
    head: NonNull<Node>,
    height: AtomicUsize,
    /// Bytes the chunks take.
    memory_bytes: AtomicUsize,
    /// Its tables are the writer's.
    keys: KeyIndex<Node>,
    writer: Mutex<Writer>,
}

// SAFETY: nodes are written before they are published and not changed after, links apart, which are atomic; chunks are
// freed only when the list is dropped; the writer's state, which owns the tables of the key index, is behind the mutex.
unsafe impl Send for Skiplist {}
// SAFETY: as above.
unsafe impl Sync for Skiplist {}

impl Writer {
    /// Hands out `size` bytes aligned for a node, which stay valid until the list is dropped.
    fn allocate(&mut self, size: usize, memory_bytes: &AtomicUsize) -> NonNull<u8> {
        let size = size.next_multiple_of(align_of::<Node>());
        if let Some(chunk) = self.chunks.last_mut()
            && chunk.layout.size() - chunk.used >= size
        {
            // SAFETY: `used + size` is within the chunk.
            let at = unsafe { chunk.start.add(chunk.used) };
            chunk.used += size;
            return at;
        }
        let previous = self.chunks.last().map_or(0, |chunk| chunk.layout.size());
        let ordinary = (previous * 2).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        let alone = size > ordinary / 4;
        let layout = chunk_layout(if alone { size } else { ordinary });
        // SAFETY: the layout is not empty: a node has a header.
        let start = NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        memory_bytes.fetch_add(layout.size(), Memory::Relaxed);
        let chunk = Chunk { start, layout, used: size };
        if alone && !self.chunks.is_empty() {
            // A large node takes a chunk of its own, and the one being filled stays last.
            let last = self.chunks.len() - 1;
            self.chunks.insert(last, chunk);
        } else {
            self.chunks.push(chunk);
        }
        start
    }

    /// 1 for three nodes in four, 2 for three in sixteen, and so on (xorshift; the list's shape needs no secret).
    fn random_height(&mut self) -> usize {
        let mut state = self.random_state;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random_state = state;
        (1 + (state.trailing_zeros() / 2) as usize).min(HEIGHT_MAX)
    }
}

fn chunk_layout(size: usize) -> Layout {
    // A node's size is at most two u32 lengths and a header, far from overflowing `isize` on 64-bit; on 32-bit the
    // allocation limit is the same error as running out of memory.
    Layout::from_size_align(size, align_of::<Node>())
        .unwrap_or_else(|_| handle_alloc_error(Layout::new::<Node>()))
}

/// A node of a list that lives for `'a`.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    node: NonNull<Node>,
    list: PhantomData<&'a Skiplist>,
}

/// The link of `node` at `level`.
///
/// # Safety
/// `node` is a node of a list that lives for `'a`, and `level` is below its height.
unsafe fn link<'a>(node: NonNull<Node>, level: usize) -> &'a AtomicPtr<Node> {
    // SAFETY: the tower follows the header and has `height` links.
    unsafe { node.cast::<u8>().add(TOWER_AT + level * LINK_BYTES).cast::<AtomicPtr<Node>>().as_ref() }
}

impl<'a> Entry<'a> {
    /// The entry at `node`, if it is not null.
    ///
    /// # Safety
    /// `node` is null or was read from a link, back link or key index of a list that lives for `'a`: it leads to a node of
    /// that list, and what was written before it was published is seen.
    unsafe fn at(node: *mut Node) -> Option<Entry<'a>> {
        NonNull::new(node).map(|node| Entry { node, list: PhantomData })
    }

    fn header(self) -> &'a Node {
        // SAFETY: an entry stands on a published node, whose header no longer changes, atomics apart.
        unsafe { self.node.as_ref() }
    }

    /// The user key.
    #[inline]
    pub fn key(self) -> &'a [u8] {
        let header = self.header();
        let at = TOWER_AT + usize::from(header.height) * LINK_BYTES;
        // SAFETY: the key follows the tower and was written before the node was published.
        unsafe {
            std::slice::from_raw_parts(self.node.cast::<u8>().add(at).as_ptr(), header.key_length as usize)
        }
    }

    /// The version.
    #[inline]
    pub fn timestamp(self) -> Timestamp {
        self.header().timestamp
    }

    /// What it is.
    #[inline]
    pub fn kind(self) -> ValueKind {
        self.header().kind
    }

    /// The value.
    #[inline]
    pub fn value(self) -> &'a [u8] {
        let header = self.header();
        let at = TOWER_AT + usize::from(header.height) * LINK_BYTES + header.key_length as usize;
        // SAFETY: the value follows the key and was written before the node was published.
        unsafe {
            std::slice::from_raw_parts(self.node.cast::<u8>().add(at).as_ptr(), header.value_length as usize)
        }
    }

    #[inline]
    fn compare(self, key: &[u8], timestamp: Timestamp) -> Ordering {
        self.key().cmp(key).then_with(|| timestamp.cmp(&self.timestamp()))
    }

    /// Brings the node behind this one on a level near. The model checker would take it for a read worth exploring.
    #[inline]
    fn prefetch_next(self, level: usize) {
        if !cfg!(loom) {
            // SAFETY: as in `next_at`; the node is not read.
            prefetch_address(unsafe { link(self.node, level) }.load(Memory::Relaxed).cast());
        }
    }

    fn next_at(self, level: usize) -> Option<Entry<'a>> {
        // SAFETY: callers only go along a level on nodes found on that level; the link is of the list that lives for `'a`.
        unsafe { Entry::at(link(self.node, level).load(Memory::Acquire)) }
    }

    /// The entry before, at or a little before the moment of the call.
    #[inline]
    fn previous(self) -> Option<Entry<'a>> {
        // SAFETY: a back link of the list that lives for `'a`.
        unsafe { Entry::at(self.header().previous.load(Memory::Acquire)) }
    }
}

impl Default for Skiplist {
    fn default() -> Self {
        Self::new(0)
    }
}

/// An entry to insert.
#[derive(Clone, Copy)]
pub struct NewEntry<'a> {
    /// The user key.
    pub key: &'a [u8],
    /// What it is.
    pub kind: ValueKind,
    /// The value.
    pub value: &'a [u8],
}

/// So many slots of the key index are on their way while entries are inserted.
const INSERTS_AHEAD: usize = 8;

impl Skiplist {
    /// An empty list which is going to hold about `keys_expected` keys, or any other number.
    pub fn new(keys_expected: usize) -> Self {
        let memory_bytes = AtomicUsize::new(0);
        let (keys, keys_writer) = KeyIndex::new(keys_expected);
        let mut writer = Writer {
            chunks: Vec::new(),
            splice: [NonNull::dangling(); HEIGHT_MAX],
            keys: keys_writer,
            random_state: 0x9e37_79b9_7f4a_7c15,
        };
        let place = writer.allocate(TOWER_AT + HEIGHT_MAX * LINK_BYTES, &memory_bytes);
        // SAFETY: the allocation has room for a node of the full height.
        let head = unsafe { write_node(place, HEIGHT_MAX, b"", Timestamp(u64::MAX), ValueKind::Put, b"") };
        writer.splice = [head; HEIGHT_MAX];
        Self { head, height: AtomicUsize::new(1), memory_bytes, keys, writer: Mutex::new(writer) }
    }

    /// Gives the key index the size for the keys expected.
    pub fn make_ready(&self) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let grown = self.keys.make_ready(&mut writer.keys);
        self.memory_bytes.fetch_add(grown, Memory::Relaxed);
    }

    fn head(&self) -> Entry<'_> {
        Entry { node: self.head, list: PhantomData }
    }

    /// Adds entries of one timestamp, and returns how many. Keys and values of 4 GiB and more are the caller's to refuse;
    /// here they would be cut.
    pub fn insert_all<'a>(
        &self,
        timestamp: Timestamp,
        entries: impl IntoIterator<Item = NewEntry<'a>>,
    ) -> usize {
        let mut guard = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = &mut *guard;
        let mut entries = entries.into_iter();
        let mut inserted = 0;
        loop {
            let mut ahead = [None; INSERTS_AHEAD];
            for (slot, entry) in ahead.iter_mut().zip(&mut entries) {
                let hash = key_hash(entry.key);
                self.keys.prefetch(&writer.keys, hash);
                *slot = Some((entry, hash));
            }
            for (entry, hash) in ahead.iter().flatten() {
                self.insert_one(writer, timestamp, *entry, *hash);
                inserted += 1;
            }
            if ahead.last().is_none_or(Option::is_none) {
                return inserted;
            }
        }
    }

    fn insert_one(&self, writer: &mut Writer, timestamp: Timestamp, entry: NewEntry<'_>, hash: u64) {
        let NewEntry { key, kind, value } = entry;
        let height = writer.random_height();
        if height > self.height.load(Memory::Relaxed) {
            self.height.store(height, Memory::Relaxed);
        }
        self.move_splice(&mut writer.splice, key, timestamp);
        let size = TOWER_AT + height * LINK_BYTES + key.len() + value.len();
        let place = writer.allocate(size, &self.memory_bytes);
        // SAFETY: the allocation has room for this node.
        let node = unsafe { write_node(place, height, key, timestamp, kind, value) };
        // SAFETY: the node is ours alone until it is published below, and `splice` holds nodes of this list that stand
        // before it on their level; the head reaches every level.
        unsafe {
            let before = writer.splice.first().copied().unwrap_or(self.head);
            if before != self.head {
                node.as_ref().previous.store(before.as_ptr(), Memory::Relaxed);
            }
            let after = link(before, 0).load(Memory::Relaxed);
            for (level, before) in writer.splice.iter_mut().enumerate().take(height) {
                let next = link(*before, level).load(Memory::Relaxed);
                link(node, level).store(next, Memory::Relaxed);
                link(*before, level).store(node.as_ptr(), Memory::Release);
                *before = node;
            }
            if let Some(after) = NonNull::new(after) {
                after.as_ref().previous.store(node.as_ptr(), Memory::Release);
            }
        }
        let relation = |other: *mut Node| {
            // SAFETY: the index leads to nodes of this list, which the caller borrows.
            let other = unsafe { Entry::at(other) }?;
            (other.key() == key).then(|| other.timestamp() <= timestamp)
        };
        let grown = self.keys.insert(&mut writer.keys, hash, node.as_ptr(), relation);
        if grown > 0 {
            self.memory_bytes.fetch_add(grown, Memory::Relaxed);
        }
    }

    /// The newest version of `key`, whose hash is `hash`, at or below `visible`.
    pub fn get(&self, key: &[u8], hash: u64, visible: Timestamp) -> Option<Entry<'_>> {
        // SAFETY: the index leads to nodes of this list, which lives while it is borrowed.
        let is_key = |node| unsafe { Entry::at(node) }.is_some_and(|entry| entry.key() == key);
        // SAFETY: the writer is a field beside the index; for the node, as above.
        let newest = unsafe { Entry::at(self.keys.get(hash, is_key)?) }?;
        if newest.timestamp() <= visible {
            return Some(newest);
        }
        self.seek(key, visible).filter(|entry| entry.key() == key)
    }

    /// Puts `splice` around the place of (key, timestamp): each level's last node before it. Levels whose remembered
    /// node is right already are left; when a level is right, so are all above it.
    fn move_splice(&self, splice: &mut [NonNull<Node>; HEIGHT_MAX], key: &[u8], timestamp: Timestamp) {
        // A node that was compared on one level often stands on the next one too.
        let mut compared: [Option<(NonNull<Node>, bool)>; 2] = [None; 2];
        let mut is_before = |entry: Entry<'_>, slot: usize| match compared.get_mut(slot) {
            Some(Some((node, known))) if *node == entry.node => *known,
            Some(memory) => memory.insert((entry.node, entry.compare(key, timestamp) == Ordering::Less)).1,
            None => false,
        };
        let holds = |(level, node): (usize, &NonNull<Node>)| {
            let entry = Entry { node: *node, list: PhantomData::<&Skiplist> };
            (*node == self.head || is_before(entry, 0))
                && entry.next_at(level).is_none_or(|next| !is_before(next, 1))
        };
        let right = splice.iter().enumerate().position(holds).unwrap_or(HEIGHT_MAX);
        let mut entry =
            Entry { node: splice.get(right).copied().unwrap_or(self.head), list: PhantomData::<&Skiplist> };
        let mut stop = None;
        for (level, slot) in splice.iter_mut().enumerate().take(right).rev() {
            // Where the search goes if it goes down from here is on its way while the node on this level is compared.
            entry.prefetch_next(level.saturating_sub(1));
            while let Some(next) = entry.next_at(level).filter(|next| Some(next.node) != stop) {
                if next.compare(key, timestamp) != Ordering::Less {
                    stop = Some(next.node);
                    break;
                }
                entry = next;
                entry.prefetch_next(level.saturating_sub(1));
            }
            *slot = entry.node;
        }
    }

    /// The last node before (key, timestamp), possibly the head, and the entry behind it that ended the search. The link
    /// between the two may lead to a newer node by now, which belongs before (key, timestamp): it must not be read again.
    fn find_around(&self, key: &[u8], timestamp: Timestamp) -> (Entry<'_>, Option<Entry<'_>>) {
        let (mut before, mut after) = (self.head(), None::<Entry<'_>>);
        for level in (0..self.height.load(Memory::Relaxed)).rev() {
            loop {
                let next = before.next_at(level);
                // The node that stopped the search one level up stops it here too.
                let stops = next.is_none_or(|next| {
                    after.is_some_and(|after| after.node == next.node)
                        || next.compare(key, timestamp) != Ordering::Less
                });
                match next {
                    Some(next) if !stops => {
                        before = next;
                        before.prefetch_next(level.saturating_sub(1));
                    }
                    _ => {
                        after = next;
                        break;
                    }
                }
            }
        }
        (before, after)
    }

    /// The first entry at or after (key, timestamp).
    pub fn seek(&self, key: &[u8], timestamp: Timestamp) -> Option<Entry<'_>> {
        self.find_around(key, timestamp).1
    }

    /// The last entry before (key, timestamp).
    pub fn seek_before(&self, key: &[u8], timestamp: Timestamp) -> Option<Entry<'_>> {
        let (entry, _) = self.find_around(key, timestamp);
        (entry.node != self.head).then_some(entry)
    }

    /// The first entry.
    pub fn first(&self) -> Option<Entry<'_>> {
        self.head().next_at(0)
    }

    /// The last entry.
    pub fn last(&self) -> Option<Entry<'_>> {
        let mut current = self.head();
        for level in (0..self.height.load(Memory::Relaxed)).rev() {
            while let Some(next) = current.next_at(level) {
                current = next;
            }
        }
        (current.node != self.head).then_some(current)
    }

    /// Bytes of memory the list has taken.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Memory::Relaxed)
    }
}

/// Writes a node that no reader can see yet.
///
/// # Safety
/// `place` is aligned for a node and has room for the header, `height` links, the key and the value.
unsafe fn write_node(
    place: NonNull<u8>,
    height: usize,
    key: &[u8],
    timestamp: Timestamp,
    kind: ValueKind,
    value: &[u8],
) -> NonNull<Node> {
    let key_length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let value_length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    let height_byte = u8::try_from(height).unwrap_or(u8::MAX);
    let node = place.cast::<Node>();
    let previous = AtomicPtr::new(ptr::null_mut());
    // SAFETY: by the caller's promise every write is inside the allocation and aligned.
    unsafe {
        node.write(Node { previous, timestamp, key_length, value_length, kind, height: height_byte });
        for level in 0..height {
            place
                .add(TOWER_AT + level * LINK_BYTES)
                .cast::<AtomicPtr<Node>>()
                .write(AtomicPtr::new(ptr::null_mut()));
        }
        let bytes = place.add(TOWER_AT + height * LINK_BYTES).as_ptr();
        ptr::copy_nonoverlapping(key.as_ptr(), bytes, key.len());
        ptr::copy_nonoverlapping(value.as_ptr(), bytes.add(key.len()), value.len());
    }
    node
}

impl Drop for Skiplist {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        for chunk in &writer.chunks {
            // SAFETY: allocated with this layout, and nobody holds the list any more. Nodes have nothing to drop.
            unsafe { dealloc(chunk.start.as_ptr(), chunk.layout) };
        }
    }
}

/// A place in a list that the cursor keeps alive.
pub struct Cursor {
    list: Arc<Skiplist>,
    node: *mut Node,
}

// SAFETY: the pointer is into the list, which the cursor holds and which is `Send` and `Sync`.
unsafe impl Send for Cursor {}
// SAFETY: as above; moving needs `&mut`.
unsafe impl Sync for Cursor {}

impl Cursor {
    /// Stands nowhere until moved.
    pub fn new(list: Arc<Skiplist>) -> Self {
        Self { list, node: ptr::null_mut() }
    }

    /// The entry it stands on.
    #[inline]
    pub fn entry(&self) -> Option<Entry<'_>> {
        // SAFETY: where the cursor stands was an entry of its list, which it keeps alive.
        unsafe { Entry::at(self.node) }
    }

    fn stand(found: Option<Entry<'_>>) -> *mut Node {
        found.map_or(ptr::null_mut(), |entry| entry.node.as_ptr())
    }

    /// Moves to the first entry at or after (key, timestamp).
    pub fn seek(&mut self, key: &[u8], timestamp: Timestamp) {
        self.node = Self::stand(self.list.seek(key, timestamp));
    }

    /// Moves to the last entry before (key, timestamp).
    pub fn seek_before(&mut self, key: &[u8], timestamp: Timestamp) {
        self.node = Self::stand(self.list.seek_before(key, timestamp));
    }

    /// Moves to the first entry.
    pub fn seek_to_first(&mut self) {
        self.node = Self::stand(self.list.first());
    }

    /// Moves to the last entry.
    pub fn seek_to_last(&mut self) {
        self.node = Self::stand(self.list.last());
    }

    /// Moves to the next entry, or off the end.
    #[inline]
    pub fn advance(&mut self) {
        self.node = Self::stand(self.entry().and_then(|entry| entry.next_at(0)));
    }

    /// Moves to the entry before, or off the start.
    #[inline]
    pub fn retreat(&mut self) {
        self.node = Self::stand(self.entry().and_then(Entry::previous));
    }
}

#[cfg(test)]
#[path = "skiplist_tests.rs"]
mod tests;

#[cfg(all(test, loom))]
#[path = "skiplist_interleavings.rs"]
mod interleavings;
