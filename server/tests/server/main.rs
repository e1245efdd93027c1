//! sheafd from outside: through its doors, and as a process.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod bad_input;
mod catalog;
mod documents;
mod fixture;
mod process;
mod reflection;
mod resume;
mod streams;
#[cfg(feature = "wire")]
mod wire;
#[cfg(feature = "wire")]
mod wire_client;
#[cfg(feature = "wire")]
mod wire_cursors;
#[cfg(feature = "wire")]
mod wire_hostile;
#[cfg(feature = "wire")]
mod wire_noise;
