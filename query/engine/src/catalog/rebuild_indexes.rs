//! Building indexes again: as they are, or as unique ones.
//!
//! The new entries are written under new identities beside the old ones, under the mark of construction; the batch that
//! puts the new indexes in place deletes the old entries. A crash in between leaves the old index.

use std::sync::{Arc, PoisonError};

use sheaf_document::{ArrayBuilder, DocumentBuilder, RawDocumentBuf, ValueRef};
use sheaf_storage::{IterOptions, WriteBatch};

use super::change::{delete_index, take_id};
use super::change_indexes::to_u64;
use super::collection::Collection;
use super::index_specification::IndexSpecification;
use super::{Catalog, record};
use crate::index::{Index, IndexContent, entry};
use crate::key_layout::{self, IndexId};
use crate::{Error, Result, error_code};

/// Duplicates that an error describes at most.
const VIOLATIONS_MAX: usize = 100;

impl Catalog {
    /// Builds all indexes of a collection again. Returns how many there are.
    pub(crate) fn rebuild_indexes(&self, collection: &Arc<Collection>) -> Result<u64> {
        let mut next = self.lock_changes();
        let _gate = collection.gate.write().unwrap_or_else(PoisonError::into_inner);
        let current = self.get(&collection.namespace)?;
        if current.options.view_on.is_some() {
            return Err(Error::new(
                error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
                format!("{} is a view and has no indexes", current.namespace),
            ));
        }
        let wanted = current
            .indexes_with_entries()
            .map(|index| (Arc::clone(index), index.specification.clone()))
            .collect();
        self.rebuild(&mut next, &current, wanted)?;
        Ok(to_u64(current.indexes.len()))
    }

    /// Makes an index unique that was prepared for it. With `only_check`, nothing is changed.
    pub(crate) fn make_unique(
        &self,
        collection: &Arc<Collection>,
        name: &str,
        only_check: bool,
    ) -> Result<()> {
        let mut next = self.lock_changes();
        let _gate = collection.gate.write().unwrap_or_else(PoisonError::into_inner);
        let current = self.get(&collection.namespace)?;
        let Some(index) = current.index_named(name).cloned() else {
            return Err(Error::new(
                error_code::INDEX_NOT_FOUND,
                format!("{} has no index {name:?}", current.namespace),
            ));
        };
        if index.specification.unique {
            return Ok(());
        }
        if !matches!(index.content, IndexContent::Values) {
            return Err(Error::new(
                error_code::INVALID_OPTIONS,
                format!("the index {name:?} is of a kind that cannot be unique"),
            ));
        }
        self.check_duplicates(&current, &index)?;
        if only_check {
            return Ok(());
        }
        let specification =
            IndexSpecification { unique: true, prepare_unique: false, ..index.specification.clone() };
        self.rebuild(&mut next, &current, vec![(index, specification)])
    }

    fn rebuild(
        &self,
        next: &mut u32,
        current: &Collection,
        wanted: Vec<(Arc<Index>, IndexSpecification)>,
    ) -> Result<()> {
        let mut added = Vec::with_capacity(wanted.len());
        let mut indexes = current.indexes.clone();
        let mut replaced = Vec::with_capacity(wanted.len());
        for (old, specification) in wanted {
            let mut new = Index::new(IndexId(take_id(next)?), specification)?;
            new.usage = Arc::clone(&old.usage);
            let new = Arc::new(new);
            for slot in indexes.iter_mut().filter(|index| index.id == old.id) {
                *slot = Arc::clone(&new);
            }
            added.push(new);
            replaced.push(old);
        }
        if added.is_empty() {
            return Ok(());
        }
        self.mark_construction(&added, current, *next)?;
        if let Err(error) = self.fill(current, &added) {
            self.abandon(&added)?;
            return Err(error);
        }
        let mut batch = WriteBatch::new();
        for (new, old) in added.iter().zip(&replaced) {
            batch.delete(key_layout::construction(new.id));
            delete_index(&mut batch, old.id);
        }
        self.replace(current.changed(current.namespace.clone(), current.options.clone(), indexes)?, batch)
    }

    /// Refuses an index that has a key twice: `CannotConvertIndexToUnique`, with the `_id`s of the documents of each
    /// key in `violations: [{ids: [..]}, ..]`.
    fn check_duplicates(&self, collection: &Collection, index: &Index) -> Result<()> {
        let snapshot = self.tablet.snapshot();
        let range = key_layout::entries(index.id);
        let mut entries = snapshot.iter(IterOptions {
            lower: Some(range.lower),
            upper: Some(range.upper),
            ..IterOptions::default()
        })?;
        let id_of = |document_key: &[u8]| -> Result<RawDocumentBuf> {
            let bytes = snapshot.get(&key_layout::document(collection.id, document_key))?;
            let bytes = bytes.ok_or_else(|| record::damaged("an index entry points at nothing"))?;
            let document = sheaf_document::RawDocument::from_bytes(&bytes).map_err(record::damaged)?;
            let mut id = DocumentBuilder::new();
            id.append_ref("_id", document.get("_id").unwrap_or(ValueRef::Null));
            Ok(id.build())
        };
        let mut violations: Vec<Vec<RawDocumentBuf>> = Vec::new();
        // The fields and the document of the entry before; whether its key was met twice already.
        let mut before: Option<(Vec<u8>, Vec<u8>, bool)> = None;
        let mut valid = entries.seek_to_first()?;
        while valid && violations.len() <= VIOLATIONS_MAX {
            let parts = entry::split(entries.key(), entries.value(), false)?;
            let mut is_repeated = false;
            if let Some((fields, document_key, was_repeated)) = &before
                && fields == parts.fields
            {
                is_repeated = true;
                if !was_repeated {
                    violations.push(vec![id_of(document_key)?]);
                }
                if let Some(ids) = violations.last_mut().filter(|ids| ids.len() < VIOLATIONS_MAX) {
                    ids.push(id_of(parts.document_key)?);
                }
            }
            before = Some((parts.fields.to_vec(), parts.document_key.to_vec(), is_repeated));
            valid = entries.next()?;
        }
        if violations.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            error_code::CANNOT_CONVERT_INDEX_TO_UNIQUE,
            format!(
                "the index \"{}\" has keys that several documents share; change or delete some of them",
                index.specification.name
            ),
        )
        .with_details(violations_document(&violations)))
    }
}

fn violations_document(violations: &[Vec<RawDocumentBuf>]) -> RawDocumentBuf {
    let mut list = ArrayBuilder::new();
    for ids in violations {
        list.document(|violation| {
            violation.array("ids", |array| {
                for id in ids {
                    array.push_ref(id.as_raw().get("_id").unwrap_or(ValueRef::Null));
                }
            });
        });
    }
    let list = list.build();
    let mut details = DocumentBuilder::new();
    details.append_ref("violations", ValueRef::Array(list.as_raw_array()));
    details.build()
}
