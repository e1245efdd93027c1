//! IDHACK: the one document with this `_id`.

use std::sync::Arc;

use sheaf_language::filter::Filter;

use super::{Examined, ExecutionContext, Row};
use crate::Result;
use crate::catalog::Collection;
use crate::index::entry;
use crate::key_layout::{self, CollectionId, IndexId};

pub(super) struct IdLookup {
    collection: CollectionId,
    /// The index on `_id`, where documents are not kept by it.
    index: Option<IndexId>,
    /// The encoded `_id`; taken when it was looked up.
    id_key: Option<Vec<u8>>,
    filter: Option<Arc<Filter>>,
    pub(super) examined: Examined,
}

impl IdLookup {
    pub(super) fn new(collection: &Collection, id_key: Vec<u8>, filter: Option<Arc<Filter>>) -> Self {
        let index = collection.indexes.first().filter(|index| !index.is_primary()).map(|index| index.id);
        let id_key = Some(id_key);
        Self { collection: collection.id, index, id_key, filter, examined: Examined::default() }
    }

    /// The key of the document with this `_id`.
    fn document_key(&self, context: &ExecutionContext, id_key: Vec<u8>) -> Result<Option<Vec<u8>>> {
        let Some(index) = self.index else { return Ok(Some(id_key)) };
        let mut key = key_layout::entries_prefix(index);
        key.extend_from_slice(&id_key);
        let Some(entry) = context.snapshot.get(&key)? else { return Ok(None) };
        Ok(Some(entry::split(&key, &entry, true)?.document_key.to_vec()))
    }

    pub(super) fn pull(&mut self, context: &mut ExecutionContext, rows: &mut Vec<Row>) -> Result<()> {
        let Some(id_key) = self.id_key.take() else { return Ok(()) };
        self.examined.keys += 1;
        let Some(document_key) = self.document_key(context, id_key)? else { return Ok(()) };
        let key = key_layout::document(self.collection, &document_key);
        let Some(document) = context.snapshot.get(&key)? else { return Ok(()) };
        self.examined.documents += 1;
        let row = Row::stored(document, document_key);
        let matches = match &self.filter {
            Some(filter) => filter.matches(row.document()?, &mut context.environment)?,
            None => true,
        };
        if matches {
            rows.push(row);
        }
        Ok(())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.id_key.is_none()
    }
}
