//! Running a pipeline of stages.

use sheaf_document::{RawDocument, RawDocumentBuf, ValueRef};
use sheaf_storage::{Durability, Timestamp};

use super::{CommonOptions, Hint};
use crate::{Namespace, Result};

/// What a pipeline starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AggregateTarget {
    /// The documents of a collection or view.
    Collection(Namespace),
    /// A database, for pipelines whose first stage makes its own documents (`$documents`, `$currentOp`, ...).
    Database(String),
}

/// What the caller knows and the database does not: the documents of stages that read its clients (`$currentOp`,
/// `$querySettings`), by the stage's name and argument. Asked for `$collStats` and
/// `{ns}` it gives one document, the latencies of that collection's operations.
#[derive(Clone, Copy)]
pub struct SystemSource<'a>(pub &'a (dyn Fn(&str, RawDocument<'_>) -> Result<Vec<RawDocumentBuf>> + Sync));

impl std::fmt::Debug for SystemSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemSource")
    }
}

/// Runs a pipeline and returns a cursor over its documents.
#[derive(Clone, Debug)]
pub struct AggregateOperation<'a> {
    /// What it starts from.
    pub target: AggregateTarget,
    /// The stages; each must be a document with one field.
    pub pipeline: Vec<ValueRef<'a>>,
    /// Which index to use.
    pub hint: Option<Hint<'a>>,
    /// Whether a blocking stage may spill to disk; `None` takes the database's default.
    pub allow_disk_use: Option<bool>,
    /// Skip the validator of the collection that `$out` or `$merge` write to.
    pub bypass_document_validation: bool,
    /// What the acknowledgement of `$out` and `$merge` means; `None` takes the database's default.
    pub durability: Option<Durability>,
    /// Read as of this time; `None`: now.
    pub read_timestamp: Option<Timestamp>,
    /// Go on behind this position, which [`Cursor::position`](crate::Cursor::position) gave for the same operation.
    pub resume_after: Option<&'a [u8]>,
    /// What stages that read the caller's clients read; without it they find none.
    pub system: Option<SystemSource<'a>>,
    /// The options every operation has.
    pub common: CommonOptions<'a>,
}

impl<'a> AggregateOperation<'a> {
    /// Runs these stages, everything else by default.
    pub fn new(target: AggregateTarget, pipeline: Vec<ValueRef<'a>>) -> Self {
        Self {
            target,
            pipeline,
            hint: None,
            allow_disk_use: None,
            bypass_document_validation: false,
            durability: None,
            read_timestamp: None,
            resume_after: None,
            system: None,
            common: CommonOptions::default(),
        }
    }
}
