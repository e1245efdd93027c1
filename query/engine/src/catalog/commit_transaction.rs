//! Committing a transaction over several operations: its documents, and the collections it created.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use sheaf_storage::Durability;

use super::change::check_case;
use super::{Catalog, CatalogState, Collection, record};
use crate::collection::write::DocumentTransaction;
use crate::{Error, Namespace, Result, error_code, key_layout};

/// Collections of a transaction, in the order in which their gates are taken.
pub(crate) type ByNamespace = BTreeMap<(String, String), Arc<Collection>>;

/// The place of a collection among those of a transaction.
pub(crate) fn place(namespace: &Namespace) -> (String, String) {
    (namespace.database().to_owned(), namespace.collection().to_owned())
}

fn lost(collection: &Collection, what: &str) -> Error {
    Error::new(
        error_code::WRITE_CONFLICT,
        format!("{} {what} while the transaction ran", collection.namespace),
    )
}

impl Catalog {
    /// Commits a transaction that wrote to the collections `touched` and created those in `created`. If one of the
    /// first was changed or dropped meanwhile, or one of the others created, that is a write conflict.
    ///
    /// Locks are taken in the order of all changes: the right to change, gates by name, the publication.
    pub(crate) fn commit_transaction(
        &self,
        touched: &ByNamespace,
        created: &ByNamespace,
        mut transaction: DocumentTransaction,
        durability: Option<Durability>,
    ) -> Result<()> {
        let _change = (!created.is_empty()).then(|| self.lock_changes());
        let gates: Vec<_> = touched.values().map(|collection| Arc::clone(&collection.gate)).collect();
        let _gates: Vec<_> =
            gates.iter().map(|gate| gate.read().unwrap_or_else(PoisonError::into_inner)).collect();
        if let Some(changed) = touched.values().find(|collection| !self.is_current(collection)) {
            return Err(lost(changed, "was changed or dropped"));
        }
        if created.is_empty() {
            return transaction.commit_once(durability).map(|_| ());
        }
        let mut state = CatalogState::clone(&self.state());
        for collection in created.values() {
            check_case(&state, &collection.namespace)?;
            if state.find(&collection.namespace).is_some() {
                return Err(lost(collection, "was created by another operation"));
            }
            let record = record::collection_record(collection).into_bytes();
            transaction.put(key_layout::collection(collection.id), record)?;
            state.put(Arc::clone(collection));
        }
        self.commit_state_by(|| transaction.commit_once(durability), || state)
    }
}
