//! Workloads and the harness that measures them.

pub mod key_value;
pub mod meter;
