//! The effects of one document's insertion, change or removal: its own key and those of its index entries.
//!
//! All checks that can refuse a document come before its first effect, so that a refused document leaves nothing in
//! the transaction and the next one can go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use sheaf_document::{RawDocument, RawDocumentBuf};
use sheaf_storage::IterOptions;

use super::document_id::id_of;
use super::duplicate::{duplicate_id, duplicate_key};
use super::write::DocumentTransaction;
use crate::catalog::Collection;
use crate::index::Index;
use crate::index::entry::{self, Entries};
use crate::{Result, key_layout};

/// What a document adds to and takes from one index.
pub(super) struct IndexChange {
    index: Arc<Index>,
    added: BTreeMap<Vec<u8>, Vec<u8>>,
    removed: Vec<Vec<u8>>,
    /// Keys without the document, of an index that is to become unique.
    claimed: Vec<Vec<u8>>,
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
                // A key that the document had already may have got another value: a number of another type.
                for key in added.keys().filter(|key| !old.entries.contains_key(*key)) {
                    if self.transaction.get_for_update(key)?.is_some() {
                        return Err(duplicate_key(collection, index, document, key));
                    }
                }
            }
            let mut claimed = Vec::new();
            if let (true, Some(document)) = (index.specification.prepare_unique, after) {
                for (key, value) in added.iter().filter(|(key, _)| !old.entries.contains_key(*key)) {
                    claimed.push(self.claim(collection, index, document, (key, value))?);
                }
            }
            if !added.is_empty() || !removed.is_empty() {
                changes.push(IndexChange {
                    index: Arc::clone(index),
                    added,
                    removed,
                    claimed,
                    multikey: new.multikey,
                });
            }
        }
        Ok(changes)
    }

    /// Refuses an entry whose key another document has, in an index that is to become unique. Returns the key without
    /// the document: two transactions that add it must meet, although their entries are different keys of the store.
    /// So each deletes it, which leaves nothing and conflicts.
    fn claim(
        &self,
        collection: &Collection,
        index: &Index,
        document: RawDocument<'_>,
        (key, value): (&[u8], &[u8]),
    ) -> Result<Vec<u8>> {
        let fields = entry::split(key, value, false)?.fields;
        let mut prefix = key_layout::entries_prefix(index.id);
        prefix.extend_from_slice(fields);
        let range = key_layout::prefix_range(prefix.clone());
        let mut others = self.transaction.iter(IterOptions {
            lower: Some(range.lower),
            upper: Some(range.upper),
            keys_only: true,
        })?;
        if others.seek_to_first()? {
            return Err(duplicate_key(collection, index, document, key));
        }
        Ok(prefix)
    }

    pub(super) fn apply(&mut self, changes: Vec<IndexChange>) -> Result<()> {
        for change in changes {
            self.note_multikey(&change.index, &change.multikey)?;
            for key in change.claimed {
                self.delete(key)?;
            }
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
