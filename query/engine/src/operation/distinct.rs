//! The distinct values of a field.

use sheaf_document::RawDocument;

use super::{CommonOptions, Hint};
use crate::Namespace;

/// Collects the distinct values at a path; the elements of an array count as values.
#[derive(Clone, Debug)]
pub struct DistinctOperation<'a> {
    /// Where.
    pub namespace: Namespace,
    /// The dotted path.
    pub key: &'a str,
    /// In which documents.
    pub filter: RawDocument<'a>,
    /// Which index to use.
    pub hint: Option<Hint<'a>>,
    /// The options every operation has.
    pub common: CommonOptions<'a>,
}

impl<'a> DistinctOperation<'a> {
    /// The distinct values at `key` in the documents that match `filter`.
    pub fn new(namespace: Namespace, key: &'a str, filter: RawDocument<'a>) -> Self {
        Self { namespace, key, filter, hint: None, common: CommonOptions::default() }
    }
}
