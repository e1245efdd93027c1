//! The operations of a session: the one surface under every door.

use sheaf_document::{RawDocumentBuf, Value};

use super::Session;
use crate::operation::{
    AggregateOperation, CollectionInfo, CollectionStatistics, CountOperation, CreateCollectionOperation,
    CreateIndexesOperation, CreateIndexesOutcome, DatabaseInfo, DeleteOperation, DeleteOutcome,
    DistinctOperation, DropCollectionOutcome, DropIndexesOperation, DropIndexesOutcome, ExplainOperation,
    FindAndModifyOperation, FindAndModifyOutcome, FindOperation, InsertOperation, InsertOutcome,
    RenameCollectionOperation, UpdateOperation, UpdateOutcome,
};
use crate::{Cursor, Error, Namespace, Result};

impl Session {
    /// Inserts documents. A document that cannot be inserted is reported in the outcome; an error means that the
    /// operation as a whole was refused and nothing was inserted.
    pub fn insert(&self, operation: &InsertOperation<'_>) -> Result<InsertOutcome> {
        Err(Error::not_supported(format_args!("inserting into {}", operation.namespace)))
    }

    /// Finds documents. A collection that does not exist has none.
    pub fn find(&self, operation: &FindOperation<'_>) -> Result<Cursor> {
        Err(Error::not_supported(format_args!("finding in {}", operation.namespace)))
    }

    /// Updates documents, or inserts one if none matches and that is asked for.
    pub fn update(&self, operation: &UpdateOperation<'_>) -> Result<UpdateOutcome> {
        Err(Error::not_supported(format_args!("updating {}", operation.namespace)))
    }

    /// Deletes documents.
    pub fn delete(&self, operation: &DeleteOperation<'_>) -> Result<DeleteOutcome> {
        Err(Error::not_supported(format_args!("deleting from {}", operation.namespace)))
    }

    /// Changes one document and returns it.
    pub fn find_and_modify(&self, operation: &FindAndModifyOperation<'_>) -> Result<FindAndModifyOutcome> {
        Err(Error::not_supported(format_args!("findAndModify on {}", operation.namespace)))
    }

    /// Counts documents.
    pub fn count(&self, operation: &CountOperation<'_>) -> Result<u64> {
        Err(Error::not_supported(format_args!("counting {}", operation.namespace)))
    }

    /// Collects the distinct values at a path, in the order they are met.
    pub fn distinct(&self, operation: &DistinctOperation<'_>) -> Result<Vec<Value<'static>>> {
        Err(Error::not_supported(format_args!("distinct on {}", operation.namespace)))
    }

    /// Runs a pipeline.
    pub fn aggregate(&self, operation: &AggregateOperation<'_>) -> Result<Cursor> {
        Err(Error::not_supported(format_args!("aggregating {:?}", operation.target)))
    }

    /// Says how an operation would run: a document with `queryPlanner` and perhaps `executionStats`.
    pub fn explain(&self, operation: &ExplainOperation<'_>) -> Result<RawDocumentBuf> {
        Err(Error::not_supported(format_args!("explaining {:?}", operation.target)))
    }

    /// Creates a collection or view. One that exists with the same options is fine.
    pub fn create_collection(&self, operation: &CreateCollectionOperation) -> Result<()> {
        Err(Error::not_supported(format_args!("creating {}", operation.namespace)))
    }

    /// Drops a collection or view.
    pub fn drop_collection(&self, namespace: &Namespace) -> Result<DropCollectionOutcome> {
        Err(Error::not_supported(format_args!("dropping {namespace}")))
    }

    /// Renames a collection.
    pub fn rename_collection(&self, operation: &RenameCollectionOperation) -> Result<()> {
        Err(Error::not_supported(format_args!("renaming {}", operation.from)))
    }

    /// Drops a database with all its collections. Returns whether there was one.
    pub fn drop_database(&self, database: &str) -> Result<bool> {
        Err(Error::not_supported(format_args!("dropping {database}")))
    }

    /// Creates indexes and fills them.
    pub fn create_indexes(&self, operation: &CreateIndexesOperation) -> Result<CreateIndexesOutcome> {
        Err(Error::not_supported(format_args!("creating indexes of {}", operation.namespace)))
    }

    /// Drops indexes.
    pub fn drop_indexes(&self, operation: &DropIndexesOperation) -> Result<DropIndexesOutcome> {
        Err(Error::not_supported(format_args!("dropping indexes of {}", operation.namespace)))
    }

    /// The databases that have a collection, by name.
    pub fn list_databases(&self) -> Result<Vec<DatabaseInfo>> {
        Err(Error::not_supported("listing databases"))
    }

    /// The collections and views of a database, by name.
    pub fn list_collections(&self, database: &str) -> Result<Vec<CollectionInfo>> {
        Err(Error::not_supported(format_args!("listing the collections of {database}")))
    }

    /// The indexes of a collection as `listIndexes` shows them, the one on `_id` first.
    pub fn list_indexes(&self, namespace: &Namespace) -> Result<Vec<RawDocumentBuf>> {
        Err(Error::not_supported(format_args!("listing the indexes of {namespace}")))
    }

    /// Figures of a collection and its indexes.
    pub fn collection_statistics(&self, namespace: &Namespace) -> Result<CollectionStatistics> {
        Err(Error::not_supported(format_args!("statistics of {namespace}")))
    }
}
