//! The documents that an update or delete is about.
//!
//! Writes to one document find it at their transaction's snapshot; if it changed meanwhile the commit conflicts and
//! everything runs again. Writes to many documents find all of them at one snapshot, which also keeps a document that
//! an update moves in an index from being met twice; then they write part by part, each in its own transaction,
//! which looks at the newest version of each document and leaves out what does not match any more.

use std::time::Duration;

use sheaf_document::{RawDocument, RawDocumentBuf};
use sheaf_language::expression::Environment;
use sheaf_storage::ValueSlice;

use super::write::DocumentTransaction;
use crate::catalog::Collection;
use crate::cursor::Execution;
use crate::executor::Row;
use crate::plan::PhysicalPlan;
use crate::planner::{self, Query};
use crate::session::{ReadOptions, Session};
use crate::{Error, Result, error_code};
use std::sync::Arc;

/// Documents of one part of a write to many.
const PART_DOCUMENTS: usize = 1_000;

/// Bytes of documents of one part of a write to many.
const PART_BYTES: usize = 8 << 20;

/// A document that is about to be changed, as the transaction sees it.
pub(in crate::collection) struct Target {
    pub(in crate::collection) document_key: Vec<u8>,
    bytes: ValueSlice,
}

impl Target {
    /// The document.
    pub(in crate::collection) fn document(&self) -> Result<RawDocument<'_>> {
        RawDocument::from_bytes(&self.bytes).map_err(|error| {
            Error::new(error_code::DATA_CORRUPTION_DETECTED, format!("a stored document is damaged: {error}"))
        })
    }

    /// The newest version of a row's document, if it is still there.
    pub(in crate::collection) fn current(
        transaction: &DocumentTransaction,
        collection: &Collection,
        row: &Row,
    ) -> Result<Option<Self>> {
        let bytes = transaction.read(collection, &row.document_key)?;
        Ok(bytes.map(|bytes| Self { document_key: row.document_key.clone(), bytes }))
    }

    /// Whether it matches, given that the row did.
    pub(in crate::collection) fn still_matches(
        &self,
        row: &Row,
        query: &Query,
        environment: &mut Environment,
    ) -> Result<bool> {
        let now = self.document()?;
        if row.document()?.as_bytes() == now.as_bytes() {
            return Ok(true);
        }
        Ok(query.filter.matches(now, environment)?)
    }
}

/// Deletes a document.
pub(in crate::collection) fn delete_target(
    transaction: &mut DocumentTransaction,
    collection: &Collection,
    target: &Target,
) -> Result<RawDocumentBuf> {
    let before = target.document()?;
    transaction.remove(collection, &target.document_key, before)?;
    Ok(before.to_buf())
}

/// The documents that match at one snapshot, part by part.
pub(in crate::collection) struct Matches {
    execution: Execution,
    /// All of them are one part: a transaction sees its own writes, and must not meet a document it moved again.
    is_one_part: bool,
}

impl Matches {
    /// The next part; empty at the end.
    pub(in crate::collection) fn next_part(&mut self) -> Result<Vec<Row>> {
        let mut part = Vec::new();
        let mut bytes = 0;
        while self.is_one_part || (part.len() < PART_DOCUMENTS && bytes < PART_BYTES) {
            let Some(row) = self.execution.next_row()? else { break };
            bytes += row.memory_bytes();
            part.push(row);
        }
        Ok(part)
    }
}

impl Session {
    /// The first document that matches, at the transaction's snapshot.
    pub(in crate::collection) fn first_match(
        &self,
        transaction: &DocumentTransaction,
        collection: &Arc<Collection>,
        query: &Query,
        max_time: Option<Duration>,
    ) -> Result<Option<Target>> {
        let snapshot = self.snapshot(Some(transaction.transaction.snapshot_timestamp()))?;
        let options = ReadOptions { max_time, allow_disk_use: None };
        let watch = self.choose_index(Some(collection), query, &snapshot, options)?;
        let plan = first_only(planner::plan_documents(Some(collection), query)?);
        let mut execution = self.start(&plan, snapshot, &query.collation, options).watched(watch);
        match execution.next_row()? {
            Some(row) => Target::current(transaction, collection, &row),
            None => Ok(None),
        }
    }

    /// All documents that match now.
    pub(in crate::collection) fn all_matches(
        &self,
        collection: &Arc<Collection>,
        query: &Query,
        max_time: Option<Duration>,
    ) -> Result<Matches> {
        let snapshot = self.snapshot(None)?;
        let options = ReadOptions { max_time, allow_disk_use: None };
        let watch = self.choose_index(Some(collection), query, &snapshot, options)?;
        let plan = planner::plan_documents(Some(collection), query)?;
        let execution = self.start(&plan, snapshot, &query.collation, options).watched(watch);
        Ok(Matches { execution, is_one_part: self.open_transaction().is_some() })
    }

    /// The surroundings of a query's expressions.
    pub(in crate::collection) fn query_environment(&self, query: &Query) -> Environment {
        let mut environment = self.database().new_environment();
        environment.collator.clone_from(&query.collation.collator);
        environment
    }
}

fn first_only(plan: PhysicalPlan) -> PhysicalPlan {
    match plan {
        PhysicalPlan::Sort { sort, input, .. } => PhysicalPlan::Sort { sort, limit: Some(1), input },
        other => PhysicalPlan::Limit { limit: 1, input: Box::new(other) },
    }
}
