//! What a transaction takes of the store's memory budget: its writes, the keys it has locked, and what it has read.
//!
//! Taken in steps, so that a small transaction asks once. What does not fit waits for flushes as a commit does, and is
//! refused if none is on its way; the transaction stays as it was then. Given back when the last who reads it is gone.

use crate::error::Result;
use crate::tablet::Tablet;

/// What is taken at once.
const STEP_BYTES: u64 = 4 << 10;
/// What a noted key takes beside its bytes, roughly: its place in a sorted map.
const KEY_BYTES: usize = 64;
/// What a locked key takes beside its bytes, which are there twice: see [`crate::limits::LOCKS_MAX`].
const LOCK_BYTES: usize = 150;
/// What a write takes beside its bytes, which are there twice, roughly: its place in batch and memtable.
const WRITE_BYTES: usize = 128;

/// Bytes of the budget, given back when dropped.
pub(crate) struct HeldMemory {
    /// Whose budget.
    tablet: Tablet,
    /// What is in use.
    used: u64,
    /// What is taken.
    taken: u64,
}

impl HeldMemory {
    /// Nothing yet.
    pub(crate) fn new(tablet: Tablet) -> HeldMemory {
        HeldMemory { tablet, used: 0, taken: 0 }
    }

    /// Takes so much more, if there is room or comes to be some.
    fn grow(&mut self, bytes: usize) -> Result<()> {
        let used = self.used.saturating_add(bytes as u64);
        if used > self.taken {
            let step = (used - self.taken).next_multiple_of(STEP_BYTES);
            self.tablet.inner.take_memory(step)?;
            self.taken += step;
        }
        self.used = used;
        Ok(())
    }

    /// For a key, or the bounds of a range, to be remembered.
    pub(crate) fn grow_by_key(&mut self, key_bytes: usize) -> Result<()> {
        self.grow(key_bytes.saturating_add(KEY_BYTES))
    }

    /// For a key to be locked.
    pub(crate) fn grow_by_lock(&mut self, key_bytes: usize) -> Result<()> {
        self.grow(key_bytes.saturating_mul(2).saturating_add(LOCK_BYTES))
    }

    /// For a lock that was not taken after all.
    pub(crate) fn shrink_by_lock(&mut self, key_bytes: usize) {
        self.used = self.used.saturating_sub((2 * key_bytes + LOCK_BYTES) as u64);
    }

    /// For a write of so many bytes.
    pub(crate) fn grow_by_write(&mut self, write_bytes: usize) -> Result<()> {
        self.grow(write_bytes.saturating_mul(2).saturating_add(WRITE_BYTES))
    }

    /// Says what is in use, as measured, whatever room there is.
    pub(crate) fn settle(&mut self, bytes: usize) {
        self.used = bytes as u64;
        if self.used > self.taken {
            let step = (self.used - self.taken).next_multiple_of(STEP_BYTES);
            self.tablet.inner.cache.add_transaction(step);
            self.taken += step;
        }
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        self.tablet.inner.cache.remove_transaction(self.taken);
    }
}
