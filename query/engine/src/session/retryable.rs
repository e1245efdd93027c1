//! Writes that a client may send again, and that are done once.
//!
//! A statement of such a write has a number within its command. What it did is recorded in the batch of the write
//! itself, so after a crash there are both or neither, and whoever sends it again gets the same answer.

use std::sync::{Arc, Mutex, PoisonError};

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};

use super::Session;
use super::logical::{LogicalSession, Numbered};
use super::transaction::Binding;
use crate::catalog::Collection;
use crate::collection::write::{DocumentTransaction, WriteContext, retrying};
use crate::operation::{DeleteOutcome, FindAndModifyOutcome, UpdateOutcome};
use crate::{Error, Result, error_code, key_layout};

/// The number under which a command's writes are recorded.
#[derive(Clone, Debug)]
pub(crate) struct RetryableWrite {
    pub(super) session: Arc<LogicalSession>,
    pub(super) number: i64,
    /// Statements that were answered from their records.
    pub(super) retried: Arc<Mutex<Vec<i32>>>,
}

/// A statement that is about to be done, or was done before. Others of its session wait meanwhile.
pub(crate) struct Statement<'a> {
    numbered: Numbered<'a>,
    number: i64,
    now_millis: i64,
    id: i32,
    retried: Arc<Mutex<Vec<i32>>>,
}

impl Statement<'_> {
    /// Whether this statement of the command was done before; it is noted if so.
    pub(crate) fn is_done(&self, id: i32) -> bool {
        let is_done = self.numbered.statement(id).is_some();
        if is_done {
            self.note_retried(id);
        }
        is_done
    }

    fn note_retried(&self, id: i32) {
        let mut retried = self.retried.lock().unwrap_or_else(PoisonError::into_inner);
        if !retried.contains(&id) {
            retried.push(id);
        }
    }

    fn head(&self, kind: &str) -> DocumentBuilder {
        let mut head = DocumentBuilder::new();
        head.append("number", self.number);
        head.append("at", Value::DateTime(self.now_millis));
        head.append("kind", kind);
        head
    }

    /// Puts a record into the transaction that does what it says, and takes out those of an older number.
    fn put(&self, transaction: &mut DocumentTransaction, id: i32, record: &RawDocumentBuf) -> Result<()> {
        let session = self.numbered.session();
        for key in self.numbered.stale() {
            transaction.delete(key.clone())?;
        }
        transaction.put(key_layout::session_statement(session, id), record.as_raw().as_bytes().to_vec())
    }

    /// Records that these statements, given in order, inserted their documents. Returns the records for
    /// [`Statement::keep`].
    pub(crate) fn put_inserted(
        &self,
        transaction: &mut DocumentTransaction,
        ids: &[i32],
    ) -> Result<Vec<(i32, RawDocumentBuf)>> {
        let mut records: Vec<(i32, RawDocumentBuf)> = Vec::new();
        for run in ids.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let mut record = self.head("insert");
            record.append("last", *last);
            let record = record.build();
            self.put(transaction, *first, &record)?;
            records.push((*first, record));
        }
        Ok(records)
    }

    /// Keeps in mind what was committed.
    pub(crate) fn keep(&mut self, records: Vec<(i32, RawDocumentBuf)>) {
        self.numbered.keep(records);
    }
}

/// An outcome that is recorded and read back.
pub(crate) trait Recorded: Sized {
    /// What its records are called.
    const KIND: &'static str;
    /// Writes it.
    fn write(&self, record: &mut DocumentBuilder);
    /// Reads it.
    fn read(record: RawDocument<'_>) -> Self;
}

fn count(record: RawDocument<'_>, field: &str) -> u64 {
    match record.get(field) {
        Some(ValueRef::Int64(number)) => u64::try_from(number).unwrap_or(0),
        _ => 0,
    }
}

fn to_long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn owned(record: RawDocument<'_>, field: &str) -> Option<Value<'static>> {
    record.get(field).map(|value| Value::from(value).into_owned())
}

impl Recorded for UpdateOutcome {
    const KIND: &'static str = "update";

    fn write(&self, record: &mut DocumentBuilder) {
        record.append("matched", to_long(self.matched)).append("modified", to_long(self.modified));
        if let Some(id) = &self.upserted_id {
            record.append_value("upserted", id);
        }
    }

    fn read(record: RawDocument<'_>) -> Self {
        Self {
            matched: count(record, "matched"),
            modified: count(record, "modified"),
            upserted_id: owned(record, "upserted"),
        }
    }
}

impl Recorded for DeleteOutcome {
    const KIND: &'static str = "delete";

    fn write(&self, record: &mut DocumentBuilder) {
        record.append("deleted", to_long(self.deleted));
    }

    fn read(record: RawDocument<'_>) -> Self {
        Self { deleted: count(record, "deleted") }
    }
}

impl Recorded for FindAndModifyOutcome {
    const KIND: &'static str = "findAndModify";

    fn write(&self, record: &mut DocumentBuilder) {
        record.append("matched", self.matched);
        if let Some(document) = &self.document {
            record.append("document", document.as_raw());
        }
        if let Some(id) = &self.upserted_id {
            record.append_value("upserted", id);
        }
    }

    fn read(record: RawDocument<'_>) -> Self {
        Self {
            document: record.get("document").and_then(ValueRef::as_document).map(RawDocument::to_buf),
            matched: matches!(record.get("matched"), Some(ValueRef::Boolean(true))),
            upserted_id: owned(record, "upserted"),
        }
    }
}

/// As [`retrying`], for a statement that may have been done before: then its outcome is the recorded one.
pub(crate) fn retrying_once<T: Recorded>(
    context: WriteContext<'_>,
    collection: &mut Arc<Collection>,
    statement: Option<Statement<'_>>,
    mut body: impl FnMut(&mut DocumentTransaction, &Arc<Collection>) -> Result<T>,
) -> Result<T> {
    let Some(mut statement) = statement else { return retrying(context, collection, body) };
    if let Some(done) = statement.numbered.statement(statement.id) {
        if done.as_raw().get("kind").and_then(ValueRef::as_str) == Some(T::KIND) {
            statement.note_retried(statement.id);
            return Ok(T::read(done.as_raw()));
        }
        return Err(Error::new(
            error_code::RETRIED_AS_ANOTHER,
            "the statement was done before, as another kind of write",
        ));
    }
    let (outcome, record) = retrying(context, collection, |transaction, collection| {
        let outcome = body(transaction, collection)?;
        // What changed nothing can be done again.
        if !transaction.has_writes() {
            return Ok((outcome, None));
        }
        let mut record = statement.head(T::KIND);
        outcome.write(&mut record);
        let record = record.build();
        statement.put(transaction, statement.id, &record)?;
        Ok((outcome, Some(record)))
    })?;
    let id = statement.id;
    statement.keep(record.map(|record| (id, record)).into_iter().collect());
    Ok(outcome)
}

impl Session {
    /// The statement of this number, if the operation has one and its session records statements.
    pub(crate) fn statement(&self, id: Option<i32>) -> Result<Option<Statement<'_>>> {
        let (Some(id), Binding::Retryable(write)) = (id, &self.binding) else { return Ok(None) };
        let now_millis = self.database().now_millis();
        let numbered = write.session.numbered(self.database().tablet(), write.number)?;
        let retried = Arc::clone(&write.retried);
        Ok(Some(Statement { numbered, number: write.number, now_millis, id, retried }))
    }

    /// The statements of a session that records them which had been done before and were answered from their records.
    pub fn retried_statements(&self) -> Vec<i32> {
        match &self.binding {
            Binding::Retryable(write) => write.retried.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            _ => Vec::new(),
        }
    }
}
