//! Deleting documents.

use std::sync::Arc;

use crate::Result;
use crate::catalog::Collection;
use crate::operation::{DeleteOperation, DeleteOutcome};
use crate::planner::{Query, QueryOptions};
use crate::session::Session;

use super::matching::{Target, delete_target};

impl Session {
    /// Deletes documents. A collection that does not exist has none.
    pub fn delete(&self, operation: &DeleteOperation<'_>) -> Result<DeleteOutcome> {
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
        super::write::retrying(context, &mut collection, |transaction, collection| {
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
        let mut matches = self.all_matches(&collection, query, operation.common.max_time)?;
        let context = self.write_context(operation.durability);
        let mut outcome = DeleteOutcome::default();
        loop {
            let part = matches.next_part()?;
            if part.is_empty() {
                return Ok(outcome);
            }
            outcome.deleted +=
                super::write::retrying(context, &mut collection, |transaction, collection| {
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
    }
}
