//! Inserting documents.

use std::sync::Arc;

use sheaf_document::{RawDocument, RawDocumentBuf};

use super::document_id::{stamp_zeros, with_id};
use super::validate::validate;
use super::write::retrying;
use crate::catalog::Collection;
use crate::operation::{InsertOperation, InsertOutcome, WriteError};
use crate::session::Session;
use crate::{Error, Result, error_code};

/// Bytes of documents that are committed together.
const BATCH_BYTES: usize = 16 << 20;

/// Documents that are committed together.
const BATCH_DOCUMENTS: usize = 10_000;

impl Session {
    /// Inserts documents. A document that cannot be inserted is reported in the outcome; an error means that the
    /// operation as a whole was refused, or that the store failed: then a first part of a large operation may be there.
    pub fn insert(&self, operation: &InsertOperation<'_>) -> Result<InsertOutcome> {
        if let Some(series) = self.time_series(&operation.namespace)? {
            return self.insert_measurements(operation, &series);
        }
        let mut collection = self.collection_for_write(&operation.namespace)?;
        let mut outcome = InsertOutcome::default();
        let mut start = 0;
        while let Some(rest) = operation.documents.get(start..).filter(|rest| !rest.is_empty()) {
            let part = rest.get(..part_len(rest)).unwrap_or(rest);
            let stop = self.insert_part(operation, &mut collection, part, start, &mut outcome)?;
            if stop {
                break;
            }
            start += part.len();
        }
        Ok(outcome)
    }

    /// Inserts documents in one transaction. Says whether to stop.
    fn insert_part(
        &self,
        operation: &InsertOperation<'_>,
        collection: &mut Arc<Collection>,
        part: &[RawDocument<'_>],
        start: usize,
        outcome: &mut InsertOutcome,
    ) -> Result<bool> {
        // Made once: a document keeps its `_id` when the transaction runs again.
        let prepared: Vec<Result<RawDocumentBuf>> =
            part.iter().map(|document| self.prepare(*document)).collect();
        let bypass = operation.bypass_document_validation;
        let (inserted, errors) =
            retrying(self.creating_context(operation.durability), collection, |transaction, collection| {
                let mut errors = Vec::new();
                let mut inserted = 0u64;
                for (position, document) in prepared.iter().enumerate() {
                    let attempt = document.clone().and_then(|document| {
                        if !bypass {
                            validate(collection, None, document.as_raw(), &mut self.environment(collection))?;
                        }
                        transaction.insert(collection, document)
                    });
                    match attempt {
                        Ok(()) => inserted += 1,
                        Err(error) if is_fatal(&error) => return Err(error),
                        Err(error) => {
                            errors.push(WriteError { index: start + position, error });
                            if operation.ordered {
                                break;
                            }
                        }
                    }
                }
                Ok((inserted, errors))
            })?;
        outcome.inserted += inserted;
        let stop = operation.ordered && !errors.is_empty();
        outcome.errors.extend(errors);
        Ok(stop)
    }

    pub(super) fn prepare(&self, document: RawDocument<'_>) -> Result<RawDocumentBuf> {
        let document = with_id(document, || self.database().new_object_id())?;
        Ok(stamp_zeros(document, || self.database().new_timestamp()))
    }
}

/// Whether an error is about the store and not about the document.
fn is_fatal(error: &Error) -> bool {
    [
        error_code::WRITE_CONFLICT,
        error_code::DATA_CORRUPTION_DETECTED,
        error_code::FILE_STREAM_FAILED,
        error_code::OUT_OF_DISK_SPACE,
        error_code::SHUTDOWN_IN_PROGRESS,
        error_code::EXCEEDED_MEMORY_LIMIT,
        error_code::INTERNAL_ERROR,
    ]
    .contains(&error.code)
}

fn part_len(documents: &[RawDocument<'_>]) -> usize {
    let mut bytes = 0usize;
    let fits = documents.iter().take(BATCH_DOCUMENTS).take_while(|document| {
        bytes = bytes.saturating_add(document.len_bytes());
        bytes <= BATCH_BYTES
    });
    fits.count().max(1)
}
