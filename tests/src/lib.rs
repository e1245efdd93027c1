//! What crosses crates: conformance, goldens, repository self-checks.

pub mod conformance;
pub mod unified;
