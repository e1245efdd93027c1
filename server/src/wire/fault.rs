//! What is wrong with a message, and whether the connection can go on behind it.

use sheaf_engine::{Error, ErrorCode};

/// The message breaks the protocol.
pub const PROTOCOL_ERROR: ErrorCode = ErrorCode(17);
/// A flag that must be understood is not.
pub const ILLEGAL_OP_MSG_FLAG: ErrorCode = ErrorCode(223);
/// A legacy query is something else than the handshake.
pub const UNSUPPORTED_OP_QUERY_COMMAND: ErrorCode = ErrorCode(352);
/// A request names no database.
pub const NO_DATABASE: ErrorCode = ErrorCode(40571);

/// A refused message.
#[derive(Debug)]
pub struct Fault {
    /// What the client is told.
    pub error: Error,
    /// Whether what comes behind it cannot be trusted any more, so that the connection ends.
    pub is_fatal: bool,
}

impl Fault {
    /// The message was understood well enough to go on behind it.
    pub fn of_request(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { error: Error::new(code, message), is_fatal: false }
    }

    /// The peer speaks something else, or its bytes were damaged on the way.
    pub fn of_connection(message: impl Into<String>) -> Self {
        Self { error: Error::new(PROTOCOL_ERROR, message), is_fatal: true }
    }
}
