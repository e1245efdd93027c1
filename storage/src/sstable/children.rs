//! The blocks that an index block leads to, as far as they are in memory.
//!
//! The block cache finds a block by hashing its place, which costs several cache misses. Whoever comes from the index knows
//! the block already as "the entry's": so each entry of an index in memory has a slot for its block. The cache stays the
//! one who decides what is in memory and counts it: slots do not keep blocks alive, and a block that the cache lets go
//! takes itself out of its slot. The cache is told of one use in [`USES_TOLD`], which is enough to know what is used.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwapWeak;

use crate::prefetch::prefetch_address;
use crate::sstable::block::Block;

/// Of so many uses of a block the cache is told of the first.
const USES_TOLD: u8 = 16;

/// One slot per entry of an index block.
pub struct Children(Box<[ArcSwapWeak<Block>]>);

/// Where a block came from, and how often it was asked for from there.
#[derive(Default)]
pub struct Home {
    slot: OnceLock<(Weak<Block>, usize)>,
    uses: AtomicU8,
}

impl Children {
    /// Empty slots.
    pub fn new(entries: usize) -> Children {
        Children((0..entries).map(|_| ArcSwapWeak::new(Weak::new())).collect())
    }

    /// The block of entry `index`, if it is in memory and came from here.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Arc<Block>> {
        self.0.get(index)?.load().upgrade()
    }

    /// Brings near what `get` is going to look at first.
    #[inline]
    pub fn prefetch(&self, index: usize) {
        if let Some(slot) = self.0.get(index) {
            let block = slot.load().as_ptr();
            (0..size_of::<Block>())
                .step_by(64)
                .for_each(|at| prefetch_address(block.cast::<u8>().wrapping_add(at)));
        }
    }

    /// Puts a block in the slot of entry `index` of `parent`, whose slots these are.
    pub fn set(&self, parent: &Arc<Block>, index: usize, block: &Arc<Block>) {
        if let Some(slot) = self.0.get(index) {
            // Two readers may have loaded the block at the same time; both have one, and the last one stays.
            let _had_one = block.home().slot.set((Arc::downgrade(parent), index));
            slot.store(Arc::downgrade(block));
        }
    }

    /// How many slots have a block, or the shell of one.
    #[cfg(test)]
    pub fn taken(&self) -> usize {
        self.0.iter().filter(|slot| !slot.load().ptr_eq(&Weak::new())).count()
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.0.len() * size_of::<ArcSwapWeak<Block>>()
    }
}

impl Home {
    /// Whether the cache is to be told of this use.
    #[inline]
    pub fn is_told(&self) -> bool {
        // Not one step: a use that is lost between two threads does no harm.
        let uses = self.uses.load(Ordering::Relaxed);
        self.uses.store(uses.wrapping_add(1), Ordering::Relaxed);
        uses.is_multiple_of(USES_TOLD)
    }

    /// Empties the slot of a block that the cache lets go, so that not even its shell stays in memory for it.
    pub fn leave(&self, block: &Arc<Block>) {
        let Some((parent, index)) = self.slot.get() else { return };
        let Some(parent) = parent.upgrade() else { return };
        let Some(slot) = parent.children().and_then(|children| children.0.get(*index)) else { return };
        if std::ptr::eq(slot.load().as_ptr(), Arc::as_ptr(block)) {
            slot.store(Weak::new());
        }
    }
}
