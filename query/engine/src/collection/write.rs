//! A transaction of document writes, and running it again when it loses against another.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use sheaf_storage::{Durability, Tablet, Transaction, TransactionOptions};

use super::capped::CappedChange;
use crate::catalog::{Catalog, Collection, multikey_record};
use crate::index::Index;
use crate::key_layout::CollectionId;
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
}

impl DocumentTransaction {
    fn begin(tablet: &Tablet) -> Result<Self> {
        let transaction = tablet.begin(TransactionOptions::default())?;
        Ok(Self { transaction, multikey: Vec::new(), capped: BTreeMap::new(), writes: 0 })
    }

    pub(in crate::collection) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.writes += 1;
        Ok(self.transaction.put(key, value)?)
    }

    pub(in crate::collection) fn delete(&mut self, key: Vec<u8>) -> Result<()> {
        self.writes += 1;
        Ok(self.transaction.delete(key)?)
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

    /// Commits; `false` means that another transaction was first and this one has to run again.
    fn commit(mut self, durability: Option<Durability>) -> Result<bool> {
        self.put_capped_states()?;
        if self.writes == 0 {
            self.transaction.rollback();
            return Ok(true);
        }
        match self.transaction.commit(durability) {
            Ok(_) => {
                for (index, paths) in self.multikey {
                    index.multikey.mark_stored(&paths);
                }
                Ok(true)
            }
            Err(error) if is_conflict(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_conflict(error: &sheaf_storage::Error) -> bool {
    use sheaf_storage::Error as Storage;
    matches!(error, Storage::Conflict { .. } | Storage::Deadlock { .. } | Storage::LockTimeout { .. })
}

/// What a write needs of its database.
#[derive(Clone, Copy)]
pub(crate) struct WriteContext<'a> {
    pub(crate) tablet: &'a Tablet,
    pub(crate) catalog: &'a Catalog,
    pub(crate) durability: Option<Durability>,
    /// The identity of the collection that is made if there is none any more; without one its absence is an error.
    pub(crate) creates: Option<[u8; 16]>,
}

/// Runs `body` in a transaction and commits it; again, from the start, as long as others are faster. `collection` is
/// replaced by its successor if the catalog changed. An error of `body` rolls the transaction back.
pub(crate) fn retrying<T>(
    context: WriteContext<'_>,
    collection: &mut Arc<Collection>,
    mut body: impl FnMut(&mut DocumentTransaction, &Arc<Collection>) -> Result<T>,
) -> Result<T> {
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
        let mut transaction = DocumentTransaction::begin(context.tablet)?;
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
