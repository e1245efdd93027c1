//! Deleting documents.

use std::sync::Arc;

use crate::Result;
use crate::catalog::Collection;
use crate::operation::{DeleteOperation, DeleteOutcome};
use crate::planner::{Query, QueryOptions};
use crate::session::{Session, retrying_once};

use super::matching::{Matches, Target, delete_target};
use super::write::{WriteContext, retrying};

impl Session {
    /// Deletes documents. A collection that does not exist has none.
    pub fn delete(&self, operation: &DeleteOperation<'_>) -> Result<DeleteOutcome> {
        if let Some(series) = self.time_series(&operation.namespace)? {
            return self.delete_measurements(operation, &series);
        }
        let collection = self.existing_for_write(&operation.namespace)?;
        let options = QueryOptions::new(operation.filter, operation.hint, operation.common);
        let query = Query::parse(&options, collection.as_deref())?;
        let Some(collection) = collection else { return Ok(DeleteOutcome::default()) };
        if operation.multi {
            self.delete_all(operation, collection, &query)
        } else {
            self.delete_one(operation, collection, &query)
        }
    }

    fn delete_one(
        &self,
        operation: &DeleteOperation<'_>,
        mut collection: Arc<Collection>,
        query: &Query,
    ) -> Result<DeleteOutcome> {
        let context = self.write_context(operation.durability);
        let statement = self.statement(operation.statement)?;
        retrying_once(context, &mut collection, statement, |transaction, collection| {
            let target = self.first_match(transaction, collection, query, operation.common.max_time)?;
            let Some(target) = target else { return Ok(DeleteOutcome::default()) };
            delete_target(transaction, collection, &target)?;
            Ok(DeleteOutcome { deleted: 1 })
        })
    }

    fn delete_all(
        &self,
        operation: &DeleteOperation<'_>,
        mut collection: Arc<Collection>,
        query: &Query,
    ) -> Result<DeleteOutcome> {
        let matches = self.all_matches(&collection, query, operation.common.max_time)?;
        let context = self.write_context(operation.durability);
        let deleted = self.delete_parts(context, &mut collection, query, matches, &|_| false)?;
        Ok(DeleteOutcome { deleted })
    }

    /// Deletes documents that match, part by part, until `is_over` says of their number that it is enough.
    pub(crate) fn delete_matches(
        &self,
        collection: &Arc<Collection>,
        query: &Query,
        is_over: &dyn Fn(u64) -> bool,
    ) -> Result<u64> {
        let matches = self.all_matches(collection, query, None)?;
        let context = self.write_context(None);
        self.delete_parts(context, &mut Arc::clone(collection), query, matches, is_over)
    }

    fn delete_parts(
        &self,
        context: WriteContext<'_>,
        collection: &mut Arc<Collection>,
        query: &Query,
        mut matches: Matches,
        is_over: &dyn Fn(u64) -> bool,
    ) -> Result<u64> {
        let mut deleted = 0;
        while !is_over(deleted) {
            let part = matches.next_part()?;
            if part.is_empty() {
                break;
            }
            deleted += retrying(context, collection, |transaction, collection| {
                let mut deleted = 0;
                for row in &part {
                    let current = Target::current(transaction, collection, row)?;
                    let Some(target) = current else { continue };
                    if target.still_matches(row, query, &mut self.query_environment(query))? {
                        delete_target(transaction, collection, &target)?;
                        deleted += 1;
                    }
                }
                Ok(deleted)
            })?;
        }
        Ok(deleted)
    }
}
