//! FETCH: the documents that index entries point at.

use std::sync::Arc;

use sheaf_language::filter::Filter;

use super::{Examined, ExecutionContext, Operator, Row, RowDocument};
use crate::index::Index;
use crate::key_layout::{self, CollectionId};
use crate::{Error, Result, error_code};

pub(super) struct Fetch {
    collection: CollectionId,
    filter: Option<Arc<Filter>>,
    /// The index whose keys the rows have to know.
    key_of: Option<Arc<Index>>,
    pub(super) input: Box<Operator>,
    /// Rows of the input; kept for its memory.
    entries: Vec<Row>,
    pub(super) examined: Examined,
}

impl Fetch {
    pub(super) fn new(
        collection: CollectionId,
        filter: Option<Arc<Filter>>,
        key_of: Option<Arc<Index>>,
        input: Box<Operator>,
    ) -> Self {
        Self { collection, filter, key_of, input, entries: Vec::new(), examined: Examined::default() }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let end = rows.len() + wanted;
        while rows.len() < end {
            context.check_time()?;
            self.input.pull(context, end - rows.len(), &mut self.entries)?;
            if self.entries.is_empty() {
                return Ok(());
            }
            for mut row in self.entries.drain(..) {
                // A scan of the primary index brings the documents along.
                if row.document.is_none() {
                    row.document = Some(read(context, self.collection, &row.document_key)?);
                }
                self.examined.documents += 1;
                let matches = match &self.filter {
                    Some(filter) => filter.matches(row.document()?, &mut context.environment)?,
                    None => true,
                };
                if matches {
                    if let Some(index) = &self.key_of {
                        let key = index.key_document(row.document()?, row.entry.as_deref())?;
                        row.metadata.get_or_insert_default().index_key = Some(key);
                    }
                    rows.push(row);
                }
            }
        }
        Ok(())
    }
}

pub(super) fn read(
    context: &ExecutionContext,
    collection: CollectionId,
    document_key: &[u8],
) -> Result<RowDocument> {
    let document = context.snapshot.get(&key_layout::document(collection, document_key))?;
    document.map(RowDocument::Stored).ok_or_else(|| {
        Error::new(
            error_code::DATA_CORRUPTION_DETECTED,
            "an index entry points at a document that is not there",
        )
    })
}
