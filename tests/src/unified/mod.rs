//! The drivers' unified test format, run against the commands.
//!
//! The suites describe operations of a driver (`updateOne`, `bulkWrite`, `download`), not commands. A small client of
//! our own ([`client`], [`crud`], [`bulk`], [`gridfs`]) sends what a driver would send, and what the server answers is
//! matched against the expected results and the collections' contents afterwards. What a driver does by itself (events,
//! retries, connections) is not looked at: cases that are about nothing else are named with their reason by
//! [`requirement`], and are run again by the drivers over the wire.
//!
//! ```text
//! file -> requirement -> entities + client -> operation -> matching -> contents
//! ```
//!
//! The files are data by others and not part of this repository; see [`crate::conformance::corpus::suites_dir`].

mod bulk;
pub mod client;
mod crud;
mod entities;
pub mod file;
mod gridfs;
mod matching;
mod operation;
pub mod requirement;
mod runner;

pub use runner::{Verdict, run_all, run_case};

use bson::{Bson, Document};

/// Folders of the suites whose cases are about what the server answers.
pub const FOLDERS: [&str; 8] = [
    "collection_management",
    "crud/unified",
    "gridfs",
    "index_management",
    "read_write_concern/operation",
    "run_command/unified",
    "sessions",
    "versioned-api",
];

/// Why an operation of the client did not succeed.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    /// Whether the client refused by itself, without or against the server's answer.
    pub is_client: bool,
    /// What a person reads.
    pub message: String,
    /// The code, if the server gave one.
    pub code: Option<i32>,
    /// The server's reply, or the write error in it.
    pub reply: Option<Box<Document>>,
    /// What a bulk write did before it failed.
    pub partial: Option<Box<Bson>>,
    /// Errors of single operations of a bulk write, by their position.
    pub write_errors: Box<Document>,
    /// Errors of the write concern of a bulk write.
    pub write_concern_errors: Vec<Bson>,
}

impl Failure {
    /// A refusal of the client.
    pub fn client(message: impl Into<String>) -> Self {
        Self { is_client: true, message: message.into(), ..Self::default() }
    }

    /// An error of the server, from its reply or from a write error in it.
    pub fn server(reply: &Document) -> Self {
        Self {
            message: reply.get_str("errmsg").unwrap_or_default().to_owned(),
            code: reply.get_i32("code").ok(),
            reply: Some(Box::new(reply.clone())),
            ..Self::default()
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::client(message)
    }
}

/// What an operation answers.
pub type Outcome = Result<Bson, Failure>;
