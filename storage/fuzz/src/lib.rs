//! The fuzz targets of the storage engine, and what they share with its integration tests.

#[path = "../../tests/storage/fixture.rs"]
#[allow(dead_code, reason = "the integration tests use more of it")]
mod fixture;
#[path = "../../tests/storage/model.rs"]
#[allow(dead_code, unused_imports, reason = "the integration tests use more of it")]
mod model;
#[path = "../../tests/storage/model_transaction.rs"]
#[allow(dead_code, unused_imports, reason = "the integration tests use more of it")]
mod model_transaction;
pub mod targets;
