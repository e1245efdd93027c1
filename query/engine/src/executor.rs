//! Running physical plans: a file per operator.
//!
//! Operators pull batches. [`Operator::pull`] appends up to `wanted` rows and appends none only at its end, so a
//! limit never makes the operators below read much further than needed. Rows carry the stored bytes; an operator that
//! needs to look inside decodes only the path it needs.

mod collection_scan;
mod context;
mod documents;
mod fetch;
mod filter;
mod fusion;
mod geo_near;
mod id_lookup;
mod identity;
mod index_scan;
mod limit;
mod near;
mod operator;
mod project;
mod row;
mod rows;
mod skip;
mod sort;
mod spill;
mod stage;
mod text_score;
mod union;

pub(crate) use context::ExecutionContext;
pub(crate) use operator::{Checkpoint, Examined, Operator};
pub(crate) use row::{Row, RowDocument, RowEntry};
pub(crate) use spill::SpillSpace;
pub use spill::{SpillStatistics, SpillUse};

/// Rows that an operator asks of the one below at once, where nothing else limits it.
pub(crate) const BATCH_ROWS: usize = 128;
