//! What open transactions have written and not committed yet.
//!
//! A transaction over several operations claims the keys that it writes until it ends. Another one that writes such a key
//! has lost at once (`WriteConflict`), instead of at its commit, when its client has done all of its work for nothing. A
//! write by itself does not ask: it commits at once, and the transaction is told at its next write or at its end.
//!
//! Keys are claimed by their hashes. Two keys with one hash make a conflict too many, which is begun again like any; there
//! is never one too few, for the commit compares the keys themselves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Error, Result, error_code};

/// The claims of a database's open transactions.
#[derive(Debug, Default)]
pub(crate) struct WriteIntents {
    /// Who claims the hash of a key.
    claimed: Mutex<HashMap<u64, u64>>,
    /// Told when a transaction ends.
    released: Condvar,
    last_owner: AtomicU64,
}

/// The claims of one transaction; gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Claims {
    intents: Arc<WriteIntents>,
    owner: u64,
    hashes: Vec<u64>,
}

impl WriteIntents {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        // The map is consistent between any two statements, so a panic elsewhere does not spoil it.
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No claims yet, for a transaction that begins.
    pub(crate) fn claims(self: &Arc<Self>) -> Claims {
        let owner = self.last_owner.fetch_add(1, Ordering::Relaxed);
        Claims { intents: Arc::clone(self), owner, hashes: Vec::new() }
    }

    /// Waits until a transaction ends, or until `limit` has passed.
    pub(crate) fn wait_for_release(&self, limit: Duration) {
        let claimed = self.lock();
        if !claimed.is_empty() {
            drop(self.released.wait_timeout(claimed, limit).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Claims {
    /// Claims keys by their hashes; fails if another transaction has one of them.
    pub(crate) fn claim(&mut self, hashes: &[u64]) -> Result<()> {
        let mut claimed = self.intents.lock();
        if hashes.iter().any(|hash| claimed.get(hash).is_some_and(|owner| *owner != self.owner)) {
            return Err(Error::new(
                error_code::WRITE_CONFLICT,
                "another transaction has written the same and has not ended yet; begin again",
            ));
        }
        for hash in hashes {
            if claimed.insert(*hash, self.owner).is_none() {
                self.hashes.push(*hash);
            }
        }
        Ok(())
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        if self.hashes.is_empty() {
            return;
        }
        let mut claimed = self.intents.lock();
        for hash in &self.hashes {
            claimed.remove(hash);
        }
        self.intents.released.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_owner_until_that_one_ends() {
        let intents = Arc::new(WriteIntents::default());
        let (mut one, mut other) = (intents.claims(), intents.claims());
        one.claim(&[1, 2, 2]).expect("free");
        one.claim(&[2, 3]).expect("its own");
        assert_eq!(other.claim(&[9, 3]).expect_err("taken").code, error_code::WRITE_CONFLICT);
        assert!(!intents.lock().contains_key(&9), "all or nothing");
        drop(one);
        other.claim(&[1, 2, 3, 9]).expect("free again");
        drop(other);
        assert!(intents.lock().is_empty());
    }
}
