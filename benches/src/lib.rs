//! Workloads and the harness that measures them.

pub mod arguments;
pub mod corpus;
pub mod document;
pub mod evaluation;
pub mod key_value;
pub mod meter;
pub mod network;
pub mod report;
pub mod server_process;
