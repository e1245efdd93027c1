//! Inserting documents.

use std::sync::Arc;

use sheaf_document::{RawDocument, RawDocumentBuf};

use super::document_id::{stamp_zeros, with_id};
use super::write::retrying;
use crate::catalog::Collection;
use crate::operation::{InsertOperation, InsertOutcome, WriteError};
use crate::session::{Session, Statement};
use crate::{Error, Result, error_code};

/// Bytes of documents that are committed together.
const BATCH_BYTES: usize = 16 << 20;

/// Documents that are committed together.
const BATCH_DOCUMENTS: usize = 10_000;

/// A document that is to be inserted.
struct Pending<'a> {
    /// Its place in the operation.
    position: usize,
    document: RawDocument<'a>,
    /// Its number within the command, if the session records statements.
    statement: Option<i32>,
}

/// What one transaction of an insert did.
#[derive(Default)]
struct Part {
    inserted: u64,
    statements: Vec<i32>,
    errors: Vec<WriteError>,
}

impl Session {
    /// Inserts documents. A document that cannot be inserted is reported in the outcome; an error means that the
    /// operation as a whole was refused, or that the store failed: then a first part of a large operation may be there.
    /// A document whose statement was done before counts as inserted.
    pub fn insert(&self, operation: &InsertOperation<'_>) -> Result<InsertOutcome> {
        if let Some(series) = self.time_series(&operation.namespace)? {
            return self.insert_measurements(operation, &series);
        }
        let mut collection = self.collection_for_write(&operation.namespace)?;
        let mut statement = self.statement(operation.statements.first().copied())?;
        let mut outcome = InsertOutcome::default();
        let mut pending = Vec::with_capacity(operation.documents.len());
        for (position, document) in operation.documents.iter().enumerate() {
            let id = operation.statements.get(position).copied().filter(|_| statement.is_some());
            match (&statement, id) {
                (Some(statement), Some(id)) if statement.is_done(id) => outcome.inserted += 1,
                _ => pending.push(Pending { position, document: *document, statement: id }),
            }
        }
        let mut rest = pending.as_slice();
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(part_len(rest));
            let stop = self.insert_part(operation, &mut collection, part, &mut statement, &mut outcome)?;
            if stop {
                break;
            }
            rest = behind;
        }
        Ok(outcome)
    }

    /// Inserts documents in one transaction. Says whether to stop.
    fn insert_part(
        &self,
        operation: &InsertOperation<'_>,
        collection: &mut Arc<Collection>,
        pending: &[Pending<'_>],
        statement: &mut Option<Statement<'_>>,
        outcome: &mut InsertOutcome,
    ) -> Result<bool> {
        // Made once: a document keeps its `_id` when the transaction runs again.
        let prepared: Vec<Result<RawDocumentBuf>> =
            pending.iter().map(|pending| self.prepare(pending.document)).collect();
        let context = self.creating_context(operation.durability);
        let (part, records) = retrying(context, collection, |transaction, collection| {
            let mut part = Part::default();
            for (pending, document) in pending.iter().zip(&prepared) {
                let attempt = document.clone().and_then(|document| {
                    if !operation.bypass_document_validation {
                        self.validate(
                            collection,
                            None,
                            document.as_raw(),
                            &mut self.environment(collection),
                        )?;
                    }
                    transaction.insert(collection, document)
                });
                match attempt {
                    Ok(()) => {
                        part.inserted += 1;
                        part.statements.extend(pending.statement);
                    }
                    Err(error) if is_fatal(&error) => return Err(error),
                    Err(error) => {
                        part.errors.push(WriteError { index: pending.position, error });
                        if operation.ordered {
                            break;
                        }
                    }
                }
            }
            let records = match &statement {
                Some(statement) => statement.put_inserted(transaction, &part.statements)?,
                None => Vec::new(),
            };
            Ok((part, records))
        })?;
        if let Some(statement) = statement {
            statement.keep(records);
        }
        outcome.inserted += part.inserted;
        let stop = operation.ordered && !part.errors.is_empty();
        outcome.errors.extend(part.errors);
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

/// How many of the documents go into the next transaction: at least one.
fn part_len(pending: &[Pending<'_>]) -> usize {
    let mut bytes = 0usize;
    let fits = pending.iter().take(BATCH_DOCUMENTS).take_while(|pending| {
        bytes = bytes.saturating_add(pending.document.len_bytes());
        bytes <= BATCH_BYTES
    });
    fits.count().max(1)
}
