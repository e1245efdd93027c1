//! What a caller of the database gets instead of an answer.

use std::fmt;

use sheaf_document::RawDocumentBuf;
use sheaf_language::ErrorCode;

use crate::error_code;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation was refused or failed.
///
/// The code says what to do (it is the number MongoDB's clients know; see the error catalogue of the command crate),
/// the message is for people, and `details` holds fields that go beside them in a reply, such as `keyPattern`
/// and `keyValue` of a duplicate key.
#[derive(Clone, Debug)]
pub struct Error {
    /// What clients act on.
    pub code: ErrorCode,
    /// What a person reads.
    pub message: String,
    /// Further fields of the reply; boxed because most errors have none.
    pub details: Option<Box<RawDocumentBuf>>,
}

impl Error {
    /// An error without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None }
    }

    /// Adds the fields that go beside code and message in a reply.
    #[must_use]
    pub fn with_details(mut self, details: RawDocumentBuf) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// An error with a location code: a number that names one spot of the language.
    pub(crate) fn location(code: i32, message: impl Into<String>) -> Self {
        Self::new(ErrorCode(code), message)
    }

    /// An error for a state that the code rules out: a defect, reported instead of a panic.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(error_code::INTERNAL_ERROR, message)
    }

    /// A refusal of something the language knows and this database does not do.
    pub(crate) fn not_supported(what: impl fmt::Display) -> Self {
        Self::new(error_code::NOT_IMPLEMENTED, format!("{what} is not supported"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<sheaf_language::Error> for Error {
    fn from(error: sheaf_language::Error) -> Self {
        Self::new(error.code, error.message)
    }
}

impl From<sheaf_document::Error> for Error {
    fn from(error: sheaf_document::Error) -> Self {
        let code = match &error {
            sheaf_document::Error::Malformed { .. } => error_code::INVALID_BSON,
            sheaf_document::Error::Limit { what: sheaf_document::NESTING_DEPTH, .. } => ErrorCode::OVERFLOW,
            sheaf_document::Error::Limit { .. } => error_code::OBJECT_TOO_LARGE,
            sheaf_document::Error::Invalid { .. } => error_code::BAD_VALUE,
        };
        Self::new(code, error.to_string())
    }
}

impl From<sheaf_storage::Error> for Error {
    fn from(error: sheaf_storage::Error) -> Self {
        use sheaf_storage::Error as Storage;
        let code = match &error {
            Storage::Conflict { .. } | Storage::Deadlock { .. } | Storage::LockTimeout { .. } => {
                error_code::WRITE_CONFLICT
            }
            // A database is in the first tablet of its store, and that is always there.
            Storage::InvalidInput(_)
            | Storage::Encryption { .. }
            | Storage::TabletUnknown(_)
            | Storage::TabletExists(_)
            | Storage::TabletDropped(_) => error_code::BAD_VALUE,
            Storage::Corruption { .. } => error_code::DATA_CORRUPTION_DETECTED,
            Storage::Io { .. }
            | Storage::NotPermitted { .. }
            | Storage::TooManyOpenFiles { .. }
            | Storage::Poisoned(_) => error_code::FILE_STREAM_FAILED,
            Storage::Full { .. } => error_code::OUT_OF_DISK_SPACE,
            Storage::Locked { .. } => error_code::DATABASE_LOCKED,
            Storage::FormatVersion { .. } => error_code::INCOMPATIBLE_SERVER_VERSION,
            Storage::SnapshotTooOld { .. } => error_code::SNAPSHOT_TOO_OLD,
            Storage::TooManySnapshots(_) | Storage::WriteStalled(_) | Storage::MemoryExceeded(_) => {
                error_code::EXCEEDED_MEMORY_LIMIT
            }
            Storage::NotLeader { .. } => error_code::NOT_WRITABLE_PRIMARY,
            Storage::Closed => error_code::SHUTDOWN_IN_PROGRESS,
        };
        Self::new(code, error.to_string())
    }
}
