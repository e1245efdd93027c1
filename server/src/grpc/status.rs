//! Errors of the engine as gRPC's: a canonical code by what the caller should do, and an ErrorInfo that names the
//! reason.

use std::collections::HashMap;

use sheaf_command::error_catalogue::{Advice, advice, code_name};
use sheaf_document::json::to_relaxed;
use sheaf_engine::{Error, error_code};
use sheaf_proto::v1;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::storage_pool::PoolError;

/// The domain of every ErrorInfo of this server.
pub const DOMAIN: &str = "sheafdb.dev";

/// Status details travel in a header, and clients take 8 KiB of those: what does not fit is left out or cut.
const MESSAGE_BYTES_MAX: usize = 2 << 10;
const DETAILS_BYTES_MAX: usize = 1 << 10;

/// How an error of the engine looks to a gRPC caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The canonical code.
    pub code: Code,
    /// The reason, an upper-case word.
    pub reason: String,
    /// What else the caller can read by machine.
    pub metadata: HashMap<String, String>,
}

/// Canonical code and reason where they are not what the error catalogue's name and advice would make of them.
const DESCRIPTIONS: [(i32, Code, &str); 31] = [
    (1, Code::Internal, "INTERNAL"),
    (11, Code::NotFound, "USER_NOT_FOUND"),
    (20, Code::FailedPrecondition, "ILLEGAL_OPERATION"),
    (26, Code::NotFound, "NAMESPACE_NOT_FOUND"),
    (27, Code::NotFound, "INDEX_NOT_FOUND"),
    (39, Code::Unavailable, "FILE_FAILED"),
    (43, Code::NotFound, "CURSOR_NOT_FOUND"),
    (48, Code::AlreadyExists, "NAMESPACE_EXISTS"),
    (50, Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (66, Code::FailedPrecondition, "IMMUTABLE_FIELD"),
    (85, Code::AlreadyExists, "INDEX_OPTIONS_CONFLICT"),
    (86, Code::AlreadyExists, "INDEX_KEY_SPECS_CONFLICT"),
    (91, Code::Unavailable, "SHUTTING_DOWN"),
    (98, Code::FailedPrecondition, "DATABASE_LOCKED"),
    (146, Code::ResourceExhausted, "MEMORY_LIMIT_EXCEEDED"),
    (166, Code::FailedPrecondition, "NOT_SUPPORTED_ON_VIEW"),
    (167, Code::FailedPrecondition, "OPTION_NOT_SUPPORTED_ON_VIEW"),
    (175, Code::FailedPrecondition, "QUERY_PLAN_KILLED"),
    (188, Code::FailedPrecondition, "INCOMPATIBLE_FORMAT"),
    (238, Code::Unimplemented, "NOT_SUPPORTED"),
    (239, Code::FailedPrecondition, "SNAPSHOT_TOO_OLD"),
    (241, Code::InvalidArgument, "CONVERSION_FAILURE"),
    (260, Code::InvalidArgument, "RESUME_TOKEN_INVALID"),
    (292, Code::ResourceExhausted, "QUERY_MEMORY_LIMIT_EXCEEDED"),
    (366, Code::DataLoss, "DATA_CORRUPTION"),
    (10334, Code::InvalidArgument, "DOCUMENT_TOO_LARGE"),
    (11000, Code::AlreadyExists, "DUPLICATE_KEY"),
    (11601, Code::Cancelled, "INTERRUPTED"),
    (12051, Code::FailedPrecondition, "CURSOR_IN_USE"),
    (14031, Code::ResourceExhausted, "DISK_FULL"),
    (17280, Code::InvalidArgument, "INDEX_KEY_TOO_LONG"),
];

/// Describes an error of the engine.
pub fn describe(error: &Error) -> Described {
    let number = error.code.0;
    let name = code_name(error.code);
    let (code, reason) = match DESCRIPTIONS.iter().find(|(known, ..)| *known == number) {
        Some((_, code, reason)) => (*code, (*reason).to_owned()),
        None => (advised_code(advice(error.code)), upper_case_words(&name)),
    };
    let metadata = HashMap::from([("code".to_owned(), number.to_string()), ("code_name".to_owned(), name)]);
    Described { code, reason, metadata }
}

/// The canonical code that gives the catalogue's advice.
fn advised_code(advice: Advice) -> Code {
    match advice {
        Advice::FixRequest => Code::InvalidArgument,
        Advice::CheckData => Code::FailedPrecondition,
        Advice::Retry | Advice::FindPrimary => Code::Unavailable,
        Advice::RestartTransaction | Advice::RestartQuery => Code::Aborted,
        Advice::AskPermission => Code::PermissionDenied,
        Advice::MakeRoom => Code::ResourceExhausted,
        Advice::Unsupported => Code::Unimplemented,
        Advice::Report => Code::Internal,
    }
}

/// `PathNotViable` as `PATH_NOT_VIABLE`, `Location40324` as `LOCATION_40324`.
fn upper_case_words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    let mut before: Option<char> = None;
    for letter in name.chars() {
        let starts_word = match before {
            Some(before) if letter.is_ascii_uppercase() => before.is_ascii_lowercase(),
            Some(before) if letter.is_ascii_digit() => !before.is_ascii_digit(),
            _ => false,
        };
        if starts_word {
            words.push('_');
        }
        words.push(letter.to_ascii_uppercase());
        before = Some(letter);
    }
    words
}

/// The status of a call that failed with an error of the engine.
pub fn status(error: &Error) -> Status {
    let Described { code, reason, mut metadata } = describe(error);
    if let Some(details) = &error.details {
        let json = to_relaxed(details.as_raw());
        if json.len() <= DETAILS_BYTES_MAX {
            metadata.insert("details".to_owned(), json);
        }
    }
    if matches!(code, Code::Internal | Code::DataLoss) {
        tracing::error!(code = error.code.0, message = %error.message, "a request failed inside the database");
    }
    with_reason(code, shortened(&error.message), reason, metadata)
}

/// A message that fits into a header. Errors quote what the caller sent, which may be megabytes.
fn shortened(message: &str) -> String {
    if message.len() <= MESSAGE_BYTES_MAX {
        return message.to_owned();
    }
    let end = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    format!("{}...", message.get(..end).unwrap_or_default())
}

/// The outcome of one write that failed.
pub fn write_error(error: &Error) -> v1::WriteError {
    let Described { code, reason, metadata } = describe(error);
    v1::WriteError {
        code: i32::from(code),
        reason,
        message: shortened(&error.message),
        metadata,
        details: error
            .details
            .as_ref()
            .map(|details| bytes::Bytes::copy_from_slice(details.as_bytes()))
            .unwrap_or_default(),
    }
}

/// A request that is wrong before the engine sees it.
pub fn invalid(reason: &str, message: impl Into<String>) -> Status {
    with_reason(Code::InvalidArgument, shortened(&message.into()), reason.to_owned(), HashMap::new())
}

/// A status with an ErrorInfo.
pub fn with_reason(
    code: Code,
    message: String,
    reason: impl Into<String>,
    metadata: HashMap<String, String>,
) -> Status {
    Status::with_error_details(code, message, ErrorDetails::with_error_info(reason, DOMAIN, metadata))
}

/// The deadline of a call passed before its answer was complete.
pub fn deadline_exceeded() -> Status {
    let message = "the deadline of the request passed".to_owned();
    with_reason(Code::DeadlineExceeded, message, "DEADLINE_EXCEEDED", HashMap::new())
}

impl From<PoolError> for Status {
    fn from(error: PoolError) -> Self {
        let (code, reason) = match error {
            PoolError::Overloaded => (Code::ResourceExhausted, "OVERLOADED"),
            PoolError::ShuttingDown => (Code::Unavailable, "SHUTTING_DOWN"),
            PoolError::WorkerLost => {
                return status(&Error::new(error_code::INTERNAL_ERROR, error.to_string()));
            }
        };
        with_reason(code, error.to_string(), reason, HashMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_sorted_and_name_each_code_once() {
        assert!(DESCRIPTIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let well_formed = |reason: &str| reason.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        assert!(DESCRIPTIONS.iter().all(|(_, _, reason)| well_formed(reason)));
    }

    #[test]
    fn a_status_carries_reason_domain_and_number() {
        let status = status(&Error::new(error_code::DUPLICATE_KEY, "E11000 duplicate key"));
        assert_eq!(status.code(), Code::AlreadyExists);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("DUPLICATE_KEY", "sheafdb.dev"));
        assert_eq!(info.metadata["code"], "11000");
    }

    #[test]
    fn a_status_fits_into_a_header_whatever_the_error_quotes() {
        let mut details = sheaf_document::DocumentBuilder::new();
        details.append("keyValue", "x".repeat(100_000));
        let error =
            Error::new(error_code::DUPLICATE_KEY, "\u{e9}".repeat(100_000)).with_details(details.build());
        let status = status(&error);
        assert!(status.message().len() + status.details().len() < 8 << 10);
        assert!(status.message().ends_with("..."));
        assert_eq!(status.get_details_error_info().unwrap().reason, "DUPLICATE_KEY");
    }

    #[test]
    fn an_unlisted_code_is_a_location_in_the_callers_query() {
        let described = describe(&Error::new(sheaf_engine::ErrorCode(40324), "no such stage"));
        assert_eq!((described.code, described.reason.as_str()), (Code::InvalidArgument, "LOCATION_40324"));
    }

    #[test]
    fn what_the_catalogue_names_and_advises_is_taken_over() {
        let described = |number| describe(&Error::new(sheaf_engine::ErrorCode(number), "because"));
        let bad_value = described(2);
        assert_eq!((bad_value.code, bad_value.reason.as_str()), (Code::InvalidArgument, "BAD_VALUE"));
        assert_eq!(bad_value.metadata["code_name"], "BadValue");
        let viable = described(28);
        assert_eq!((viable.code, viable.reason.as_str()), (Code::FailedPrecondition, "PATH_NOT_VIABLE"));
        assert_eq!(described(22).reason, "INVALID_BSON");
    }
}
