//! Finding documents.

use sheaf_document::RawDocument;
use sheaf_storage::Timestamp;

use super::CommonOptions;
use crate::Namespace;

/// Which index to use.
#[derive(Clone, Copy, Debug)]
pub enum Hint<'a> {
    /// The index of this name.
    Name(&'a str),
    /// The index with this key pattern; `{$natural: 1}` or `{$natural: -1}` is a collection scan.
    KeyPattern(RawDocument<'a>),
}

/// Finds documents and returns a cursor over them.
#[derive(Clone, Debug)]
pub struct FindOperation<'a> {
    /// Where.
    pub namespace: Namespace,
    /// Which documents.
    pub filter: RawDocument<'a>,
    /// Which fields; `None` or empty: all.
    pub projection: Option<RawDocument<'a>>,
    /// In which order; `None` or empty: in the order of the plan.
    pub sort: Option<RawDocument<'a>>,
    /// How many matching documents to leave out at the start.
    pub skip: u64,
    /// How many documents to return at most.
    pub limit: Option<u64>,
    /// Which index to use.
    pub hint: Option<Hint<'a>>,
    /// Inclusive lower bound of the hinted index, one value per field of its key.
    pub min: Option<RawDocument<'a>>,
    /// Exclusive upper bound of the hinted index, one value per field of its key.
    pub max: Option<RawDocument<'a>>,
    /// Return index keys instead of documents.
    pub return_key: bool,
    /// Add the record's position as `$recordId`.
    pub show_record_id: bool,
    /// Keep the cursor at the end of a capped collection for documents to come.
    pub tailable: bool,
    /// At that end, wait a while for documents. Only with `tailable`.
    pub await_data: bool,
    /// Whether a blocking operator may spill to disk; `None` takes the database's default.
    pub allow_disk_use: Option<bool>,
    /// Read as of this time; `None`: now.
    pub read_timestamp: Option<Timestamp>,
    /// Go on behind this position, which [`Cursor::position`](crate::Cursor::position) gave for the same operation.
    pub resume_after: Option<&'a [u8]>,
    /// The options every operation has.
    pub common: CommonOptions<'a>,
}

impl<'a> FindOperation<'a> {
    /// Finds by this filter, everything else by default.
    pub fn new(namespace: Namespace, filter: RawDocument<'a>) -> Self {
        Self {
            namespace,
            filter,
            projection: None,
            sort: None,
            skip: 0,
            limit: None,
            hint: None,
            min: None,
            max: None,
            return_key: false,
            show_record_id: false,
            tailable: false,
            await_data: false,
            allow_disk_use: None,
            read_timestamp: None,
            resume_after: None,
            common: CommonOptions::default(),
        }
    }
}
