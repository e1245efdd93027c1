//! Aggregation pipelines: stages, parsed once, and the part of their work that is a pure function.
//!
//! [`Pipeline::parse`] reads an array of stages into plain specifications. Stages that are short for others become
//! those (`$sortByCount` is a `$group` and a `$sort`). What a stage does to one document, or to the documents of a
//! group, is here beside its specification; reading collections, ordering, spilling and driving is the executor's.

mod bucket;
mod bucket_auto;
mod densify;
mod documents;
mod fill;
mod fusion;
mod geo_near;
mod group;
mod join;
mod limits;
mod parse;
mod put_field;
mod redact;
mod replace_root;
mod sample;
mod time_series;
mod unpack_bucket;
mod unwind;
mod window;
mod write_stage;

use sheaf_document::RawDocumentBuf;

use crate::expression::{Expression, MetadataSet, Scope};
use crate::filter::Filter;
use crate::projection::Projection;
use crate::sort::SortSpec;

pub use bucket_auto::{BucketAuto, Buckets, Granularity};
pub use densify::Densify;
pub use documents::evaluate as evaluate_documents;
pub use fusion::{Finding, Fusion, FusionInput, FusionMethod, Normalization, Score, raw_score};
pub use geo_near::GeoNear;
pub use group::{Group, Groups, OneGroup};
pub use join::{GraphLookup, Lookup, UnionWith, Variables};
pub use redact::Redact;
pub use replace_root::ReplaceRoot;
pub use unpack_bucket::UnpackBucket;
pub use unwind::Unwind;
pub use window::{SetWindowFields, WindowPartition, WindowValues};
pub use write_stage::{Merge, MergeVariable, Out, Target, UNDEFINED_VARIABLE, WhenMatched, WhenNotMatched};

/// Stages one pipeline may have.
pub const STAGES_MAX: usize = 1_000;

/// Pipelines inside pipelines that are accepted.
pub const PIPELINE_DEPTH_MAX: usize = 20;

/// A compiled pipeline.
#[derive(Clone, Default)]
pub struct Pipeline {
    /// The stages, first to last.
    pub stages: Vec<Stage>,
    /// The metadata that expressions ask for and no stage before them gives: the source has to.
    pub asked: MetadataSet,
    /// The metadata that the stages give.
    given: MetadataSet,
}

/// A compiled stage. Each variant says what it emits and what it holds meanwhile.
#[derive(Clone)]
pub enum Stage {
    /// `$addFields`, `$set`: each document with more fields; holds nothing.
    AddFields(Projection),
    /// `$bucketAuto`: one document per bucket; holds everything.
    BucketAuto(Box<BucketAuto>),
    /// `$densify`: the documents and those that a sequence lacks; holds everything.
    Densify(Box<Densify>),
    /// `$documents`: the documents an expression makes, without any input.
    Documents(Expression),
    /// `$facet`: one document with the results of each pipeline over the same input; holds the input and the results.
    Facet(Vec<(Box<str>, Pipeline)>),
    /// `$rankFusion`, `$scoreFusion`: the documents that several pipelines find, each once; holds them.
    Fusion(Box<Fusion>),
    /// `$geoNear`: the documents by their distance from a place; holds everything.
    GeoNear(Box<GeoNear>),
    /// `$graphLookup`: each document with what can be reached from it; holds what it reached.
    GraphLookup(Box<GraphLookup>),
    /// `$group`: one document per key; holds a state per key.
    Group(Box<Group>),
    /// `$limit`: the first documents; holds nothing.
    Limit(u64),
    /// `$lookup`: each document with its matches elsewhere; holds the matches of one document.
    Lookup(Box<Lookup>),
    /// `$match`: the documents that fulfil a filter; holds nothing.
    Match(Filter),
    /// `$merge`: nothing; writes each document into a collection.
    Merge(Box<Merge>),
    /// `$out`: nothing; replaces a collection.
    Out(Out),
    /// `$project`, `$unset`: each document with fewer or computed fields; holds nothing.
    Project(Projection),
    /// `$redact`: documents pruned by what they say of themselves; holds nothing.
    Redact(Redact),
    /// `$replaceRoot`, `$replaceWith`: a document of each document; holds nothing.
    ReplaceRoot(ReplaceRoot),
    /// `$sample`: this many documents by chance; holds them.
    Sample(u64),
    /// `$score`: the documents with a score; holds everything if scores are scaled by their range.
    Score(Box<Score>),
    /// `$setWindowFields`: each document with what a window of its neighbours gives; holds everything.
    SetWindowFields(Box<SetWindowFields>),
    /// `$skip`: all but the first documents; holds nothing.
    Skip(u64),
    /// `$sort`: the documents in order; holds everything.
    Sort(SortSpec),
    /// A stage that reads the system and not a collection's documents, with its argument: `$collStats`,
    /// `$indexStats`, `$currentOp`, `$listSessions` and their kind.
    System {
        /// The stage, with its dollar.
        name: &'static str,
        /// What it was given, under the stage's name.
        argument: RawDocumentBuf,
    },
    /// `$unionWith`: the input, then the documents of another pipeline; holds nothing.
    UnionWith(UnionWith),
    /// The measurements of each bucket of a time series; holds nothing. Not written by users.
    UnpackBucket(UnpackBucket),
    /// `$unwind`: a document per element of an array; holds nothing.
    Unwind(Unwind),
}

/// What a pipeline is read with.
pub struct PipelineContext<'c> {
    /// Collation and variables.
    pub scope: &'c mut Scope,
    /// How deep this pipeline is inside others.
    pub depth: usize,
    /// Where it stands.
    pub place: Place,
}

/// Where a pipeline stands: not every stage may stand everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A command's own.
    Top,
    /// Inside `$facet`.
    Facet,
    /// Inside `$rankFusion` or `$scoreFusion`.
    Fusion,
    /// Inside `$lookup`.
    Join,
    /// Inside `$lookup`, which is inside `$facet`.
    JoinInFacet,
    /// Inside `$unionWith`.
    Union,
    /// Inside `$unionWith`, which is inside `$facet`.
    UnionInFacet,
    /// The change of an update.
    Update,
    /// The definition of a view.
    View,
}

impl Place {
    /// Whether a `$facet` is around it.
    pub const fn is_in_facet(self) -> bool {
        matches!(self, Self::Facet | Self::JoinInFacet | Self::UnionInFacet)
    }
}

impl Stage {
    /// The name it is written with.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AddFields(_) => "$addFields",
            Self::BucketAuto(_) => "$bucketAuto",
            Self::Densify(_) => "$densify",
            Self::Documents(_) => "$documents",
            Self::Facet(_) => "$facet",
            Self::Fusion(fusion) => fusion.name(),
            Self::GeoNear(_) => "$geoNear",
            Self::GraphLookup(_) => "$graphLookup",
            Self::Group(_) => "$group",
            Self::Limit(_) => "$limit",
            Self::Lookup(_) => "$lookup",
            Self::Match(_) => "$match",
            Self::Merge(_) => "$merge",
            Self::Out(_) => "$out",
            Self::Project(_) => "$project",
            Self::Redact(_) => "$redact",
            Self::ReplaceRoot(_) => "$replaceRoot",
            Self::Sample(_) => "$sample",
            Self::Score(_) => "$score",
            Self::SetWindowFields(_) => "$setWindowFields",
            Self::Skip(_) => "$skip",
            Self::Sort(_) => "$sort",
            Self::System { name, .. } => name,
            Self::UnionWith(_) => "$unionWith",
            Self::UnpackBucket(_) => "$_internalUnpackBucket",
            Self::Unwind(_) => "$unwind",
        }
    }

    /// Whether it makes documents without any input, so that it must be the first and needs no collection.
    pub fn is_source(&self) -> bool {
        matches!(self, Self::Documents(_) | Self::System { .. })
    }

    /// Whether it writes, so that it must be the last.
    pub const fn is_sink(&self) -> bool {
        matches!(self, Self::Out(_) | Self::Merge(_))
    }
}
