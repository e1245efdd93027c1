//! What must not harm: each bad input has a named error and leaves the data as it was. A module per case, through the
//! commands; the crates test their own share closer to the cause.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod another_format_version;
mod deep_path;
mod fixture;
mod foreign_cursor;
mod full_disk;
mod hostile_commands;
mod large_document;
mod large_index_key;
mod malformed_bson;
mod power_cut;
mod second_process;
mod truncated_file;
mod unknown_operator;
