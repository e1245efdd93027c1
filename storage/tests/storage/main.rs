//! The storage engine from outside: one binary, a module per subject.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod crash;
mod faults;
mod fixture;
mod lifecycle;
mod model;
mod transaction;
