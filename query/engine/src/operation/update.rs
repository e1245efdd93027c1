//! Updating documents.

use sheaf_document::{RawDocument, Value, ValueRef};
use sheaf_storage::Durability;

use super::{CommonOptions, Hint};
use crate::Namespace;

/// Updates the first document that matches a filter, or all of them.
#[derive(Clone, Debug)]
pub struct UpdateOperation<'a> {
    /// Where.
    pub namespace: Namespace,
    /// Which documents.
    pub filter: RawDocument<'a>,
    /// A document of update operators, a replacement document, or an array of pipeline stages.
    pub update: ValueRef<'a>,
    /// All matching documents instead of the first. Each document is updated atomically, all of them are not.
    pub multi: bool,
    /// Insert a document made from filter and update if none matches.
    pub upsert: bool,
    /// Which document is the first; `None`: the order of the plan. Not with `multi`.
    pub sort: Option<RawDocument<'a>>,
    /// Filters for the elements that `$[name]` stands for.
    pub array_filters: Vec<RawDocument<'a>>,
    /// Which index to use.
    pub hint: Option<Hint<'a>>,
    /// Skip the collection's validator.
    pub bypass_document_validation: bool,
    /// What the acknowledgement means; `None` takes the database's default.
    pub durability: Option<Durability>,
    /// Its number within the command, in a session that records statements. Not for many documents.
    pub statement: Option<i32>,
    /// The options every operation has.
    pub common: CommonOptions<'a>,
}

impl<'a> UpdateOperation<'a> {
    /// Updates the first match, everything else by default.
    pub fn new(namespace: Namespace, filter: RawDocument<'a>, update: ValueRef<'a>) -> Self {
        Self {
            namespace,
            filter,
            update,
            multi: false,
            upsert: false,
            sort: None,
            array_filters: Vec::new(),
            hint: None,
            bypass_document_validation: false,
            durability: None,
            statement: None,
            common: CommonOptions::default(),
        }
    }
}

/// What became of an update.
#[derive(Clone, Debug, Default)]
pub struct UpdateOutcome {
    /// Documents that matched the filter.
    pub matched: u64,
    /// Documents that changed.
    pub modified: u64,
    /// The `_id` of the document that was inserted because none matched.
    pub upserted_id: Option<Value<'static>>,
}
