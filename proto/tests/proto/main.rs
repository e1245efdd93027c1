//! The contracts from outside: what is generated from them and committed is not stale.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod go_freshness;
