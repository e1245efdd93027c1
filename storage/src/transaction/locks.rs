//! Key locks of pessimistic transactions: who holds which key, who waits for it, and who would wait for ever.
//!
//! Locks are exclusive and held until the transaction ends. A key's lock is handed to the first in its queue, so nobody
//! is overtaken. Before a transaction waits, the chain *holder of the key, key the holder waits for, its holder, ..* is
//! followed; if it leads back to the one that asks, granting patience would be granting for ever, and the one that asks
//! gets [`Error::Deadlock`]. A cycle can only be closed by the last to begin waiting, for a transaction that is handed
//! a lock waits for nothing: so checking there finds every deadlock.
//!
//! Only pessimistic transactions take locks. Others do not wait for them: a key that changed under a lock all the same
//! is found by the conflict check at commit.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::limits::LOCKS_MAX;
use crate::sync::scheduled::{Condvar, Mutex, MutexGuard};
use crate::tablet::{Tablet, lock};

/// Names a transaction in the lock table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Holder(u64);

/// The locks of a tablet.
#[derive(Debug, Default)]
pub(crate) struct LockTable {
    /// Who holds and who waits.
    state: Mutex<LockState>,
}

/// Who holds and who waits.
#[derive(Debug)]
struct LockState {
    /// So many keys may be locked.
    keys_max: usize,
    /// The last transaction named.
    last: u64,
    /// Locked keys.
    keys: HashMap<Vec<u8>, KeyLock>,
    /// Which key a transaction waits for.
    waits: HashMap<Holder, Vec<u8>>,
}

/// The lock of one key.
#[derive(Debug)]
struct KeyLock {
    /// Who holds it.
    holder: Holder,
    /// Who waits, first come first served, and what wakes them.
    queue: VecDeque<(Holder, Arc<Condvar>)>,
}

/// The locks a transaction holds, released when dropped.
pub(crate) struct HeldLocks {
    /// Where.
    tablet: Tablet,
    /// By whom.
    holder: Holder,
    /// Which.
    keys: Vec<Vec<u8>>,
    /// How long to wait for one.
    patience: Duration,
}

impl Default for LockState {
    fn default() -> LockState {
        LockState { keys_max: LOCKS_MAX, last: 0, keys: HashMap::new(), waits: HashMap::new() }
    }
}

impl LockState {
    /// Whether `asking` waiting for `key` would close a cycle.
    fn would_deadlock(&self, asking: Holder, key: &[u8]) -> bool {
        let mut key = key;
        while let Some(held) = self.keys.get(key) {
            if held.holder == asking {
                return true;
            }
            let Some(next) = self.waits.get(&held.holder) else { return false };
            key = next;
        }
        false
    }

    /// Gives up waiting.
    fn leave_queue(&mut self, asking: Holder, key: &[u8]) {
        self.waits.remove(&asking);
        if let Some(held) = self.keys.get_mut(key) {
            held.queue.retain(|(waiting, _)| *waiting != asking);
        }
    }

    /// Hands a lock to the next in its queue, or frees the key.
    fn release(&mut self, key: &[u8]) {
        let Some(held) = self.keys.get_mut(key) else { return };
        let Some((next, wake)) = held.queue.pop_front() else {
            self.keys.remove(key);
            return;
        };
        held.holder = next;
        self.waits.remove(&next);
        wake.notify_one();
    }
}

impl HeldLocks {
    /// No locks yet. A lock is waited for at most `patience`.
    pub(crate) fn new(tablet: Tablet, patience: Duration) -> HeldLocks {
        let holder = {
            let mut state = lock(&tablet.inner.locks.state);
            state.last += 1;
            Holder(state.last)
        };
        HeldLocks { tablet, holder, keys: Vec::new(), patience }
    }

    /// Locks a key, waiting if another transaction holds it. True if it was not held before.
    pub(crate) fn acquire(&mut self, key: &[u8]) -> Result<bool> {
        let table = &self.tablet.inner.locks;
        let mut state = lock(&table.state);
        match state.keys.get(key).map(|held| held.holder) {
            Some(holder) if holder == self.holder => return Ok(false),
            Some(_) => self.wait(state, key)?,
            None if state.keys.len() >= state.keys_max => {
                return Err(Error::MemoryExceeded(format!("{} keys are locked", state.keys_max)));
            }
            None => {
                state.keys.insert(key.to_vec(), KeyLock { holder: self.holder, queue: VecDeque::new() });
            }
        }
        self.keys.push(key.to_vec());
        Ok(true)
    }

    /// Waits until a key's lock is handed over.
    fn wait(&self, mut state: MutexGuard<'_, LockState>, key: &[u8]) -> Result<()> {
        if state.would_deadlock(self.holder, key) {
            return Err(Error::Deadlock { key: key.to_vec() });
        }
        let wake = Arc::new(Condvar::new());
        if let Some(held) = state.keys.get_mut(key) {
            held.queue.push_back((self.holder, Arc::clone(&wake)));
        }
        state.waits.insert(self.holder, key.to_vec());
        let waiting = |state: &mut LockState| state.waits.contains_key(&self.holder);
        let waited = wake.wait_timeout_while(state, self.patience, waiting);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.waits.contains_key(&self.holder) {
            state.leave_queue(self.holder, key);
            return Err(Error::LockTimeout { key: key.to_vec() });
        }
        Ok(())
    }
}

impl Drop for HeldLocks {
    fn drop(&mut self) {
        let mut state = lock(&self.tablet.inner.locks.state);
        self.keys.iter().for_each(|key| state.release(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key `n` held by holder `n`; each of `waits` waits for a key, in this order.
    fn state(keys: u64, waits: &[(u64, u64)]) -> LockState {
        let mut state = LockState::default();
        for number in 0..keys {
            let held = KeyLock { holder: Holder(number), queue: VecDeque::new() };
            state.keys.insert(number.to_le_bytes().to_vec(), held);
        }
        for &(waiting, number) in waits {
            let key = number.to_le_bytes().to_vec();
            let held = state.keys.get_mut(&key).unwrap();
            held.queue.push_back((Holder(waiting), Arc::new(Condvar::new())));
            state.waits.insert(Holder(waiting), key);
        }
        state
    }

    fn key(number: u64) -> [u8; 8] {
        number.to_le_bytes()
    }

    #[test]
    fn cycles_of_every_length_are_found_and_chains_are_none() {
        for length in 1..6 {
            let waits: Vec<(u64, u64)> = (0..length).map(|number| (number, number + 1)).collect();
            let state = state(length + 1, &waits);
            assert!(state.would_deadlock(Holder(length), &key(0)), "{length}");
            assert!(!state.would_deadlock(Holder(99), &key(0)), "{length}: a chain");
            assert!(!state.would_deadlock(Holder(99), &key(77)), "a key nobody holds");
        }
    }

    #[test]
    fn a_lock_goes_to_who_came_first_and_still_waits() {
        let mut state = state(1, &[(5, 0), (6, 0), (7, 0)]);
        let holder = |state: &LockState| state.keys.get(key(0).as_slice()).map(|held| held.holder);
        state.leave_queue(Holder(6), &key(0));
        assert_eq!(holder(&state), Some(Holder(0)));
        assert!(!state.waits.contains_key(&Holder(6)));
        for next in [Some(Holder(5)), Some(Holder(7)), None] {
            state.release(&key(0));
            assert_eq!(holder(&state), next);
            assert!(next.is_none_or(|next| !state.waits.contains_key(&next)));
        }
        assert!(state.waits.is_empty());
    }

    #[test]
    fn no_more_keys_are_locked_than_the_limit_says_and_nothing_is_kept_of_one_refused() {
        let disk = Arc::new(crate::vfs::MemoryVfs::new());
        let store = crate::store::Store::open(disk, "/db".as_ref(), Default::default()).unwrap();
        let tablet = store.tablet();
        assert_eq!(lock(&tablet.inner.locks.state).keys_max, LOCKS_MAX);
        lock(&tablet.inner.locks.state).keys_max = 3;
        let patience = Duration::from_secs(5);
        let mut first = HeldLocks::new(tablet.clone(), patience);
        let mut second = HeldLocks::new(tablet.clone(), patience);
        assert!(first.acquire(b"a").unwrap() && first.acquire(b"b").unwrap());
        assert!(second.acquire(b"c").unwrap());
        for locks in [&mut first, &mut second] {
            let refused = locks.acquire(b"d");
            assert!(matches!(&refused, Err(Error::MemoryExceeded(_))), "{refused:?}");
        }
        assert!(!first.acquire(b"a").unwrap(), "it has that one");
        drop(second);
        assert!(first.acquire(b"d").unwrap());
        drop(first);
        assert!(lock(&tablet.inner.locks.state).keys.is_empty());
    }
}
