//! Commands from outside: documents in, replies out.

#![expect(clippy::expect_used, reason = "a test that cannot begin has failed")]

mod access;
mod arguments;
mod compat;
mod deployment;
mod golden;
mod operations;
mod support;
mod table;
mod transactions;
