//! Creating, dropping and renaming collections.
//!
//! Every change follows one order: take the right to change, take the gates of the collections whose keys it touches,
//! check against the state of affairs, commit one batch, put the new state in place.

use std::sync::{Arc, MutexGuard, PoisonError};

use sheaf_storage::WriteBatch;

use super::collection::Collection;
use super::collection_options::CollectionOptions;
use super::index_specification::IndexSpecification;
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
        let options = options.with_full_collation()?;
        let mut next = self.lock_changes();
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
        if let Some(other) = state.same_but_for_case(namespace.database()) {
            return Err(Error::new(
                error_code::DATABASE_DIFFERS_BY_CASE,
                format!(
                    "database \"{other}\" exists, whose name differs from \"{}\" by case only",
                    namespace.database()
                ),
            ));
        }
        let id = CollectionId(take_id(next)?);
        let mut indexes = Vec::new();
        if options.view_on.is_none() {
            let mut specification = IndexSpecification::id()?;
            specification.collation.clone_from(&options.collation);
            specification.unique = options.capped;
            indexes.push(Arc::new(Index::new(IndexId(take_id(next)?), specification)?));
        }
        self.begin_usage(&indexes);
        let collection = Arc::new(Collection::new(id, namespace.clone(), uuid, options, indexes)?);
        let mut batch = WriteBatch::new();
        put_sequence(&mut batch, *next);
        put_collection(&mut batch, &collection);
        self.tablet.commit(batch, None)?;
        state.put(Arc::clone(&collection));
        self.publish(state);
        Ok(collection)
    }

    /// Drops a collection or view with everything in it; nothing if there is none.
    pub(crate) fn drop_collection(&self, namespace: &Namespace) -> Result<Option<DroppedCollection>> {
        let _change = self.lock_changes();
        let Some(collection) = self.find(namespace) else { return Ok(None) };
        self.drop_locked(std::slice::from_ref(&collection))?;
        Ok(Some(DroppedCollection { indexes: collection.indexes.len() }))
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
        self.tablet.commit(batch, None)?;
        self.publish(state);
        Ok(())
    }

    /// Gives a collection another name, perhaps in another database.
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
        if let Some(target) = self.find(to) {
            if !drop_target {
                return Err(Error::new(
                    error_code::NAMESPACE_EXISTS,
                    format!("there is a collection {to} already"),
                ));
            }
            self.drop_locked(&[target])?;
        }
        let _gate = source.gate.write().unwrap_or_else(PoisonError::into_inner);
        let renamed = Arc::new(source.changed(to.clone(), source.options.clone(), source.indexes.clone())?);
        let mut batch = WriteBatch::new();
        put_collection(&mut batch, &renamed);
        self.tablet.commit(batch, None)?;
        let mut state = CatalogState::clone(&self.state());
        state.remove(from);
        state.put(renamed);
        self.publish(state);
        Ok(())
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
        let changed = current.changed(current.namespace.clone(), options, current.indexes.clone())?;
        self.replace(changed, WriteBatch::new())
    }

    /// Commits a changed collection together with `batch` and puts it in place.
    pub(super) fn replace(&self, changed: Collection, mut batch: WriteBatch) -> Result<()> {
        let changed = Arc::new(changed);
        put_collection(&mut batch, &changed);
        self.tablet.commit(batch, None)?;
        let mut state = CatalogState::clone(&self.state());
        state.put(changed);
        self.publish(state);
        Ok(())
    }
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
