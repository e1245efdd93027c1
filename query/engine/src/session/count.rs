//! Counting documents.

use sheaf_storage::IterOptions;

use super::Session;
use super::reading::ReadOptions;
use crate::Result;
use crate::catalog::Collection;
use crate::collection::capped_documents;
use crate::executor::ExecutionContext;
use crate::key_layout;
use crate::operation::CountOperation;
use crate::plan::PhysicalPlan;
use crate::planner::{self, Query, QueryOptions};

impl Session {
    /// Counts documents. A collection that does not exist has none.
    pub fn count(&self, operation: &CountOperation<'_>) -> Result<u64> {
        let collection = self.find_collection(&operation.namespace);
        if let Some(view) = collection.as_ref().filter(|collection| collection.options.view_on.is_some()) {
            return self.count_in_view(operation, view);
        }
        let query = Query::parse(&query_options(operation), collection.as_deref())?;
        let snapshot = self.snapshot(None)?;
        let options = ReadOptions { max_time: operation.common.max_time, allow_disk_use: None };
        let watch = self.choose_index(collection.as_ref(), &query, &snapshot, options)?;
        let plan = planner::plan_documents(collection.as_ref(), &query)?;
        if let PhysicalPlan::CollectionScan { collection, range: None, filter: None, .. } = &plan {
            return count_keys(&self.execution_context(snapshot, &query.collation, options), collection);
        }
        let mut execution = self.start(&plan, snapshot, &query.collation, options).watched(watch);
        let mut count = 0;
        while execution.next_row()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// The documents of a whole collection, without reading them.
fn count_keys(context: &ExecutionContext, collection: &Collection) -> Result<u64> {
    let range = if collection.options.capped {
        capped_documents(&context.snapshot, collection)?
    } else {
        key_layout::documents(collection.id)
    };
    let options = IterOptions { lower: Some(range.lower), upper: Some(range.upper), keys_only: true };
    let mut keys = context.snapshot.iter(options)?;
    let mut count = 0u64;
    let mut valid = keys.seek_to_first()?;
    while valid {
        count += 1;
        if count.is_multiple_of(1_024) {
            context.check_time()?;
        }
        valid = keys.next()?;
    }
    Ok(count)
}

pub(super) fn query_options<'a>(operation: &CountOperation<'a>) -> QueryOptions<'a> {
    QueryOptions {
        skip: operation.skip,
        limit: operation.limit,
        has_runtime_constants: false,
        ..QueryOptions::new(operation.filter, operation.hint, operation.common)
    }
}
