//! What a caller asks for: one struct per operation, with every option it has, and what each answers.
//!
//! Operations borrow the caller's bytes. Documents in them must have been validated
//! ([`RawDocument::validate`](sheaf_document::RawDocument::validate)); the doors do that once, on arrival.

mod aggregate;
mod catalog;
mod count;
mod delete;
mod distinct;
mod explain;
mod find;
mod find_and_modify;
mod insert;
mod update;
mod validation;

pub use aggregate::{AggregateOperation, AggregateTarget, SystemSource};
pub use catalog::{
    CollectionInfo, CollectionKind, CollectionStatistics, CreateCollectionOperation, CreateIndexesOperation,
    CreateIndexesOutcome, DatabaseInfo, DropCollectionOutcome, DropIndexesOperation, DropIndexesOutcome,
    IndexStatistics, IndexTarget, RenameCollectionOperation,
};
pub use count::CountOperation;
pub use delete::{DeleteOperation, DeleteOutcome};
pub use distinct::DistinctOperation;
pub use explain::{ExplainOperation, ExplainTarget, Verbosity};
pub use find::{FindOperation, Hint};
pub use find_and_modify::{FindAndModifyOperation, FindAndModifyOutcome, Modification, ReturnedDocument};
pub use insert::{InsertOperation, InsertOutcome, WriteError};
pub use update::{UpdateOperation, UpdateOutcome};
pub use validation::{IndexReport, ValidationReport};

use std::time::Duration;

use sheaf_document::RawDocument;

/// Options that every operation on documents has.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommonOptions<'a> {
    /// Gives up with `MaxTimeMSExpired` after this time. `None` or zero: no limit.
    pub max_time: Option<Duration>,
    /// Variables for expressions, by name (`$$name`). The values are constants.
    pub let_variables: Option<RawDocument<'a>>,
    /// How strings compare; `None` takes the collection's collation.
    pub collation: Option<RawDocument<'a>>,
}
