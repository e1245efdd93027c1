//! Physical plans: trees of plain enums. One [`Display`](std::fmt::Display) prints them for people and tests;
//! `explain` shows the same tree as documents.

mod bounds;
mod display;
pub(crate) mod explain;
mod pipeline;

pub(crate) use bounds::{Bound, FieldBounds, Interval, bracket};
pub(crate) use pipeline::{PreparedStage, Source};

use std::sync::Arc;

use sheaf_document::{RawDocumentBuf, Value};
use sheaf_language::aggregate::Fusion;
use sheaf_language::expression::Expression;
use sheaf_language::filter::path::FieldPath;
use sheaf_language::geometry::Near;
use sheaf_language::{Filter, Projection, SortSpec};

use crate::catalog::Collection;
use crate::index::{Index, KeyKind, KeyPath};
use crate::key_layout::KeyRange;

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanDirection {
    Forward,
    Backward,
}

impl ScanDirection {
    /// What a scan in this direction has left of a range behind a key.
    pub(crate) fn behind(self, range: KeyRange, key: &[u8]) -> KeyRange {
        match self {
            Self::Forward => {
                let lower = [key, &[0]].concat().max(range.lower).min(range.upper.clone());
                KeyRange { lower, ..range }
            }
            Self::Backward => {
                let upper = key.to_vec().min(range.upper).max(range.lower.clone());
                KeyRange { upper, ..range }
            }
        }
    }
}

/// How a query is run. Variants in alphabetical order.
#[derive(Clone)]
pub(crate) enum PhysicalPlan {
    /// Emits every document of a collection that matches, in the order of `_id`.
    CollectionScan {
        collection: Arc<Collection>,
        direction: ScanDirection,
        /// Only this part of the collection.
        range: Option<KeyRange>,
        filter: Option<Arc<Filter>>,
    },
    /// Emits the documents that an expression makes.
    Documents { expression: Arc<Expression> },
    /// Emits nothing: the collection does not exist, or nothing can match.
    Empty,
    /// Emits the documents that its input points at, if they match; with their keys in an index if one is given.
    Fetch {
        collection: Arc<Collection>,
        filter: Option<Arc<Filter>>,
        key_of: Option<Arc<Index>>,
        input: Box<PhysicalPlan>,
    },
    /// Emits the rows that match.
    Filter { filter: Arc<Filter>, input: Box<PhysicalPlan> },
    /// Emits the documents that any input finds, each once, by the score they have together; buffers all of them.
    Fusion { fusion: Arc<Fusion>, inputs: Vec<PhysicalPlan> },
    /// Emits the document with this `_id`, if there is one and it matches.
    IdLookup {
        collection: Arc<Collection>,
        id: Value<'static>,
        document_key: Vec<u8>,
        filter: Option<Arc<Filter>>,
    },
    /// Emits documents in the order of their distance from a place, from the inside out.
    GeoNear(GeoNearPlan),
    /// Emits pointers to documents in the order of an index.
    IndexScan(IndexScanPlan),
    /// Emits the first rows.
    Limit { limit: u64, input: Box<PhysicalPlan> },
    /// Emits the rows in the order of their distance from a place; buffers all of them.
    Near { path: FieldPath, near: Near, input: Box<PhysicalPlan> },
    /// Emits other documents made from its input's. `filter` is the query's, if the projection is positional.
    Project { projection: Arc<Projection>, filter: Option<Arc<Filter>>, input: Box<PhysicalPlan> },
    /// Emits documents that a system stage made when the pipeline was planned.
    Ready { name: &'static str, documents: Arc<[RawDocumentBuf]> },
    /// Emits the keys of the rows instead of their documents.
    ReturnKey { input: Box<PhysicalPlan> },
    /// Emits the rows with the identities of their documents: known to expressions, or as a field of the document.
    ShowRecordId { as_field: bool, input: Box<PhysicalPlan> },
    /// Emits all rows but the first.
    Skip { skip: u64, input: Box<PhysicalPlan> },
    /// Emits the rows in order; buffers all of them, or the first `limit`.
    Sort { sort: Arc<SortSpec>, limit: Option<u64>, input: Box<PhysicalPlan> },
    /// Emits what a pipeline stage makes of its input; see [`Stage`](sheaf_language::aggregate::Stage) for what each
    /// buffers.
    Stage { prepared: PreparedStage, input: Box<PhysicalPlan> },
    /// Emits the rows with the score that the filter's text search gives them.
    TextScore { filter: Arc<Filter>, input: Box<PhysicalPlan> },
    /// Emits the rows of all inputs, each document once; buffers the keys of the documents.
    Union { inputs: Vec<PhysicalPlan> },
}

/// A scan of an index within bounds.
#[derive(Clone)]
pub(crate) struct IndexScanPlan {
    pub(crate) index: Arc<Index>,
    /// The parts of the key; a wildcard's are those of the one path it is used for.
    pub(crate) paths: Vec<KeyPath>,
    /// For each part of the key, what is looked for.
    pub(crate) bounds: Vec<FieldBounds>,
    /// The same as ranges of keys, in the order of the index.
    pub(crate) ranges: Vec<KeyRange>,
    pub(crate) direction: ScanDirection,
    /// Whether a document may have several entries.
    pub(crate) is_multikey: bool,
    /// Whether rows bring their entries along.
    pub(crate) with_entries: bool,
}

/// A walk through a geo index in growing circles around a place.
#[derive(Clone)]
pub(crate) struct GeoNearPlan {
    pub(crate) collection: Arc<Collection>,
    /// The index with the bounds of the whole search.
    pub(crate) scan: IndexScanPlan,
    /// Which part of the key has the cells; everything in front of it is looked up by single values.
    pub(crate) field: usize,
    /// Where the places are.
    pub(crate) path: FieldPath,
    pub(crate) near: Near,
    /// What else documents must fulfil.
    pub(crate) filter: Option<Arc<Filter>>,
}

impl GeoNearPlan {
    /// What the part of the key with the cells is.
    pub(crate) fn kind(&self) -> KeyKind {
        self.scan.paths.get(self.field).map_or(KeyKind::Value, |path| path.kind)
    }
}

impl PhysicalPlan {
    /// The plan's inputs.
    pub(crate) fn inputs(&self) -> &[PhysicalPlan] {
        match self {
            Self::CollectionScan { .. }
            | Self::Documents { .. }
            | Self::Empty
            | Self::GeoNear(_)
            | Self::IdLookup { .. }
            | Self::Ready { .. }
            | Self::IndexScan(_) => &[],
            Self::Fetch { input, .. }
            | Self::Filter { input, .. }
            | Self::Limit { input, .. }
            | Self::Near { input, .. }
            | Self::TextScore { input, .. }
            | Self::Project { input, .. }
            | Self::ReturnKey { input }
            | Self::ShowRecordId { input, .. }
            | Self::Skip { input, .. }
            | Self::Sort { input, .. }
            | Self::Stage { input, .. } => std::slice::from_ref(input),
            Self::Fusion { inputs, .. } | Self::Union { inputs } => inputs,
        }
    }

    /// Counts the indexes that it uses, each once.
    pub(crate) fn count_usage(&self) {
        match self {
            Self::IndexScan(scan) | Self::GeoNear(GeoNearPlan { scan, .. }) => scan.index.usage.count(),
            Self::IdLookup { collection, .. } => {
                if let Some(primary) = collection.indexes.iter().find(|index| index.specification.key.is_id())
                {
                    primary.usage.count();
                }
            }
            _ => self.inputs().iter().for_each(Self::count_usage),
        }
    }

    /// The name explain prints.
    pub(crate) fn stage_name(&self) -> &'static str {
        match self {
            Self::CollectionScan { .. } => "COLLSCAN",
            Self::Documents { .. } => "$documents",
            Self::Empty => "EOF",
            Self::Fetch { .. } => "FETCH",
            Self::Filter { .. } => "MATCH",
            Self::Fusion { fusion, .. } => fusion.name(),
            Self::GeoNear(near) if near.kind() == KeyKind::PlaneCell => "GEO_NEAR_2D",
            Self::GeoNear(_) => "GEO_NEAR_2DSPHERE",
            Self::IdLookup { .. } => "IDHACK",
            Self::IndexScan(_) => "IXSCAN",
            Self::Limit { .. } => "LIMIT",
            Self::Near { .. } => "GEO_NEAR",
            Self::TextScore { .. } => "TEXT_MATCH",
            Self::Project { .. } => "PROJECTION_DEFAULT",
            Self::Ready { name, .. } => name,
            Self::ReturnKey { .. } => "RETURN_KEY",
            Self::ShowRecordId { .. } => "RECORD_ID",
            Self::Skip { .. } => "SKIP",
            Self::Sort { .. } => "SORT",
            Self::Stage { prepared, .. } => prepared.stage.name(),
            Self::Union { .. } => "OR",
        }
    }
}
