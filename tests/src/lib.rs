//! What crosses crates: conformance, goldens, repository self-checks.
