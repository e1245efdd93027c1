//! Immutable sorted files: written once from front to end, read by position, never changed.
//!
//! [`writer`] lays out what `FORMAT.md` describes; [`reader`] answers point lookups; [`cursor`] walks. [`block`] is
//! the shape of everything sorted inside, [`sealed`] the checksummed form of every block, in blob files too.
//! [`block_file`] reads blocks through the cache; [`children`], [`heads`] and [`prefetch`](crate::prefetch) make that quick,
//! [`regions`] fills a cold cache; [`check`] reads a table whole and compares.

pub mod block;
pub mod block_builder;
pub mod block_file;
pub mod check;
pub mod children;
pub mod cursor;
pub mod filter;
pub mod footer;
mod heads;
pub mod open_files;
pub mod properties;
pub mod reader;
mod regions;
pub mod removals;
pub mod sealed;
pub mod write_back;
pub mod writer;

#[cfg(test)]
pub(crate) mod table_tests;
