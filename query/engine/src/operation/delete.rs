//! Deleting documents.

use sheaf_document::RawDocument;
use sheaf_storage::Durability;

use super::{CommonOptions, Hint};
use crate::Namespace;

/// Deletes the first document that matches a filter, or all of them.
#[derive(Clone, Debug)]
pub struct DeleteOperation<'a> {
    /// Where.
    pub namespace: Namespace,
    /// Which documents.
    pub filter: RawDocument<'a>,
    /// All matching documents instead of the first.
    pub multi: bool,
    /// Which index to use.
    pub hint: Option<Hint<'a>>,
    /// What the acknowledgement means; `None` takes the database's default.
    pub durability: Option<Durability>,
    /// Its number within the command, in a session that records statements. Not for many documents.
    pub statement: Option<i32>,
    /// The options every operation has.
    pub common: CommonOptions<'a>,
}

impl<'a> DeleteOperation<'a> {
    /// Deletes the first match, everything else by default.
    pub fn new(namespace: Namespace, filter: RawDocument<'a>) -> Self {
        Self {
            namespace,
            filter,
            multi: false,
            hint: None,
            durability: None,
            statement: None,
            common: CommonOptions::default(),
        }
    }
}

/// What became of a delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeleteOutcome {
    /// How many documents were deleted.
    pub deleted: u64,
}
