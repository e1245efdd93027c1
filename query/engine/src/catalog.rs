//! What exists: databases, collections and their indexes.
//!
//! The catalog is one immutable map behind an `Arc` ([`CatalogState`]). A reader clones the `Arc` and sees one state of
//! affairs for as long as it likes; a change commits its records to the store first and then puts a new map in place.
//! Changes run one at a time.
//!
//! Writers of documents hold the *gate* of their collection (shared) from looking the collection up until their
//! commit, and a change that affects the collection's keys holds it exclusively. So no document is written into a
//! collection that was dropped, or past an index that was added, in between.
//!
//! A transaction over several operations keeps the state of affairs it began with ([`Catalog::moment`]) and holds no
//! gate between its operations. It takes the gates of what it wrote when it commits, and fails if any of it changed.

mod bucket_index;
mod capped_copy;
mod capped_state;
mod change;
mod change_indexes;
mod collection;
mod collection_options;
mod commit_transaction;
mod index_key;
mod index_specification;
mod load;
mod partial_key;
mod plane_key;
mod rebuild_indexes;
mod record;
mod state;
mod text_key;
mod time_series;
mod view_graph;
mod wildcard_key;

pub(crate) use bucket_index::{bucket_key, bucket_specification, measurement_specification};
pub(crate) use capped_state::CappedState;
pub(crate) use change_indexes::{missing_indexes, same_key};
pub(crate) use collection::{Collection, collator};
pub use collection_options::{CollectionOptions, ValidationAction, ValidationLevel};
pub(crate) use commit_transaction::{ByNamespace, place};
pub use index_key::{IndexField, IndexFieldKind, IndexKeyPattern};
pub(crate) use index_specification::ID_INDEX_NAME;
pub use index_specification::IndexSpecification;
pub(crate) use plane_key::plane_range;
pub(crate) use record::multikey_record;
pub(crate) use state::CatalogState;
pub(crate) use text_key::text_index;
pub(crate) use time_series::buckets_of;
pub use time_series::{BUCKET_SPAN_SECONDS_MAX, BUCKETS_PREFIX, TimeSeries};
pub(crate) use view_graph::VIEW_DEPTH_MAX;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sheaf_storage::{Clock, Tablet, Timestamp, WriteBatch};

use crate::index::Index;
use crate::{Error, Namespace, Result, error_code};

/// The catalog of an open database.
pub(crate) struct Catalog {
    tablet: Tablet,
    /// Says since when the use of an index is counted.
    clock: Arc<dyn Clock>,
    state: RwLock<Arc<CatalogState>>,
    /// Held by the one change that runs; the next identifier to give out.
    changes: Mutex<u32>,
    /// Held exclusively from the commit of a change until its state is in place.
    publication: RwLock<()>,
}

impl Catalog {
    /// The state of affairs now.
    pub(crate) fn state(&self) -> Arc<CatalogState> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins to count how often these indexes are used.
    fn begin_usage(&self, indexes: &[Arc<Index>]) {
        let now = i64::try_from(self.clock.wall_millis()).unwrap_or(i64::MAX);
        for index in indexes {
            index.usage.begin(now);
        }
    }

    fn publish(&self, state: CatalogState) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }

    /// Commits a change and puts its state in place: the only way a state changes.
    fn commit_state(&self, batch: WriteBatch, state: impl FnOnce() -> CatalogState) -> Result<()> {
        self.commit_state_by(|| Ok(self.tablet.commit(batch, None)?), state)
    }

    /// As [`Catalog::commit_state`], where `commit` does it.
    fn commit_state_by(
        &self,
        commit: impl FnOnce() -> Result<Timestamp>,
        state: impl FnOnce() -> CatalogState,
    ) -> Result<()> {
        let _publication = self.publication.write().unwrap_or_else(PoisonError::into_inner);
        let since = commit()?;
        let mut state = state();
        state.mark_changed(&self.state(), since);
        self.publish(state);
        Ok(())
    }

    /// A state of affairs and a snapshot of the same moment: what the state names is in the snapshot, and the other
    /// way round.
    pub(crate) fn moment<T>(&self, snapshot: impl FnOnce() -> Result<T>) -> Result<(Arc<CatalogState>, T)> {
        let _publication = self.publication.read().unwrap_or_else(PoisonError::into_inner);
        Ok((self.state(), snapshot()?))
    }

    /// The collection or view of this name.
    pub(crate) fn find(&self, namespace: &Namespace) -> Option<Arc<Collection>> {
        self.state().find(namespace).cloned()
    }

    /// As [`Catalog::find`], where it must exist.
    pub(crate) fn get(&self, namespace: &Namespace) -> Result<Arc<Collection>> {
        self.find(namespace).ok_or_else(|| not_found(namespace))
    }

    /// Whether this is the collection of its name still, with the same indexes and options.
    pub(crate) fn is_current(&self, collection: &Arc<Collection>) -> bool {
        self.state().find(&collection.namespace).is_some_and(|current| Arc::ptr_eq(current, collection))
    }
}

fn not_found(namespace: &Namespace) -> Error {
    Error::new(error_code::NAMESPACE_NOT_FOUND, format!("there is no collection {namespace}"))
}
