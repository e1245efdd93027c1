//! Counting documents.

use sheaf_document::RawDocument;

use super::{CommonOptions, Hint};
use crate::Namespace;

/// Counts the documents that match a filter.
#[derive(Clone, Debug)]
pub struct CountOperation<'a> {
    /// Where.
    pub namespace: Namespace,
    /// Which documents.
    pub filter: RawDocument<'a>,
    /// How many matching documents to leave out.
    pub skip: u64,
    /// Where to stop counting, after `skip`.
    pub limit: Option<u64>,
    /// Which index to use.
    pub hint: Option<Hint<'a>>,
    /// The options every operation has.
    pub common: CommonOptions<'a>,
}

impl<'a> CountOperation<'a> {
    /// Counts by this filter, everything else by default.
    pub fn new(namespace: Namespace, filter: RawDocument<'a>) -> Self {
        Self { namespace, filter, skip: 0, limit: None, hint: None, common: CommonOptions::default() }
    }
}
