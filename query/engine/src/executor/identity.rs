//! RETURN_KEY and RECORD_ID: what a row is known by, instead of its document or beside it.

use sheaf_document::{DocumentBuilder, RawDocumentBuf};

use super::{ExecutionContext, Operator, Row, RowDocument};
use crate::Result;

/// What is wanted of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identified {
    /// Its key in the index of the scan, instead of the document; nothing if there was no index.
    Key,
    /// The identity of its document, known to expressions.
    RecordId,
    /// The same as a field of the document.
    RecordIdField,
}

pub(super) struct Identity {
    what: Identified,
    pub(super) input: Box<Operator>,
}

impl Identity {
    pub(super) fn new(what: Identified, input: Box<Operator>) -> Self {
        Self { what, input }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let before = rows.len();
        self.input.pull(context, wanted, rows)?;
        for row in rows.iter_mut().skip(before) {
            match self.what {
                Identified::Key => {
                    let key = row.metadata.as_mut().and_then(|metadata| metadata.index_key.take());
                    row.document = Some(RowDocument::Built(key.unwrap_or_else(RawDocumentBuf::new)));
                }
                Identified::RecordId => {
                    let id = record_id(&row.document_key);
                    row.metadata.get_or_insert_default().record_id = Some(id);
                }
                Identified::RecordIdField => {
                    let id = record_id(&row.document_key);
                    let mut document = DocumentBuilder::new();
                    for element in row.document()? {
                        document.append_element(element);
                    }
                    document.append("$recordId", id);
                    row.document = Some(RowDocument::Built(document.build()));
                }
            }
        }
        Ok(())
    }
}

/// The identity of a document as a number: the hash of its key, which it keeps as long as it lives. Documents are kept by
/// their keys and not by numbers, so the order of the numbers says nothing.
fn record_id(document_key: &[u8]) -> i64 {
    (xxhash_rust::xxh3::xxh3_64(document_key) >> 1).cast_signed()
}
