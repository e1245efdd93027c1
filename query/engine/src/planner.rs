//! From a query to the plan that runs it.
//!
//! 1. [`query`]: the user's documents become typed values (filter, sort, projection, collation).
//! 2. [`predicate_bounds`]: each conjunct of the filter says which values of its path it can match.
//! 3. [`candidate`]: each index takes the conjuncts it can serve and says how far it gets with them.
//! 4. [`access`]: the best candidate, a union of several for an `$or`, or a collection scan becomes the access path.
//! 5. [`near`]: a search by distance walks a geo index from the inside out instead.
//! 6. [`find`]: sort, skip, limit and projection go on top.
//!
//! Pipelines ([`pipeline`]) go the same way with their first stages, and put the others on top.
//!
//! Of several indexes that narrow a query the better one is found by trying (`session/choice.rs`) and kept in a
//! [`plan_cache`].
//!
//! Pure: reads nothing but the catalog's collection and the query.

mod access;
mod bounded_scan;
mod candidate;
mod find;
mod index_filter;
mod near;
mod partial;
mod pipeline;
mod plan_cache;
mod predicate_bounds;
mod query;
mod ranges;
mod special;
mod time_series;

pub(crate) use access::{access_path, competing, may_compete};
pub(crate) use find::{plan_documents, plan_find};
pub(crate) use index_filter::{IndexFilters, ShapeDocuments};
pub(crate) use pipeline::{Chooser, Preparer, add_stages, plan_pipeline};
pub(crate) use plan_cache::{CachedPlan, PlanCache, ShapeHashes, Trial, Watch, written};
pub(crate) use query::{HintChoice, IndexOptions, Query, QueryCollation, QueryOptions};
pub(crate) use ranges::key_ranges;
pub(crate) use time_series::bucket_query;
