//! Workloads and the harness that measures them.
