//! Operations on the catalog: databases, collections and indexes.

use sheaf_document::RawDocumentBuf;

use crate::Namespace;
use crate::catalog::{CollectionOptions, IndexSpecification};

/// Creates a collection or a view.
#[derive(Clone, Debug)]
pub struct CreateCollectionOperation {
    /// Its name.
    pub namespace: Namespace,
    /// What it is.
    pub options: CollectionOptions,
}

/// What became of dropping a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropCollectionOutcome {
    /// Whether there was one. Dropping a collection that does not exist is not an error.
    pub existed: bool,
    /// How many indexes went with it, the one on `_id` included.
    pub indexes: u64,
}

/// Renames a collection, perhaps into another database.
#[derive(Clone, Debug)]
pub struct RenameCollectionOperation {
    /// The name it has.
    pub from: Namespace,
    /// The name it gets.
    pub to: Namespace,
    /// Drop a collection that has that name already.
    pub drop_target: bool,
}

/// Creates indexes; the collection is created if it does not exist.
#[derive(Clone, Debug)]
pub struct CreateIndexesOperation {
    /// Of which collection.
    pub namespace: Namespace,
    /// The indexes. One that exists just so is left as it is.
    pub indexes: Vec<IndexSpecification>,
}

/// What became of creating indexes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreateIndexesOutcome {
    /// Indexes before.
    pub indexes_before: u64,
    /// Indexes after.
    pub indexes_after: u64,
    /// Whether the collection was created on the way.
    pub created_collection: bool,
}

/// Which indexes to drop.
#[derive(Clone, Debug)]
pub enum IndexTarget {
    /// All but the one on `_id`.
    All,
    /// Those of these names.
    Names(Vec<String>),
    /// The one with this key pattern.
    KeyPattern(RawDocumentBuf),
}

/// Drops indexes.
#[derive(Clone, Debug)]
pub struct DropIndexesOperation {
    /// Of which collection.
    pub namespace: Namespace,
    /// Which.
    pub target: IndexTarget,
}

/// What became of dropping indexes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropIndexesOutcome {
    /// How many indexes the collection had before.
    pub indexes_before: u64,
}

/// A database, as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// Its name.
    pub name: String,
    /// An estimate of its size on disk, in bytes.
    pub size_bytes: u64,
    /// Whether it has no documents.
    pub is_empty: bool,
}

/// What a collection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionKind {
    /// Stores documents.
    Collection,
    /// A pipeline over another collection or view.
    View,
    /// A view over a bucketed collection of measurements.
    TimeSeries,
}

/// A collection or view, as listed.
#[derive(Clone, Debug)]
pub struct CollectionInfo {
    /// Its name, without the database.
    pub name: String,
    /// What it is.
    pub kind: CollectionKind,
    /// The options it was created with, as `listCollections` shows them.
    pub options: RawDocumentBuf,
    /// Its identity across renames; views have none.
    pub uuid: Option<[u8; 16]>,
    /// The index on `_id`, as `listIndexes` shows it; views have none.
    pub id_index: Option<RawDocumentBuf>,
}

/// Figures of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectionStatistics {
    /// Documents.
    pub documents: u64,
    /// Bytes of all documents.
    pub document_bytes: u64,
    /// Entries and bytes by index, in the order of the catalog.
    pub indexes: Vec<IndexStatistics>,
}

/// Figures of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexStatistics {
    /// Its name.
    pub name: String,
    /// Entries.
    pub entries: u64,
    /// Bytes of all entries.
    pub bytes: u64,
}
