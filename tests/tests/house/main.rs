//! The repository tests itself: walls between crates, sizes, banned words, links.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod banned_words;
mod compat;
mod crate_edges;
mod errors;
mod links;
mod sizes;
mod sources;
