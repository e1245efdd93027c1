//! The conformance corpus, run in process or over the MongoDB wire door.
//!
//! A case is a list of commands and what was recorded when they were sent to MongoDB 8. Each case gets a database of
//! its own, runs its steps one after the other and is judged by its asserts; see [`case`] for the format, [`compare`]
//! and [`check`] for what counts as equal. The corpus is data by others and not part of this repository: it is looked
//! for in `SHEAF_SUITES`, else in `../shared/suites`.
//!
//! ```text
//! corpus -> case -> runner (threads, a watchdog) -> target (run_command, or a socket) -> verdict -> report, ratchet
//! ```
//!
//! Replies are read with the `bson` crate, not with our own reader: what only we can read would pass otherwise.

pub mod case;
pub mod check;
pub mod compare;
pub mod corpus;
mod extended;
pub mod ratchet;
pub mod report;
pub mod runner;
pub mod target;
pub mod verdict;
pub mod wire_target;

/// Why the run as a whole could not go on. The caller prints it and gives up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A case does not follow the format.
    #[error("case {id}: {reason}")]
    Format {
        /// The case, or its line number.
        id: String,
        /// What is wrong.
        reason: String,
    },
}

/// Result of this module.
pub type Result<T> = std::result::Result<T, Error>;

/// How a server presents itself; some cases were recorded on one kind only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// A replica set of one member.
    ReplicaSet,
    /// A server alone.
    Standalone,
}
