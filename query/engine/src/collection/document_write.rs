//! The effects of one document's insertion, change or removal: its own key and those of its index entries.
//!
//! All checks that can refuse a document come before its first effect, so that a refused document leaves nothing in
//! the transaction and the next one can go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use sheaf_document::{RawDocument, RawDocumentBuf};

use super::document_id::id_of;
use super::duplicate::{duplicate_id, duplicate_key};
use super::write::DocumentTransaction;
use crate::catalog::Collection;
use crate::index::Index;
use crate::index::entry::Entries;
use crate::{Result, key_layout};

/// What a document adds to and takes from one index.
pub(super) struct IndexChange {
    index: Arc<Index>,
    added: BTreeMap<Vec<u8>, Vec<u8>>,
    removed: Vec<Vec<u8>>,
    multikey: Vec<u64>,
}

impl DocumentTransaction {
    /// The document with this document key, as this transaction sees it.
    pub(crate) fn read(
        &self,
        collection: &Collection,
        document_key: &[u8],
    ) -> Result<Option<sheaf_storage::ValueSlice>> {
        Ok(self.transaction.get(&key_layout::document(collection.id, document_key))?)
    }

    /// Inserts a document that has its `_id` in front.
    pub(crate) fn insert(&mut self, collection: &Collection, document: RawDocumentBuf) -> Result<()> {
        if collection.options.capped {
            return self.insert_capped(collection, document);
        }
        let raw = document.as_raw();
        let id = id_of(raw)?;
        let document_key = key_layout::document_key(id, collection.collate())?;
        let key = key_layout::document(collection.id, &document_key);
        if self.transaction.get_for_update(&key)?.is_some() {
            return Err(duplicate_id(collection, id));
        }
        let changes = self.index_changes(collection, None, Some(raw), &document_key)?;
        self.put(key, document.into_bytes())?;
        self.apply(changes)
    }

    /// Puts `after` in the place of `before`, which has the same `_id`.
    pub(crate) fn replace(
        &mut self,
        collection: &Collection,
        document_key: &[u8],
        before: RawDocument<'_>,
        after: RawDocumentBuf,
    ) -> Result<()> {
        let changes = self.index_changes(collection, Some(before), Some(after.as_raw()), document_key)?;
        self.resize_capped(collection, before.len_bytes(), after.as_raw().len_bytes())?;
        self.put(key_layout::document(collection.id, document_key), after.into_bytes())?;
        self.apply(changes)
    }

    /// Removes a document.
    pub(crate) fn remove(
        &mut self,
        collection: &Collection,
        document_key: &[u8],
        before: RawDocument<'_>,
    ) -> Result<()> {
        let changes = self.index_changes(collection, Some(before), None, document_key)?;
        self.forget_capped(collection, before.len_bytes())?;
        self.delete(key_layout::document(collection.id, document_key))?;
        self.apply(changes)
    }

    pub(super) fn index_changes(
        &mut self,
        collection: &Collection,
        before: Option<RawDocument<'_>>,
        after: Option<RawDocument<'_>>,
        document_key: &[u8],
    ) -> Result<Vec<IndexChange>> {
        let mut changes = Vec::new();
        for index in collection.indexes_with_entries() {
            let entries_of = |document: Option<RawDocument<'_>>| match document {
                Some(document) => index.entries(document, document_key),
                None => Ok(Entries::default()),
            };
            let (old, new) = (entries_of(before)?, entries_of(after)?);
            let removed: Vec<_> =
                old.entries.keys().filter(|key| !new.entries.contains_key(*key)).cloned().collect();
            let mut added = new.entries;
            added.retain(|key, value| old.entries.get(key) != Some(value));
            if let (true, Some(document)) = (index.specification.unique, after) {
                for key in added.keys() {
                    if self.transaction.get_for_update(key)?.is_some() {
                        return Err(duplicate_key(collection, index, document, key));
                    }
                }
            }
            if !added.is_empty() || !removed.is_empty() {
                changes.push(IndexChange {
                    index: Arc::clone(index),
                    added,
                    removed,
                    multikey: new.multikey,
                });
            }
        }
        Ok(changes)
    }

    pub(super) fn apply(&mut self, changes: Vec<IndexChange>) -> Result<()> {
        for change in changes {
            self.note_multikey(&change.index, &change.multikey)?;
            for key in change.removed {
                self.delete(key)?;
            }
            for (key, value) in change.added {
                self.put(key, value)?;
            }
        }
        Ok(())
    }
}
