//! The embedded database: documents in collections, indexes over them, and the plans that answer queries.
//!
//! A [`Database`] opens a store; a [`Session`] is one client's way in. Every door (commands, gRPC, the embedded
//! shell) calls the operations of a session, which are plain structs ([`operation`]); none has semantics of its own.

pub mod catalog;
mod collection;
mod cursor;
mod database;
mod entropy;
mod error;
pub mod error_code;
mod executor;
mod expiry;
mod index;
mod interrupt;
mod key_layout;
mod log_sink;
mod namespace;
pub mod operation;
mod plan;
mod planner;
mod session;
mod value_text;

pub use cursor::{AWAIT_DEFAULT, AWAIT_MAX, Batch, Cursor, CursorRegistry, IdleCursor, KilledCursors};
pub use database::{Database, DatabaseOptions};
pub use error::{Error, Result};
pub use executor::{SpillStatistics, SpillUse};
pub use expiry::{ExpiryPass, ExpiryStatistics, TTL_INTERVAL_DEFAULT};
pub use interrupt::{EnteredInterrupt, Interrupt};
pub use log_sink::{LogListener, LogSink};
pub use namespace::{DATABASE_NAME_BYTES_MAX, NAMESPACE_BYTES_MAX, Namespace, validate_database_name};
pub use session::{QueryShape, Session, SessionId};
pub use sheaf_language::ErrorCode;
pub use sheaf_storage::{Durability, Timestamp};
