//! Saying how an operation would run.

use sheaf_document::RawDocumentBuf;

use super::Session;
use crate::operation::ExplainOperation;
use crate::{Error, Result};

impl Session {
    /// Says how an operation would run: a document with `queryPlanner` and perhaps `executionStats`.
    pub fn explain(&self, operation: &ExplainOperation<'_>) -> Result<RawDocumentBuf> {
        Err(Error::not_supported(format_args!("explaining {:?}", operation.target)))
    }
}
