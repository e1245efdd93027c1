//! A collection or view as the catalog holds it: immutable; a change makes a new one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use sheaf_document::{Collate, RawDocumentBuf};
use sheaf_language::Collation;
use sheaf_language::expression::Scope;
use sheaf_language::filter::Filter;
use sheaf_storage::{Snapshot, Timestamp};

use super::collection_options::CollectionOptions;
use super::time_series::TimeSeries;
use crate::collection::{Arrivals, OpenBuckets};
use crate::index::Index;
use crate::key_layout::{self, CollectionId};
use crate::planner::{IndexFilters, PlanCache};
use crate::{Namespace, Result};

/// A collection or view.
pub(crate) struct Collection {
    /// Identity in keys.
    pub(crate) id: CollectionId,
    /// Its name now.
    pub(crate) namespace: Namespace,
    /// Identity across renames.
    pub(crate) uuid: [u8; 16],
    /// What it was created with.
    pub(crate) options: CollectionOptions,
    /// Its indexes, the one on `_id` first. That one has no entries, the documents' own keys serve, unless the
    /// collection is capped.
    pub(crate) indexes: Vec<Arc<Index>>,
    /// How strings compare by default.
    pub(crate) collator: Option<Arc<dyn Collate>>,
    /// What documents must match.
    pub(crate) validator: Option<Filter>,
    /// Held shared by writers of documents, exclusively by changes of this collection's keys. Shared by all
    /// successors of this value.
    pub(crate) gate: Arc<RwLock<()>>,
    /// Turns of its writers, if it is capped, and who waits for its documents. Shared like the gate.
    pub(crate) arrivals: Arc<Arrivals>,
    /// Which indexes queries may use. Shared like the gate.
    pub(crate) index_filters: Arc<IndexFilters>,
    /// Plans that were chosen for queries on it. Not shared: a change of the indexes forgets them.
    pub(crate) plan_cache: Arc<PlanCache>,
    /// If it holds the buckets of a time series, those that may take more. Shared like the gate.
    pub(crate) open_buckets: Arc<OpenBuckets>,
    /// When it became what it is, as a timestamp's 64 bits; 0 if that was before the database was opened.
    since: AtomicU64,
}

impl Collection {
    /// Compiles what the options say.
    pub(super) fn new(
        id: CollectionId,
        namespace: Namespace,
        uuid: [u8; 16],
        options: CollectionOptions,
        indexes: Vec<Arc<Index>>,
    ) -> Result<Self> {
        let collator = collator(options.collation.as_ref())?;
        let mut scope = Scope::new();
        scope.set_collator(collator.clone());
        let validator = match &options.validator {
            Some(validator) => Some(Filter::parse(validator.as_raw(), &mut scope)?),
            None => None,
        };
        Ok(Self {
            id,
            namespace,
            uuid,
            options,
            indexes,
            collator,
            validator,
            gate: Arc::default(),
            arrivals: Arc::default(),
            index_filters: Arc::default(),
            plan_cache: Arc::default(),
            open_buckets: Arc::default(),
            since: AtomicU64::new(0),
        })
    }

    /// When it became what it is. Its indexes need not be complete in a snapshot older than that.
    pub(crate) fn since(&self) -> Timestamp {
        Timestamp(self.since.load(Ordering::Acquire))
    }

    /// Notes when it became what it is.
    pub(super) fn mark_since(&self, since: Timestamp) {
        self.since.store(since.0, Ordering::Release);
    }

    /// The same collection for a reader of an older snapshot: without indexes that were not there yet, or not complete.
    pub(crate) fn as_of(self: &Arc<Self>, snapshot: &Snapshot) -> Result<Arc<Self>> {
        let then = match snapshot.get(&key_layout::collection(self.id))? {
            Some(record) => super::record::read_collection(&record, |_| Ok(Vec::new()))?.indexes,
            None => Vec::new(),
        };
        // An index and its entries become visible with the record that names it.
        let was_there = |index: &&Arc<Index>| {
            index.specification.key.is_id()
                || then.iter().any(|known| known.id == index.id && known.has_entries())
        };
        let known: Vec<_> = self.indexes.iter().filter(was_there).cloned().collect();
        if known.len() == self.indexes.len() {
            return Ok(Arc::clone(self));
        }
        self.changed(self.namespace.clone(), self.options.clone(), known).map(Arc::new)
    }

    /// The same collection after a change.
    pub(crate) fn changed(
        &self,
        namespace: Namespace,
        options: CollectionOptions,
        indexes: Vec<Arc<Index>>,
    ) -> Result<Self> {
        let changed = Self::new(self.id, namespace, self.uuid, options, indexes)?;
        let (gate, arrivals) = (Arc::clone(&self.gate), Arc::clone(&self.arrivals));
        let index_filters = Arc::clone(&self.index_filters);
        Ok(Self { gate, arrivals, index_filters, open_buckets: Arc::clone(&self.open_buckets), ..changed })
    }

    /// The indexes that have entries of their own. The one on `_id` has some only in a capped collection.
    pub(crate) fn indexes_with_entries(&self) -> impl Iterator<Item = &Arc<Index>> {
        self.indexes.iter().filter(|index| !index.is_primary())
    }

    /// The indexes that are not on `_id`.
    pub(crate) fn secondary_indexes(&self) -> impl Iterator<Item = &Arc<Index>> {
        self.indexes.iter().filter(|index| !index.specification.key.is_id())
    }

    /// The indexes that clients are told of: the key of a clustered collection is none.
    pub(crate) fn listed_indexes(&self) -> impl Iterator<Item = &Arc<Index>> {
        let is_clustered = self.options.is_clustered();
        self.indexes.iter().filter(move |index| !(is_clustered && index.is_primary()))
    }

    /// How many of these there are.
    pub(crate) fn index_count(&self) -> usize {
        self.listed_indexes().count()
    }

    /// How the measurements of a time series are bucketed; none for another collection.
    pub(crate) fn time_series(&self) -> Result<Option<TimeSeries>> {
        self.options.time_series.as_ref().map(|series| TimeSeries::parse(series.as_raw())).transpose()
    }

    /// The index of this name.
    pub(crate) fn index_named(&self, name: &str) -> Option<&Arc<Index>> {
        self.indexes.iter().find(|index| index.specification.name == name)
    }

    /// How strings compare in document keys and by default.
    pub(crate) fn collate(&self) -> Option<&dyn Collate> {
        self.collator.as_deref()
    }
}

/// The collator of a collation document; none for binary order.
pub(crate) fn collator(collation: Option<&RawDocumentBuf>) -> Result<Option<Arc<dyn Collate>>> {
    match collation {
        Some(document) => Ok(Collation::parse(document.as_raw())?.shared()),
        None => Ok(None),
    }
}
