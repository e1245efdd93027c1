//! The blocks that an index block leads to, as far as they are in memory.
//!
//! The block cache finds a block by hashing its place, which costs several cache misses. Whoever comes from the index knows
//! the block already as "the entry's": so each entry of an index in memory has a slot for its block. The cache stays the
//! one who decides what is in memory and counts it: slots do not keep blocks alive, and a block that the cache lets go
//! takes itself out of its slot. The cache is told of one use in [`USES_TOLD`], and not even that as long as it has let go next
//! to nothing since it was told last: what it knows of a use fades only while others are let go.
//!
//! Beside its block a slot has the address of the block's bytes, so that they come near together with the block itself and not
//! after it. Nothing is read through that address.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwapWeak;

use crate::cache::BlockCache;
use crate::prefetch::prefetch_address;
use crate::sstable::block::Block;

/// Of so many uses of a block the cache is told of the first.
const USES_TOLD: u8 = 16;
/// Bytes of a cache line, on most machines.
const LINE_BYTES: usize = 64;
/// Offsets, timestamps and the first keys of a data block are mostly within so many bytes.
const COLUMN_BYTES_NEAR: usize = 192;

/// A block and where its bytes are.
#[repr(align(16))]
#[derive(Default)]
struct Slot {
    block: ArcSwapWeak<Block>,
    /// Good for bringing near what is there, if anything is, and for nothing else.
    bytes: AtomicPtr<u8>,
}

/// One slot per entry of an index block.
pub struct Children(Box<[Slot]>);

/// Where a block came from, and how often it was asked for from there.
#[derive(Default)]
pub struct Home {
    slot: OnceLock<(Weak<Block>, usize)>,
    uses: AtomicU8,
    /// The cache's turn when it was told of a use; 0: it was not.
    told: AtomicU8,
}

impl Children {
    /// Empty slots.
    pub fn new(entries: usize) -> Children {
        Children((0..entries).map(|_| Slot::default()).collect())
    }

    /// The block of entry `index`, if it is in memory and came from here. Its columns are on their way then.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Arc<Block>> {
        let slot = self.0.get(index)?;
        slot.prefetch_columns();
        slot.block.load().upgrade()
    }

    /// Brings near what is looked at first in the block of entry `index`.
    #[inline]
    pub fn prefetch(&self, index: usize) {
        let Some(slot) = self.0.get(index) else { return };
        slot.prefetch_columns();
        prefetch_lines(slot.block.load().as_ptr().cast(), size_of::<Block>());
    }

    /// Brings the slot of entry `index` near.
    #[inline]
    pub fn prefetch_slot(&self, index: usize) {
        if let Some(slot) = self.0.get(index) {
            prefetch_address(ptr::from_ref(slot).cast());
        }
    }

    /// Puts a block in the slot of entry `index` of `parent`, whose slots these are.
    pub fn set(&self, parent: &Arc<Block>, index: usize, block: &Arc<Block>) {
        if let Some(slot) = self.0.get(index) {
            // Two readers may have loaded the block at the same time; both have one, and the last one stays.
            let _had_one = block.home().slot.set((Arc::downgrade(parent), index));
            slot.block.store(Arc::downgrade(block));
            slot.bytes.store(block.bytes().as_ptr().cast_mut(), Ordering::Relaxed);
        }
    }

    /// How many slots have a block, or the shell of one.
    #[cfg(test)]
    pub fn taken(&self) -> usize {
        self.0.iter().filter(|slot| !slot.block.load().ptr_eq(&Weak::new())).count()
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.0.len() * size_of::<Slot>()
    }
}

impl Slot {
    #[inline]
    fn prefetch_columns(&self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        if !bytes.is_null() {
            prefetch_lines(bytes, COLUMN_BYTES_NEAR);
        }
    }
}

/// Brings `length` bytes at an address near.
#[inline]
fn prefetch_lines(address: *const u8, length: usize) {
    (0..length).step_by(LINE_BYTES).for_each(|at| prefetch_address(address.wrapping_add(at)));
}

impl Home {
    /// Whether the cache is to be told of this use.
    #[inline]
    pub fn is_told(&self, cache: &BlockCache) -> bool {
        // Not one step: a use that is lost between two threads does no harm.
        let uses = self.uses.load(Ordering::Relaxed);
        self.uses.store(uses.wrapping_add(1), Ordering::Relaxed);
        if !uses.is_multiple_of(USES_TOLD) {
            return false;
        }
        let turn = cache.turn();
        let is_new = self.told.load(Ordering::Relaxed) != turn;
        self.told.store(turn, Ordering::Relaxed);
        is_new
    }

    /// Empties the slot of a block that the cache lets go, so that not even its shell stays in memory for it.
    pub fn leave(&self, block: &Arc<Block>) {
        let Some((parent, index)) = self.slot.get() else { return };
        let Some(parent) = parent.upgrade() else { return };
        let Some(slot) = parent.children().and_then(|children| children.0.get(*index)) else { return };
        if ptr::eq(slot.block.load().as_ptr(), Arc::as_ptr(block)) {
            slot.block.store(Weak::new());
            slot.bytes.store(ptr::null_mut(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Cached, LargeValue};

    #[test]
    fn the_cache_is_told_of_few_uses_and_of_fewer_while_it_lets_nothing_go() {
        let cache = BlockCache::new(1 << 20);
        let fill = |offsets: std::ops::Range<u64>| {
            for offset in offsets {
                let value = LargeValue::new(vec![0; 4_000], cache.charge(4_000));
                cache.insert(1, offset, Cached::Value(Arc::new(value)));
            }
        };
        let home = Home::default();
        let told = || (0..2 * USES_TOLD).filter(|_| home.is_told(&cache)).count();
        assert_eq!(told(), 1, "the first");
        fill(0..100);
        assert_eq!(told(), 0, "all fits");
        fill(100..300);
        assert_eq!(told(), 1, "some of it did not");
        assert_eq!(told(), 0);
    }
}
