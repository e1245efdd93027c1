//! Commands from outside: documents in, replies out.

#![expect(clippy::expect_used, reason = "a test that cannot begin has failed")]

mod arguments;
mod compat;
mod golden;
mod table;
mod transactions;
