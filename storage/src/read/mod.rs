//! Reads: point lookups, merged iteration, snapshots.

pub mod merge;
pub mod source;
