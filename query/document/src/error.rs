//! What can be wrong with a value.

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can be wrong with bytes or text that claim to be a value. In every case the input is to blame: the caller
/// should report it and keep what it had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not well-formed BSON.
    #[error("malformed BSON at byte {offset}: {reason}")]
    Malformed {
        /// Offset in the outermost document, in bytes.
        offset: usize,
        /// What was expected there.
        reason: &'static str,
    },
    /// A limit of this crate was passed.
    #[error("{what} is {actual}, the limit is {limit}")]
    Limit {
        /// The limited thing, e.g. "document size in bytes".
        what: &'static str,
        /// What the input has.
        actual: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Text that is not a valid value (extended JSON, decimal, object id, ...).
    #[error("invalid {what}: {reason}")]
    Invalid {
        /// The kind of value that was expected.
        what: &'static str,
        /// Why the text is not one.
        reason: String,
    },
}
