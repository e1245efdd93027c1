//! Changing one document and returning it, before or after the change.

use sheaf_document::{RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_storage::Durability;

use super::{CommonOptions, Hint};
use crate::Namespace;

/// What happens to the document.
#[derive(Clone, Copy, Debug)]
pub enum Modification<'a> {
    /// It is deleted.
    Remove,
    /// It is updated.
    Update {
        /// A document of update operators, a replacement document, or an array of pipeline stages.
        update: ValueRef<'a>,
        /// Insert a document made from filter and update if none matches.
        upsert: bool,
    },
}

impl Modification<'_> {
    /// Whether the document stays.
    pub const fn is_update(&self) -> bool {
        matches!(self, Self::Update { .. })
    }
}

/// Which state of the document is returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnedDocument {
    /// As it was.
    #[default]
    Before,
    /// As it is now. Not with [`Modification::Remove`].
    After,
}

/// Changes the first document that matches a filter and returns it.
#[derive(Clone, Debug)]
pub struct FindAndModifyOperation<'a> {
    /// Where.
    pub namespace: Namespace,
    /// Which document.
    pub filter: RawDocument<'a>,
    /// Which document is the first; `None`: the order of the plan.
    pub sort: Option<RawDocument<'a>>,
    /// What happens to it.
    pub modification: Modification<'a>,
    /// Which state is returned.
    pub returned: ReturnedDocument,
    /// Which fields are returned; `None` or empty: all.
    pub projection: Option<RawDocument<'a>>,
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

impl<'a> FindAndModifyOperation<'a> {
    /// Changes the first match, everything else by default.
    pub fn new(namespace: Namespace, filter: RawDocument<'a>, modification: Modification<'a>) -> Self {
        Self {
            namespace,
            filter,
            sort: None,
            modification,
            returned: ReturnedDocument::Before,
            projection: None,
            array_filters: Vec::new(),
            hint: None,
            bypass_document_validation: false,
            durability: None,
            statement: None,
            common: CommonOptions::default(),
        }
    }
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub struct FindAndModifyOutcome {
    /// The document asked for, projected; `None` if there is none in that state.
    pub document: Option<RawDocumentBuf>,
    /// Whether a document matched the filter.
    pub matched: bool,
    /// The `_id` of the document that was inserted because none matched.
    pub upserted_id: Option<Value<'static>>,
}
