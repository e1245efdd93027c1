//! Codes that only commands raise; the others are in the engine's list.

use sheaf_engine::ErrorCode;

/// A string or array has the wrong length.
pub(crate) const INVALID_LENGTH: ErrorCode = ErrorCode(16);
/// There is no such command.
pub(crate) const COMMAND_NOT_FOUND: ErrorCode = ErrorCode(59);
/// Options do not fit together, or are not for this command.
pub(crate) const INVALID_OPTIONS: ErrorCode = ErrorCode(72);
/// The replica set has no such write concern.
pub(crate) const UNKNOWN_REPL_WRITE_CONCERN: ErrorCode = ErrorCode(79);
/// A lock is held and the request would have to wait for it.
pub(crate) const LOCK_TIMEOUT: ErrorCode = ErrorCode(24);
/// The command needs a replica set.
pub(crate) const NOT_A_REPLICA_SET: ErrorCode = ErrorCode(123);
/// A cluster time is too far ahead of the server's clock.
pub(crate) const CLUSTER_TIME_FAILS_RATE_LIMITER: ErrorCode = ErrorCode(205);
/// An id is not a UUID.
pub(crate) const INVALID_UUID: ErrorCode = ErrorCode(207);
/// The command failed for a reason of its own.
pub(crate) const COMMAND_FAILED: ErrorCode = ErrorCode(125);
/// The catalog changed since the moment that is to be read.
pub(crate) const SNAPSHOT_UNAVAILABLE: ErrorCode = ErrorCode(246);
/// The server is shutting down.
pub(crate) const INTERRUPTED_AT_SHUTDOWN: ErrorCode = ErrorCode(11600);
/// A command has a number that is neither of a transaction nor of a write that is done once.
pub(crate) const NOT_A_RETRYABLE_WRITE: ErrorCode = ErrorCode(50_768);
/// The search service of Atlas is not part of this server.
pub(crate) const SEARCH_NOT_ENABLED: ErrorCode = ErrorCode(31_082);
/// The command cannot be part of a transaction.
pub(crate) const OPERATION_NOT_SUPPORTED_IN_TRANSACTION: ErrorCode = ErrorCode(263);
/// There is no such version of the stable API.
pub(crate) const API_VERSION_ERROR: ErrorCode = ErrorCode(322);
/// Not part of the stable API.
pub(crate) const API_STRICT_ERROR: ErrorCode = ErrorCode(323);
/// Fields of the stable API without its version.
pub(crate) const API_FIELDS_WITHOUT_VERSION: ErrorCode = ErrorCode(4_886_600);
/// This server does not do it.
pub(crate) const COMMAND_NOT_SUPPORTED: ErrorCode = ErrorCode(115);
/// Writes of users are blocked.
pub(crate) const USER_WRITES_BLOCKED: ErrorCode = ErrorCode(371);
/// More members must acknowledge than there are.
pub(crate) const UNSATISFIABLE_WRITE_CONCERN: ErrorCode = ErrorCode(100);
