//! Inserting documents.

use sheaf_document::RawDocument;
use sheaf_storage::Durability;

use crate::{Error, Namespace};

/// Inserts documents. The collection is created if it does not exist.
#[derive(Clone, Debug)]
pub struct InsertOperation<'a> {
    /// Where to.
    pub namespace: Namespace,
    /// The documents. One without an `_id` gets an object id, as its first field.
    pub documents: Vec<RawDocument<'a>>,
    /// Stop at the first document that cannot be inserted; the ones before it stay.
    pub ordered: bool,
    /// Skip the collection's validator.
    pub bypass_document_validation: bool,
    /// What the acknowledgement means; `None` takes the database's default.
    pub durability: Option<Durability>,
    /// The number of each document within the command, in a session that records statements; else empty.
    pub statements: Vec<i32>,
}

impl<'a> InsertOperation<'a> {
    /// An ordered insert of these documents.
    pub fn new(namespace: Namespace, documents: Vec<RawDocument<'a>>) -> Self {
        Self {
            namespace,
            documents,
            ordered: true,
            bypass_document_validation: false,
            durability: None,
            statements: Vec::new(),
        }
    }
}

/// What became of an insert.
#[derive(Clone, Debug, Default)]
pub struct InsertOutcome {
    /// How many documents were inserted.
    pub inserted: u64,
    /// The documents that were not, in the order of the operation; at most one if it was ordered.
    pub errors: Vec<WriteError>,
}

/// Why one part of a write was refused.
#[derive(Clone, Debug)]
pub struct WriteError {
    /// Which one, counted from 0 in the operation.
    pub index: usize,
    /// Why.
    pub error: Error,
}
