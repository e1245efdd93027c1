//! A transaction of document writes, and running it again when it loses against another.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use sheaf_storage::{Durability, Snapshot, Tablet, Timestamp, Transaction, TransactionOptions};

use super::capped::CappedChange;
use crate::catalog::{Catalog, Collection, multikey_record};
use crate::index::Index;
use crate::key_layout::CollectionId;
use crate::session::OpenTransaction;
use crate::{Error, Result, error_code, key_layout};

/// How often a write runs again before it gives up. Every lost round means that somebody else's commit went through,
/// so this many lost in a row is a sign of a defect or of very many writers of one document.
const ATTEMPTS_MAX: usize = 10_000;

/// A transaction of document writes in one collection.
pub(crate) struct DocumentTransaction {
    pub(in crate::collection) transaction: Transaction,
    /// Indexes that learn of arrays with this transaction.
    multikey: Vec<(Arc<Index>, Vec<u64>)>,
    /// States of capped collections, which change with their documents.
    pub(in crate::collection) capped: BTreeMap<CollectionId, CappedChange>,
    writes: usize,
    /// Hashes of the keys written since they were last taken, where somebody takes them.
    claimed: Option<Vec<u64>>,
}

impl DocumentTransaction {
    pub(crate) fn begin(tablet: &Tablet, read_timestamp: Option<Timestamp>) -> Result<Self> {
        let transaction =
            tablet.begin(TransactionOptions { read_timestamp, ..TransactionOptions::default() })?;
        Ok(Self { transaction, multikey: Vec::new(), capped: BTreeMap::new(), writes: 0, claimed: None })
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.note_write(&key);
        Ok(self.transaction.put(key, value)?)
    }

    pub(crate) fn delete(&mut self, key: Vec<u8>) -> Result<()> {
        self.note_write(&key);
        Ok(self.transaction.delete(key)?)
    }

    fn note_write(&mut self, key: &[u8]) {
        self.writes += 1;
        if let Some(claimed) = &mut self.claimed {
            claimed.push(xxhash_rust::xxh3::xxh3_64(key));
        }
    }

    /// The hashes of the keys that were written since this was last asked; none the first time.
    pub(crate) fn take_written(&mut self) -> Vec<u64> {
        self.claimed.replace(Vec::new()).unwrap_or_default()
    }

    /// Lets an index know of arrays: in memory at once, in the store with this transaction.
    pub(in crate::collection) fn note_multikey(&mut self, index: &Arc<Index>, paths: &[u64]) -> Result<()> {
        index.multikey.add(paths);
        if index.multikey.is_stored(paths) {
            return Ok(());
        }
        let known = index.multikey.paths();
        self.put(key_layout::multikey(index.id), multikey_record(&known).into_bytes())?;
        self.multikey.push((Arc::clone(index), known));
        Ok(())
    }

    /// What it sees, its own writes included.
    pub(crate) fn view(&self) -> Snapshot {
        self.transaction.view()
    }

    /// Whether it has written anything.
    pub(crate) fn has_writes(&self) -> bool {
        self.writes > 0
    }

    /// Fails if it has written too much, or lost against another transaction already.
    pub(crate) fn check(&self, bytes_max: usize) -> Result<()> {
        let bytes = self.transaction.size_bytes();
        if bytes > bytes_max {
            return Err(Error::new(
                error_code::TRANSACTION_TOO_LARGE,
                format!("a transaction may write {bytes_max} bytes, this one has written {bytes}"),
            ));
        }
        Ok(self.transaction.check_conflicts()?)
    }

    /// Commits; `false` means that another transaction was first and this one has to run again.
    fn commit(self, durability: Option<Durability>) -> Result<bool> {
        match self.commit_once(durability) {
            Ok(_) => Ok(true),
            Err(error) if error.code == error_code::WRITE_CONFLICT => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Commits; a write conflict means that another transaction was first.
    pub(crate) fn commit_once(mut self, durability: Option<Durability>) -> Result<Timestamp> {
        self.put_capped_states()?;
        if self.writes == 0 {
            let read_at = self.transaction.snapshot_timestamp();
            self.transaction.rollback();
            return Ok(read_at);
        }
        let committed = self.transaction.commit(durability)?;
        for (index, paths) in self.multikey {
            index.multikey.mark_stored(&paths);
        }
        Ok(committed)
    }
}

/// What a write needs of its database.
#[derive(Clone, Copy)]
pub(crate) struct WriteContext<'a> {
    pub(crate) tablet: &'a Tablet,
    pub(crate) catalog: &'a Catalog,
    pub(crate) durability: Option<Durability>,
    /// The identity of the collection that is made if there is none any more; without one its absence is an error.
    pub(crate) creates: Option<[u8; 16]>,
    /// The transaction that the write is part of, if it is not one by itself.
    pub(crate) open: Option<&'a OpenTransaction>,
}

/// Runs `body` in a transaction and commits it; again, from the start, as long as others are faster. `collection` is
/// replaced by its successor if the catalog changed. An error of `body` rolls the transaction back. As part of a larger
/// transaction it runs once, and whoever began that one decides what becomes of it.
pub(crate) fn retrying<T>(
    context: WriteContext<'_>,
    collection: &mut Arc<Collection>,
    mut body: impl FnMut(&mut DocumentTransaction, &Arc<Collection>) -> Result<T>,
) -> Result<T> {
    if let Some(open) = context.open {
        return open.write(collection, body);
    }
    for _ in 0..ATTEMPTS_MAX {
        let gate = Arc::clone(&collection.gate);
        let _gate = gate.read().unwrap_or_else(PoisonError::into_inner);
        if !context.catalog.is_current(collection) {
            *collection = match context.creates {
                Some(uuid) => context.catalog.ensure(&collection.namespace, || uuid)?,
                None => context.catalog.get(&collection.namespace)?,
            };
            continue;
        }
        let is_capped = collection.options.capped;
        let takes_turns = is_capped || collection.options.is_buckets();
        let arrivals = Arc::clone(&collection.arrivals);
        let turn = takes_turns.then(|| arrivals.take_turn());
        let mut transaction = DocumentTransaction::begin(context.tablet, None)?;
        let outcome = match body(&mut transaction, collection) {
            Ok(outcome) => outcome,
            Err(error) if error.code == error_code::WRITE_CONFLICT => continue,
            Err(error) => return Err(error),
        };
        let is_committed = transaction.commit(context.durability)?;
        drop(turn);
        if is_committed {
            if is_capped {
                arrivals.announce();
            }
            return Ok(outcome);
        }
        std::thread::yield_now();
    }
    Err(Error::new(
        error_code::WRITE_CONFLICT,
        format!("a write to {} lost against others {ATTEMPTS_MAX} times", collection.namespace),
    ))
}
