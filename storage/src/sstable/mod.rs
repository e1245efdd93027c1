//! Immutable sorted files: written once from front to end, read by position, never changed.
//!
//! [`writer`] lays out what `FORMAT.md` describes; [`reader`] answers point lookups; [`cursor`] walks. [`block`] is
//! the shape of everything sorted inside, [`sealed`] the checksummed form of every block, in blob files too.

pub mod block;
pub mod block_builder;
pub mod cursor;
pub mod filter;
pub mod footer;
pub mod open_files;
pub mod properties;
pub mod reader;
pub mod sealed;
pub mod writer;

#[cfg(test)]
mod table_tests;
