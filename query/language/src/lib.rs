//! What a query says and means: expressions, filters, updates, projections, aggregation, collation; parsed once to
//! typed trees and evaluated over raw documents. Pure functions: no storage, no clock, no randomness of its own.

pub mod accumulator;
pub mod aggregate;
pub mod collation;
mod error;
pub mod expression;
pub mod filter;
pub mod geometry;
mod hashed;
pub mod json_schema;
mod numeric;
pub mod projection;
pub mod regex;
pub mod sort;
pub mod text;
pub mod update;

pub use collation::Collation;
pub use error::{Error, ErrorCode, Result};
pub use filter::Filter;
pub use hashed::hashed_index_key;
pub use projection::Projection;
pub use sort::SortSpec;
