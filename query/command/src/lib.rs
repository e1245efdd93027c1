//! A raw command document and a session in, a reply or a cursor out.
//!
//! [`run_command`] is the database's one language: the MongoDB wire door, the C ABI and the shell go through it. A
//! command is a file under `commands/` and a line of the table there; it reads its arguments ([`arguments`]), calls
//! the engine's typed operation and shapes the reply. What every command may carry (session, concerns, time limit,
//! the stable API) is read once before it (`generic`, `concern`).

mod access;
mod activity;
mod arguments;
mod change_stream;
mod clock;
mod cluster_time;
mod codes;
mod collection_options;
mod collection_uuid;
mod command;
mod commands;
mod concern;
mod cursors;
mod encrypted_fields;
pub mod error_catalogue;
mod generic;
mod id_index;
mod listing;
mod log_lines;
mod logical_session;
mod lookup;
mod number;
mod process_memory;
mod profiler;
mod query_shape;
mod reply;
mod request;
mod server_state;
mod service;
mod stored;
mod transaction;
mod version;
mod write_batch;

pub use command::{Command, Flag, all as commands, find as find_command, run_command};
pub use log_lines::{LogLine, LogListener, Severity};
pub use reply::CommandReply;
pub use service::{CommandSession, Commands, Identity};
