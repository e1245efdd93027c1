//! DocumentService.Write: a list of writes, one after the other.
//!
//! Neighbouring inserts go to the engine together, which makes them one write batch of the log.

use std::collections::HashMap;

use bytes::Bytes;
use sheaf_document::{DocumentBuilder, ObjectId, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_engine::operation::{
    CommonOptions, DeleteOperation, InsertOperation, UpdateOperation, UpdateOutcome,
};
use sheaf_engine::{Durability, Namespace};
use sheaf_proto::v1;
use sheaf_proto::v1::write_operation::Operation;
use sheaf_proto::v1::write_result::Outcome;
use tonic::Status;
use tonic_types::StatusExt;

use super::bson_field::{document, documents, into_bytes, optional_document, violation};
use super::query::{durability, hint, namespace};
use super::status::{deadline_exceeded, write_error};
use super::{Work, query};

/// Writes in one request. An empty document is 5 bytes, so the size of messages alone would allow millions.
const OPERATIONS_MAX: usize = 100_000;

/// Does the writes of a request.
pub fn write(work: &Work, request: &v1::WriteRequest) -> Result<v1::WriteResponse, Status> {
    let count = request.operations.len();
    if !(1..=OPERATIONS_MAX).contains(&count) {
        let description = format!("there must be 1 to {OPERATIONS_MAX}, not {count}");
        return Err(violation("operations", "OUT_OF_RANGE", &description));
    }
    let writer = Writer {
        work,
        namespace: namespace(&request.database, &request.collection)?,
        ordered: !request.unordered,
        durability: durability(request.durability)?,
        bypass_document_validation: request.bypass_document_validation,
        variables: optional_document("variables", &request.variables)?,
    };
    let mut results: Vec<v1::WriteResult> = Vec::with_capacity(count);
    let mut rest = request.operations.as_slice();
    while let Some(first) = rest.first() {
        if work.deadline.has_passed() {
            return Err(deadline_exceeded());
        }
        let inserts = rest.iter().take_while(|write| insert_of(write).is_some()).count();
        let (now, later) = rest.split_at_checked(inserts.max(1)).unwrap_or((rest, &[]));
        if inserts > 0 {
            results.extend(writer.insert(now));
        } else {
            results.push(writer.one(first));
        }
        rest = later;
        let failed =
            results.iter().rev().take(now.len()).any(|result| result.outcome.as_ref().is_none_or(is_error));
        if writer.ordered && failed {
            break;
        }
    }
    // Writes that were not tried have no outcome.
    results.resize_with(count, v1::WriteResult::default);
    Ok(v1::WriteResponse { results })
}

fn is_error(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Error(_))
}

fn insert_of(write: &v1::WriteOperation) -> Option<&v1::InsertOperation> {
    match &write.operation {
        Some(Operation::Insert(insert)) => Some(insert),
        _ => None,
    }
}

/// Why a write failed; boxed because it is large and rare.
type Refusal = Box<v1::WriteError>;

/// What all writes of a request share.
struct Writer<'a> {
    work: &'a Work,
    namespace: Namespace,
    ordered: bool,
    durability: Option<Durability>,
    bypass_document_validation: bool,
    variables: Option<RawDocument<'a>>,
}

/// A document to insert: checked, and with an `_id`.
struct Insert<'a> {
    /// Its place in the run of inserts.
    index: usize,
    document: RawDocument<'a>,
    /// The document with the `_id` it was given here.
    with_id: Option<(RawDocumentBuf, ObjectId)>,
}

impl Writer<'_> {
    /// Inserts the documents of neighbouring writes; one result each, fewer if an ordered one failed.
    fn insert(&self, writes: &[v1::WriteOperation]) -> Vec<v1::WriteResult> {
        let mut results = vec![v1::WriteResult::default(); writes.len()];
        let mut inserts = Vec::with_capacity(writes.len());
        for (index, insert) in writes.iter().filter_map(insert_of).enumerate() {
            match document("insert.document", &insert.document) {
                Ok(document) => {
                    let with_id = self.work.door.object_ids.give_id(document);
                    inserts.push(Insert { index, document, with_id });
                }
                Err(status) => {
                    set(&mut results, index, Outcome::Error(from_status(&status)));
                    if self.ordered {
                        break;
                    }
                }
            }
        }
        if inserts.is_empty() {
            return results;
        }
        let documents = inserts
            .iter()
            .map(|insert| insert.with_id.as_ref().map_or(insert.document, |(with, _)| with.as_raw()))
            .collect();
        let mut operation = InsertOperation::new(self.namespace.clone(), documents);
        operation.ordered = self.ordered;
        operation.bypass_document_validation = self.bypass_document_validation;
        operation.durability = self.durability;
        let mut failures = match self.work.session.insert(&operation) {
            Ok(outcome) => outcome
                .errors
                .into_iter()
                .map(|failed| (failed.index, write_error(&failed.error)))
                .collect::<HashMap<_, _>>(),
            // The whole run was refused: each of its documents, or the first of ordered ones.
            Err(error) => {
                let refused = if self.ordered { 1 } else { inserts.len() };
                (0..refused).map(|position| (position, write_error(&error))).collect()
            }
        };
        for (position, insert) in inserts.iter().enumerate() {
            if let Some(error) = failures.remove(&position) {
                set(&mut results, insert.index, Outcome::Error(error));
                if self.ordered {
                    // What came after was not tried, a malformed document among it included.
                    results.iter_mut().skip(insert.index + 1).for_each(|result| result.outcome = None);
                    break;
                }
                continue;
            }
            let id = insert.with_id.as_ref().map(|(_, id)| *id);
            let generated_key = id.map(|id| key_document(&Value::ObjectId(id))).unwrap_or_default();
            set(&mut results, insert.index, Outcome::Insert(v1::InsertResult { generated_key }));
        }
        results
    }

    /// Does a write that is not an insert.
    fn one(&self, write: &v1::WriteOperation) -> v1::WriteResult {
        let outcome = match &write.operation {
            Some(Operation::Update(update)) => self.update(update),
            Some(Operation::Replace(replace)) => self.replace(replace),
            Some(Operation::Delete(delete)) => self.delete(delete),
            // Inserts go another way; an operation this server does not know arrives as none.
            Some(Operation::Insert(_)) | None => {
                let nothing = violation("operations", "FIELD_REQUIRED", "one says nothing to do");
                Err(Box::new(from_status(&nothing)))
            }
        };
        v1::WriteResult { outcome: Some(outcome.unwrap_or_else(|refusal| Outcome::Error(*refusal))) }
    }

    fn common<'o>(&'o self, collation: &'o Bytes) -> Result<CommonOptions<'o>, Refusal> {
        Ok(CommonOptions {
            max_time: self.work.deadline.time_left(),
            let_variables: self.variables,
            collation: optional_document("collation", collation)
                .map_err(|status| Box::new(from_status(&status)))?,
        })
    }

    fn update(&self, update: &v1::UpdateOperation) -> Result<Outcome, Refusal> {
        let refused = |status: Status| Box::new(from_status(&status));
        let filter = document("update.filter", &update.filter).map_err(refused)?;
        let change = change(update).map_err(refused)?;
        let mut operation = UpdateOperation::new(self.namespace.clone(), filter, change);
        operation.multi = update.multi;
        operation.upsert = update.upsert;
        operation.array_filters =
            documents("update.array_filters", &update.array_filters).map_err(refused)?;
        operation.hint = hint("update.hint", &update.hint).map_err(refused)?;
        operation.common = self.common(&update.collation)?;
        self.run_update(operation)
    }

    fn replace(&self, replace: &v1::ReplaceOperation) -> Result<Outcome, Refusal> {
        let refused = |status: Status| Box::new(from_status(&status));
        let filter = document("replace.filter", &replace.filter).map_err(refused)?;
        let replacement = query::replacement("replace.replacement", &replace.replacement).map_err(refused)?;
        let mut operation = UpdateOperation::new(self.namespace.clone(), filter, replacement);
        operation.upsert = replace.upsert;
        operation.hint = hint("replace.hint", &replace.hint).map_err(refused)?;
        operation.common = self.common(&replace.collation)?;
        self.run_update(operation)
    }

    fn run_update(&self, mut operation: UpdateOperation<'_>) -> Result<Outcome, Refusal> {
        operation.bypass_document_validation = self.bypass_document_validation;
        operation.durability = self.durability;
        let outcome = self.work.session.update(&operation).map_err(|error| Box::new(write_error(&error)))?;
        let UpdateOutcome { matched, modified, upserted_id } = outcome;
        Ok(Outcome::Update(v1::UpdateResult {
            matched: count(matched),
            modified: count(modified),
            upserted_key: upserted_id.as_ref().map(key_document).unwrap_or_default(),
        }))
    }

    fn delete(&self, delete: &v1::DeleteOperation) -> Result<Outcome, Refusal> {
        let refused = |status: Status| Box::new(from_status(&status));
        let filter = document("delete.filter", &delete.filter).map_err(refused)?;
        let mut operation = DeleteOperation::new(self.namespace.clone(), filter);
        operation.multi = delete.multi;
        operation.hint = hint("delete.hint", &delete.hint).map_err(refused)?;
        operation.durability = self.durability;
        operation.common = self.common(&delete.collation)?;
        let outcome = self.work.session.delete(&operation).map_err(|error| Box::new(write_error(&error)))?;
        Ok(Outcome::Delete(v1::DeleteResult { deleted: count(outcome.deleted) }))
    }
}

/// The change of an update: operators or a pipeline, and not a replacement, which has its own operation.
fn change(update: &v1::UpdateOperation) -> Result<ValueRef<'_>, Status> {
    use v1::update_operation::Change;
    match &update.change {
        Some(Change::Update(operators)) => query::operators("update.update", operators),
        Some(Change::Pipeline(pipeline)) => query::pipeline("update.pipeline", pipeline),
        None => Err(violation("update.change", "FIELD_REQUIRED", "it must be given")),
    }
}

/// `{"_id": id}` as bytes.
pub fn key_document(id: &Value<'_>) -> Bytes {
    let mut key = DocumentBuilder::with_capacity(32);
    key.append_value("_id", id);
    into_bytes(key.build())
}

/// A count as the wire has it.
pub fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn set(results: &mut [v1::WriteResult], index: usize, outcome: Outcome) {
    if let Some(result) = results.get_mut(index) {
        result.outcome = Some(outcome);
    }
}

/// What a status says, as the outcome of one write.
fn from_status(status: &Status) -> v1::WriteError {
    let (reason, metadata) =
        status.get_details_error_info().map(|info| (info.reason, info.metadata)).unwrap_or_default();
    v1::WriteError {
        code: i32::from(status.code()),
        reason,
        message: status.message().to_owned(),
        metadata,
        details: Bytes::new(),
    }
}
