//! The fuzz targets: a function of bytes each, which panics when a promise is broken. The bins give them to libFuzzer; the
//! integration tests of the crate replay the kept corpus through the same functions.

pub mod blob;
pub mod block;
pub mod choices;
pub mod footer;
pub mod manifest;
pub mod operations;
pub mod wal_reader;
