//! Running pipelines.

use sheaf_document::Value;

use super::Session;
use crate::catalog::Collection;
use crate::operation::{AggregateOperation, CountOperation, DistinctOperation, FindOperation};
use crate::{Cursor, Error, Result};

impl Session {
    /// Runs a pipeline.
    pub fn aggregate(&self, operation: &AggregateOperation<'_>) -> Result<Cursor> {
        Err(Error::not_supported(format_args!("aggregating {:?}", operation.target)))
    }

    pub(super) fn find_in_view(&self, _operation: &FindOperation<'_>, view: &Collection) -> Result<Cursor> {
        Err(Error::not_supported(format_args!("reading the view {}", view.namespace)))
    }

    pub(super) fn count_in_view(&self, _operation: &CountOperation<'_>, view: &Collection) -> Result<u64> {
        Err(Error::not_supported(format_args!("reading the view {}", view.namespace)))
    }

    pub(super) fn distinct_in_view(
        &self,
        _operation: &DistinctOperation<'_>,
        view: &Collection,
    ) -> Result<Vec<Value<'static>>> {
        Err(Error::not_supported(format_args!("reading the view {}", view.namespace)))
    }
}
