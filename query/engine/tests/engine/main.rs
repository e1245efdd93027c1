//! Tests of the embedded database through its public surface.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod aggregate;
mod bad_input;
mod capped;
mod concurrency;
mod crud;
mod expiry;
mod frozen;
mod golden;
mod lifecycle;
mod model;
mod replacing;
mod retryable;
mod special_indexes;
mod spill;
mod support;
mod time_series;
mod transactions;
mod validation;
