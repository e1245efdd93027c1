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

mod background;
mod bad_input;
mod calls;
mod corruption;
mod crash;
mod crash_concurrent;
mod damage;
mod encryption;
mod excise;
mod expiry;
mod faults;
mod fixture;
mod flushable;
mod frozen;
mod fuzz;
mod hostile;
mod ingest;
mod inspect;
mod kill;
mod lifecycle;
mod mapped;
mod memory;
mod metamorphic;
mod model;
mod model_transaction;
mod open_files;
#[cfg(feature = "planted")]
mod planted;
mod promises;
mod reading;
mod recovery;
mod replicator;
mod salvage;
mod statistics;
mod tablets;
mod tombstones;
mod transaction;
mod unsynced;
mod verify;
mod wal_compression;
