//! Tailable cursors: a find that stays open at the end of a capped collection.

use std::sync::Arc;

use super::Session;
use super::find::query_options;
use super::reading::ReadOptions;
use crate::catalog::Collection;
use crate::cursor::{Cursor, Tail};
use crate::operation::FindOperation;
use crate::plan::ScanDirection;
use crate::planner::{self, HintChoice, Query};
use crate::{Error, Result, error_code};

impl Session {
    /// A tailable find. On a collection that does not exist the cursor is at its end for good.
    pub(super) fn find_tailable(
        &self,
        operation: &FindOperation<'_>,
        collection: Option<&Arc<Collection>>,
    ) -> Result<Cursor> {
        let refused = |message: String| Err(Error::new(error_code::BAD_VALUE, message));
        let mut query = Query::parse(&query_options(operation), collection.map(AsRef::as_ref))?;
        let is_backward_sort = operation.sort.is_some_and(|sort| !sort.is_empty())
            && query.hint == HintChoice::Natural(ScanDirection::Backward);
        if query.sort.is_some() || is_backward_sort {
            return refused("a tailable cursor cannot sort, except by {$natural: 1}".to_owned());
        }
        if query.filter.near().is_some() || query.filter.text().is_some() {
            return refused("a tailable cursor cannot search by distance or by text".to_owned());
        }
        if operation.read_timestamp.is_some() || operation.resume_after.is_some() {
            return refused("a tailable cursor reads what is there now and cannot be resumed".to_owned());
        }
        let Some(collection) = collection else {
            return Ok(Cursor::from_documents(operation.namespace.clone(), []));
        };
        if !collection.options.capped {
            return refused(format!(
                "{} is not capped; only a capped collection can be read with a tailable cursor",
                collection.namespace
            ));
        }
        // An index has no end to wait at: a hint for one is not followed.
        if !matches!(query.hint, HintChoice::Natural(_)) {
            query.hint = HintChoice::Natural(ScanDirection::Forward);
        }
        let plan = planner::plan_find(Some(collection), &query)?;
        // A cursor that waits for data has no end to be late for.
        let max_time = operation.common.max_time.filter(|_| !operation.await_data);
        let options = ReadOptions { max_time, allow_disk_use: operation.allow_disk_use };
        let mut execution = self.start(&plan, self.snapshot(None)?, &query.collation, options);
        if !execution.make_tailable() {
            // A filter that nothing can match needs no scan.
            return Ok(Cursor::from_documents(operation.namespace.clone(), []));
        }
        let tail = Tail::new(
            execution,
            self.database().tablet().clone(),
            Arc::clone(&self.database().options().store.clock),
            Arc::clone(&collection.arrivals),
            operation.await_data,
        );
        Ok(Cursor::from_tail(operation.namespace.clone(), tail))
    }
}
