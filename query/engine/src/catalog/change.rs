//! Creating, dropping and renaming collections.
//!
//! Every change follows one order: take the right to change, take the gates of the collections whose keys it touches,
//! check against the state of affairs, commit one batch, put the new state in place.

use std::sync::{Arc, MutexGuard, PoisonError};

use sheaf_document::DocumentBuilder;
use sheaf_language::expression::Scope;
use sheaf_language::filter::Filter;
use sheaf_storage::WriteBatch;

use super::bucket_index::bucket_specification;
use super::collection::Collection;
use super::collection_options::CollectionOptions;
use super::commit_transaction::place;
use super::index_specification::IndexSpecification;
use super::time_series::{TimeSeries, buckets_of, series_of};
use super::{Catalog, CatalogState, not_found, record, view_graph};
use crate::index::Index;
use crate::key_layout::{self, CollectionId, IndexId};
use crate::{Error, Namespace, Result, error_code};

/// A collection that was dropped.
pub(crate) struct DroppedCollection {
    /// How many indexes it had.
    pub(crate) indexes: usize,
}

impl Catalog {
    pub(super) fn lock_changes(&self) -> MutexGuard<'_, u32> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The collection of this name; a plain one is created if there is none.
    pub(crate) fn ensure(
        &self,
        namespace: &Namespace,
        uuid: impl FnOnce() -> [u8; 16],
    ) -> Result<Arc<Collection>> {
        if let Some(found) = self.find(namespace) {
            return Ok(found);
        }
        let mut next = self.lock_changes();
        if let Some(found) = self.find(namespace) {
            return Ok(found);
        }
        self.create_locked(&mut next, namespace, CollectionOptions::default(), uuid())
    }

    /// Creates a collection or view. One that exists with the same options is fine.
    pub(crate) fn create(
        &self,
        namespace: &Namespace,
        options: CollectionOptions,
        uuid: [u8; 16],
    ) -> Result<()> {
        let mut options = options.with_full_collation()?;
        let mut next = self.lock_changes();
        if let Some(series) = &options.time_series {
            options.time_series = Some(TimeSeries::parse(series.as_raw())?.to_document());
            // What is created under the name of buckets are the buckets alone, as a restored dump has them.
            if series_of(namespace).is_none() {
                options.view_on = Some(buckets_of(namespace)?.collection().to_owned());
            }
        }
        if let Some(found) = self.find(namespace) {
            if found.options == options {
                return Ok(());
            }
            return Err(Error::new(
                error_code::NAMESPACE_EXISTS,
                format!("{namespace} exists with other options: {:?}", found.options.to_document()),
            ));
        }
        view_graph::check(&self.state(), namespace, &options)?;
        check_validator(namespace, &options)?;
        if options.is_time_series() {
            self.create_buckets(&mut next, namespace, &options, uuid)?;
        }
        self.create_locked(&mut next, namespace, options, uuid).map(drop)
    }

    fn create_locked(
        &self,
        next: &mut u32,
        namespace: &Namespace,
        options: CollectionOptions,
        uuid: [u8; 16],
    ) -> Result<Arc<Collection>> {
        let mut state = CatalogState::clone(&self.state());
        check_case(&state, namespace)?;
        let collection = Arc::new(new_collection(next, namespace, options, uuid)?);
        self.begin_usage(&collection.indexes);
        let mut batch = WriteBatch::new();
        put_sequence(&mut batch, *next);
        put_collection(&mut batch, &collection);
        self.commit_state(batch, || {
            state.put(Arc::clone(&collection));
            state
        })?;
        Ok(collection)
    }

    /// The buckets of a new time series. They come first: buckets alone are of no harm, a time series without is.
    fn create_buckets(
        &self,
        next: &mut u32,
        namespace: &Namespace,
        options: &CollectionOptions,
        uuid: [u8; 16],
    ) -> Result<()> {
        let buckets = buckets_of(namespace)?;
        let options = CollectionOptions { view_on: None, ..options.clone() };
        match self.find(&buckets) {
            Some(found) if found.options == options => Ok(()),
            Some(_) => Err(Error::new(
                error_code::NAMESPACE_EXISTS,
                format!("{buckets} exists with other options than {namespace} would have"),
            )),
            None => self.create_locked(next, &buckets, options, uuid).map(drop),
        }
    }

    /// The collection and, if it is a time series, its buckets; if it is buckets, their time series.
    fn with_buckets(&self, collection: &Arc<Collection>) -> Result<Vec<Arc<Collection>>> {
        let other = match series_of(&collection.namespace) {
            Some(series) if collection.options.is_buckets() => self.find(&series),
            None if collection.options.is_time_series() => self.find(&buckets_of(&collection.namespace)?),
            _ => None,
        };
        let other = other.filter(|other| other.options.time_series.is_some());
        Ok(std::iter::once(Arc::clone(collection)).chain(other).collect())
    }

    /// A collection that a transaction is going to create: it has its identifiers, and nobody else sees it. `state` is
    /// what the transaction sees.
    pub(crate) fn prepare(
        &self,
        state: &CatalogState,
        namespace: &Namespace,
        options: CollectionOptions,
        uuid: [u8; 16],
    ) -> Result<Arc<Collection>> {
        check_case(state, namespace)?;
        let mut next = self.lock_changes();
        let collection = new_collection(&mut next, namespace, options, uuid)?;
        self.keep_sequence(*next)?;
        self.begin_usage(&collection.indexes);
        Ok(Arc::new(collection))
    }

    /// Such a collection with further indexes, which are empty as the collection is.
    pub(crate) fn prepare_indexes(
        &self,
        collection: &Collection,
        specifications: Vec<IndexSpecification>,
    ) -> Result<Arc<Collection>> {
        let mut next = self.lock_changes();
        let mut indexes = collection.indexes.clone();
        for specification in specifications {
            indexes.push(Arc::new(Index::new(IndexId(take_id(&mut next)?), specification)?));
        }
        self.keep_sequence(*next)?;
        let changed =
            collection.changed(collection.namespace.clone(), collection.options.clone(), indexes)?;
        Ok(Arc::new(changed))
    }

    /// Writes the sequence of identifiers by itself: those given out are lost if their transaction is.
    fn keep_sequence(&self, next: u32) -> Result<()> {
        let mut batch = WriteBatch::new();
        put_sequence(&mut batch, next);
        self.tablet.commit(batch, None)?;
        Ok(())
    }

    /// Drops a collection or view with everything in it; nothing if there is none.
    pub(crate) fn drop_collection(&self, namespace: &Namespace) -> Result<Option<DroppedCollection>> {
        let _change = self.lock_changes();
        let Some(collection) = self.find(namespace) else { return Ok(None) };
        let doomed = self.with_buckets(&collection)?;
        self.drop_locked(&doomed)?;
        let indexes = doomed.iter().map(|collection| collection.index_count()).sum();
        Ok(Some(DroppedCollection { indexes }))
    }

    /// Drops every collection of a database. Says whether there was one.
    pub(crate) fn drop_database(&self, database: &str) -> Result<bool> {
        let _change = self.lock_changes();
        let collections: Vec<_> = self.state().collections(database).cloned().collect();
        self.drop_locked(&collections)?;
        Ok(!collections.is_empty())
    }

    fn drop_locked(&self, collections: &[Arc<Collection>]) -> Result<()> {
        if collections.is_empty() {
            return Ok(());
        }
        let _gates: Vec<_> =
            collections.iter().map(|c| c.gate.write().unwrap_or_else(PoisonError::into_inner)).collect();
        let mut batch = WriteBatch::new();
        let mut state = CatalogState::clone(&self.state());
        for collection in collections {
            delete_documents(&mut batch, collection);
            state.remove(&collection.namespace);
        }
        self.commit_state(batch, || state)
    }

    /// Gives a collection another name, perhaps in another database. What is dropped for it goes with the same commit.
    pub(crate) fn rename(&self, from: &Namespace, to: &Namespace, drop_target: bool) -> Result<()> {
        let _change = self.lock_changes();
        let source = self.get(from).map_err(|_| not_found(from))?;
        if from == to {
            return Err(Error::new(error_code::ILLEGAL_OPERATION, format!("{from} has that name already")));
        }
        if source.options.is_view() {
            let reason = format!("{from} is a view, whose name cannot change");
            return Err(Error::new(error_code::COMMAND_NOT_SUPPORTED_ON_VIEW, reason));
        }
        check_case(&self.state(), to)?;
        let doomed = match self.find(to) {
            Some(target) if !drop_target || target.options.is_view() => {
                let kind = if target.options.is_view() { "view" } else { "collection" };
                return Err(Error::new(
                    error_code::NAMESPACE_EXISTS,
                    format!("there is a {kind} {to} already"),
                ));
            }
            Some(target) => self.with_buckets(&target)?,
            None => Vec::new(),
        };
        let moving = self.with_buckets(&source)?;
        let mut gates: Vec<_> = doomed.iter().chain(&moving).collect();
        gates.sort_by_key(|collection| place(&collection.namespace));
        let _gates: Vec<_> = gates
            .into_iter()
            .map(|collection| collection.gate.write().unwrap_or_else(PoisonError::into_inner))
            .collect();
        // One batch: there is no moment without a collection of that name.
        let mut batch = WriteBatch::new();
        let mut state = CatalogState::clone(&self.state());
        for collection in &doomed {
            delete_documents(&mut batch, collection);
            state.remove(&collection.namespace);
        }
        for moved in &moving {
            let mut options = moved.options.clone();
            let name = if options.is_buckets() { buckets_of(to)? } else { to.clone() };
            if options.is_time_series() {
                options.view_on = Some(buckets_of(to)?.collection().to_owned());
            }
            let renamed = Arc::new(moved.changed(name, options, moved.indexes.clone())?);
            put_collection(&mut batch, &renamed);
            state.remove(&moved.namespace);
            state.put(renamed);
        }
        self.commit_state(batch, || state)
    }

    /// Gives a collection other options (`collMod`).
    pub(crate) fn change_options(
        &self,
        collection: &Arc<Collection>,
        options: CollectionOptions,
    ) -> Result<()> {
        let _change = self.lock_changes();
        let _gate = collection.gate.write().unwrap_or_else(PoisonError::into_inner);
        let current = self.get(&collection.namespace)?;
        view_graph::check(&self.state(), &collection.namespace, &options)?;
        check_validator(&collection.namespace, &options)?;
        let changed = current.changed(current.namespace.clone(), options, current.indexes.clone())?;
        if !changed.options.is_time_series() {
            return self.replace(changed, WriteBatch::new());
        }
        // The buckets have the same options.
        let buckets = self.get(&buckets_of(&current.namespace)?)?;
        let _gate = buckets.gate.write().unwrap_or_else(PoisonError::into_inner);
        let options = CollectionOptions { view_on: None, ..changed.options.clone() };
        let buckets = buckets.changed(buckets.namespace.clone(), options, buckets.indexes.clone())?;
        let (changed, buckets) = (Arc::new(changed), Arc::new(buckets));
        let mut batch = WriteBatch::new();
        put_collection(&mut batch, &changed);
        put_collection(&mut batch, &buckets);
        let mut state = CatalogState::clone(&self.state());
        state.put(changed);
        state.put(buckets);
        self.commit_state(batch, || state)
    }

    /// Commits a changed collection together with `batch` and puts it in place.
    pub(super) fn replace(&self, changed: Collection, mut batch: WriteBatch) -> Result<()> {
        let changed = Arc::new(changed);
        put_collection(&mut batch, &changed);
        let mut state = CatalogState::clone(&self.state());
        state.put(changed);
        self.commit_state(batch, || state)
    }
}

/// Databases whose collections the server itself relies on.
const SYSTEM_DATABASES: [&str; 3] = ["admin", "config", "local"];

/// A validator says yes or no of one document: nothing in it orders documents or needs an index.
fn check_validator(namespace: &Namespace, options: &CollectionOptions) -> Result<()> {
    let Some(validator) = &options.validator else { return Ok(()) };
    if SYSTEM_DATABASES.contains(&namespace.database()) || namespace.collection().starts_with("system.") {
        return Err(Error::new(
            error_code::INVALID_OPTIONS,
            format!("{namespace} belongs to the system and cannot have a validator"),
        ));
    }
    let filter = Filter::parse_stage(validator.as_raw(), &mut Scope::new())?;
    if filter.text().is_some() {
        return Err(Error::new(error_code::BAD_VALUE, "a validator cannot search by text"));
    }
    Ok(())
}

/// The index that a time series with a meta field has from the start: on meta field and time.
fn buckets_index(namespace: &Namespace, options: &CollectionOptions) -> Result<Option<IndexSpecification>> {
    let (Some(series), Some(_)) = (&options.time_series, series_of(namespace)) else { return Ok(None) };
    let series = TimeSeries::parse(series.as_raw())?;
    let Some(meta) = &series.meta_field else { return Ok(None) };
    // Not every name of a field can be one in the key of an index.
    if [meta, &series.time_field].iter().any(|name| name.is_empty() || name.starts_with('$')) {
        return Ok(None);
    }
    let mut key = DocumentBuilder::new();
    key.append(meta, 1).append(&series.time_field, 1);
    let specification = IndexSpecification::new(key.build().as_raw())?;
    bucket_specification(&series, specification).map(Some)
}

/// Refuses a database whose name differs from another one's by case only.
pub(super) fn check_case(state: &CatalogState, namespace: &Namespace) -> Result<()> {
    match state.same_but_for_case(namespace.database()) {
        None => Ok(()),
        Some(other) => Err(Error::new(
            error_code::DATABASE_DIFFERS_BY_CASE,
            format!(
                "database \"{other}\" exists, whose name differs from \"{}\" by case only",
                namespace.database()
            ),
        )),
    }
}

/// A collection with its identifiers, and with the index on `_id` unless it is a view.
fn new_collection(
    next: &mut u32,
    namespace: &Namespace,
    options: CollectionOptions,
    uuid: [u8; 16],
) -> Result<Collection> {
    let id = CollectionId(take_id(next)?);
    let mut indexes = Vec::new();
    if options.view_on.is_none() {
        let mut specification = IndexSpecification::id()?;
        specification.collation.clone_from(&options.collation);
        specification.unique = options.capped;
        record::name_id_index(&mut specification, &options);
        indexes.push(Arc::new(Index::new(IndexId(take_id(next)?), specification)?));
    }
    if options.is_buckets()
        && let Some(specification) = buckets_index(namespace, &options)?
    {
        indexes.push(Arc::new(Index::new(IndexId(take_id(next)?), specification)?));
    }
    Collection::new(id, namespace.clone(), uuid, options, indexes)
}

/// The next identifier.
pub(super) fn take_id(next: &mut u32) -> Result<u32> {
    let id = *next;
    *next = id.checked_add(1).ok_or_else(|| Error::internal("the identifiers of collections are used up"))?;
    Ok(id)
}

/// Writes the sequence of identifiers.
pub(super) fn put_sequence(batch: &mut WriteBatch, next: u32) {
    batch.put(key_layout::sequence(), record::number_record("next", i64::from(next)).into_bytes());
}

pub(super) fn put_collection(batch: &mut WriteBatch, collection: &Collection) {
    batch.put(key_layout::collection(collection.id), record::collection_record(collection).into_bytes());
}

/// Deletes a collection with everything in it.
pub(super) fn delete_documents(batch: &mut WriteBatch, collection: &Collection) {
    batch.delete(key_layout::collection(collection.id));
    if collection.options.capped {
        batch.delete(key_layout::capped(collection.id));
    }
    let documents = key_layout::documents(collection.id);
    batch.delete_range(documents.lower, documents.upper);
    for index in &collection.indexes {
        delete_index(batch, index.id);
    }
}

/// Deletes the entries and multikey paths of an index.
pub(super) fn delete_index(batch: &mut WriteBatch, index: IndexId) {
    let entries = key_layout::entries(index);
    batch.delete_range(entries.lower, entries.upper);
    batch.delete(key_layout::multikey(index));
}
