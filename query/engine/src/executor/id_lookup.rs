//! IDHACK: the one document with this `_id`.

use std::sync::Arc;

use sheaf_language::filter::Filter;

use super::{Examined, ExecutionContext, Row};
use crate::Result;
use crate::key_layout::{self, CollectionId};

pub(super) struct IdLookup {
    collection: CollectionId,
    /// Taken when it was looked up.
    document_key: Option<Vec<u8>>,
    filter: Option<Arc<Filter>>,
    pub(super) examined: Examined,
}

impl IdLookup {
    pub(super) fn new(collection: CollectionId, document_key: Vec<u8>, filter: Option<Arc<Filter>>) -> Self {
        Self { collection, document_key: Some(document_key), filter, examined: Examined::default() }
    }

    pub(super) fn pull(&mut self, context: &mut ExecutionContext, rows: &mut Vec<Row>) -> Result<()> {
        let Some(document_key) = self.document_key.take() else { return Ok(()) };
        self.examined.keys += 1;
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
        self.document_key.is_none()
    }
}
