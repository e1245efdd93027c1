//! Copying a collection into a capped one: `convertToCapped`, where the copy takes the original's place, and
//! `cloneCollectionAsCapped`, where it stands beside it.
//!
//! Writers of the original wait meanwhile. The copy is written in batches under a mark that makes the next opening
//! delete it; the last batch removes the mark and puts the copy into the catalog. So there is the original or the copy
//! whole, whatever happens in between.

use std::sync::{Arc, PoisonError};

use sheaf_document::RawDocument;
use sheaf_storage::{Iter, IterOptions, Snapshot, WriteBatch};

use super::change::{delete_documents, delete_index, put_collection, put_sequence, take_id};
use super::index_specification::IndexSpecification;
use super::{CappedState, Catalog, CatalogState, Collection, CollectionOptions, not_found, record};
use crate::collection::capped_documents;
use crate::index::Index;
use crate::key_layout::{self, CollectionId, IndexId, KeyRange};
use crate::{Error, Namespace, Result, error_code};

/// Bytes that are committed together.
const COPY_BATCH_BYTES: usize = 4 << 20;

impl Catalog {
    /// Makes `to` a capped collection of `size_bytes` with the newest documents of `from`, in their order. If both are
    /// the same collection, the copy takes its place; its indexes, the one on `_id` aside, are gone then.
    pub(crate) fn copy_as_capped(
        &self,
        from: &Namespace,
        to: &Namespace,
        size_bytes: i64,
        uuid: [u8; 16],
    ) -> Result<()> {
        let mut next = self.lock_changes();
        let source = self.get(from).map_err(|_| not_found(from))?;
        let _gate = source.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.check_copy(&source, to)?;
        let options = CollectionOptions {
            capped: true,
            size_bytes: Some(size_bytes),
            documents_max: None,
            clustered_index: None,
            expire_after_seconds: None,
            ..source.options.clone()
        };
        let copy = new_copy(&mut next, to, options, uuid)?;
        self.mark_copy(&copy, *next)?;
        let state = match self.copy_documents(&source, &copy) {
            Ok(state) => state,
            Err(error) => {
                let mut batch = WriteBatch::new();
                delete_copy(&mut batch, copy.id, copy.indexes.iter().map(|index| index.id));
                self.tablet.commit(batch, None)?;
                return Err(error);
            }
        };
        let mut batch = WriteBatch::new();
        let mut catalog = CatalogState::clone(&self.state());
        if from == to {
            delete_documents(&mut batch, &source);
        }
        batch.delete(key_layout::copy(copy.id));
        batch.put(key_layout::capped(copy.id), state.encode());
        put_collection(&mut batch, &copy);
        self.commit_state(batch, || {
            catalog.put(Arc::new(copy));
            catalog
        })
    }

    fn check_copy(&self, source: &Collection, to: &Namespace) -> Result<()> {
        let is_view = |collection: &Collection| {
            Err(Error::new(
                error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
                format!("{} is a view and cannot be capped", collection.namespace),
            ))
        };
        if source.options.view_on.is_some() {
            return is_view(source);
        }
        match self.find(to) {
            Some(target) if target.options.view_on.is_some() => is_view(&target),
            Some(target) if target.namespace != source.namespace => {
                Err(Error::new(error_code::NAMESPACE_EXISTS, format!("there is a collection {to} already")))
            }
            _ => Ok(()),
        }
    }

    fn mark_copy(&self, copy: &Collection, next: u32) -> Result<()> {
        let mut batch = WriteBatch::new();
        put_sequence(&mut batch, next);
        let index = copy.indexes.first().map_or(0, |index| index.id.0);
        batch.put(key_layout::copy(copy.id), record::number_record("idIndex", i64::from(index)).into_bytes());
        self.tablet.commit(batch, None)?;
        Ok(())
    }

    fn copy_documents(&self, source: &Collection, copy: &Collection) -> Result<CappedState> {
        let snapshot = self.tablet.snapshot();
        let range = if source.options.capped {
            capped_documents(&snapshot, source)?
        } else {
            key_layout::documents(source.id)
        };
        let mut state = CappedState::default();
        let mut documents = from_first_that_fits(&snapshot, range, copy)?;
        let mut batch = WriteBatch::new();
        while documents.valid() {
            let document = RawDocument::from_bytes(documents.value()).map_err(record::damaged)?;
            let document_key = key_layout::position_key(state.next);
            for index in copy.indexes_with_entries() {
                for (key, value) in index.entries(document, &document_key)?.entries {
                    batch.put(key, value);
                }
            }
            batch.put(key_layout::document(copy.id, &document_key), documents.value());
            state.add(document.len_bytes());
            if batch.size_bytes() >= COPY_BATCH_BYTES {
                self.tablet.commit(std::mem::take(&mut batch), None)?;
            }
            documents.next()?;
        }
        if !batch.is_empty() {
            self.tablet.commit(batch, None)?;
        }
        Ok(state)
    }
}

/// An iterator at the oldest of the documents that the copy has room for.
fn from_first_that_fits(snapshot: &Snapshot, range: KeyRange, copy: &Collection) -> Result<Iter> {
    let options =
        IterOptions { lower: Some(range.lower), upper: Some(range.upper), ..IterOptions::default() };
    let mut documents = snapshot.iter(options)?;
    let mut fitting = CappedState::default();
    let mut valid = documents.seek_to_last()?;
    while valid {
        fitting.add(documents.value().len());
        // The newest stays, however large it is.
        if fitting.documents > 1 && fitting.is_over(&copy.options) {
            documents.next()?;
            return Ok(documents);
        }
        valid = documents.prev()?;
    }
    documents.seek_to_first()?;
    Ok(documents)
}

fn new_copy(
    next: &mut u32,
    to: &Namespace,
    options: CollectionOptions,
    uuid: [u8; 16],
) -> Result<Collection> {
    let id = CollectionId(take_id(next)?);
    let mut specification = IndexSpecification::id()?;
    specification.collation.clone_from(&options.collation);
    specification.unique = true;
    let index = Index::new(IndexId(take_id(next)?), specification)?;
    Collection::new(id, to.clone(), uuid, options, vec![Arc::new(index)])
}

/// Deletes what there is of a copy that did not come to its end.
pub(super) fn delete_copy(
    batch: &mut WriteBatch,
    copy: CollectionId,
    indexes: impl Iterator<Item = IndexId>,
) {
    let documents = key_layout::documents(copy);
    batch.delete_range(documents.lower, documents.upper);
    for index in indexes {
        delete_index(batch, index);
    }
    batch.delete(key_layout::copy(copy));
}
