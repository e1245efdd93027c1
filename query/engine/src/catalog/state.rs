//! One state of affairs of the catalog.

use std::collections::BTreeMap;
use std::sync::Arc;

use sheaf_storage::{Snapshot, Timestamp};

use super::collection::Collection;
use crate::{Namespace, Result};

/// Databases by name, in them collections by name. A database exists as long as it has a collection.
#[derive(Clone, Default)]
pub(crate) struct CatalogState {
    databases: BTreeMap<String, BTreeMap<String, Arc<Collection>>>,
}

impl CatalogState {
    /// The collection or view of this name.
    pub(crate) fn find(&self, namespace: &Namespace) -> Option<&Arc<Collection>> {
        self.databases.get(namespace.database())?.get(namespace.collection())
    }

    /// The same for a reader of this snapshot: collections that changed later have only the indexes they had then.
    pub(crate) fn as_of(&self, snapshot: &Snapshot) -> Result<Self> {
        let mut state = self.clone();
        for collection in self.databases.values().flat_map(BTreeMap::values) {
            if collection.since() > snapshot.timestamp() && collection.indexes.len() > 1 {
                state.put(collection.as_of(snapshot)?);
            }
        }
        Ok(state)
    }

    /// The names of the databases, in order.
    pub(crate) fn databases(&self) -> impl Iterator<Item = &str> {
        self.databases.keys().map(String::as_str)
    }

    /// The collections and views of a database, by name.
    pub(crate) fn collections(&self, database: &str) -> impl Iterator<Item = &Arc<Collection>> {
        self.databases.get(database).into_iter().flat_map(BTreeMap::values)
    }

    /// A database whose name differs from this one by case only. Two such databases cannot both exist.
    pub(crate) fn same_but_for_case(&self, database: &str) -> Option<&str> {
        self.databases().find(|other| *other != database && other.eq_ignore_ascii_case(database))
    }

    /// Notes since when the collections are as they are that `before` has not.
    pub(super) fn mark_changed(&mut self, before: &Self, since: Timestamp) {
        for collection in self.databases.values().flat_map(BTreeMap::values) {
            let known = before.find(&collection.namespace);
            if !known.is_some_and(|known| Arc::ptr_eq(known, collection)) {
                collection.mark_since(since);
            }
        }
    }

    /// Adds a collection, or replaces the one of its name.
    pub(crate) fn put(&mut self, collection: Arc<Collection>) {
        let database = self.databases.entry(collection.namespace.database().to_owned()).or_default();
        database.insert(collection.namespace.collection().to_owned(), collection);
    }

    /// Takes a collection out; a database goes with its last one.
    pub(super) fn remove(&mut self, namespace: &Namespace) {
        if let Some(database) = self.databases.get_mut(namespace.database()) {
            database.remove(namespace.collection());
            if database.is_empty() {
                self.databases.remove(namespace.database());
            }
        }
    }
}
