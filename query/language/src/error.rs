//! Errors of the language: a numeric code that clients act on, and a message for people.

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A numeric error code as MongoDB's clients know it. Codes without a constant here are "locations": numbers that
/// name one spot of the language and are written where they are raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub i32);

impl ErrorCode {
    /// A fault of this program.
    pub const INTERNAL: Self = Self(1);
    /// A value is of the right type but not acceptable.
    pub const BAD_VALUE: Self = Self(2);
    /// The text or document does not follow the grammar.
    pub const FAILED_TO_PARSE: Self = Self(9);
    /// A value is of the wrong type.
    pub const TYPE_MISMATCH: Self = Self(14);
    /// A number does not fit.
    pub const OVERFLOW: Self = Self(15);
    /// An index that is needed is not there.
    pub const INDEX_NOT_FOUND: Self = Self(27);
    /// A path runs through something that cannot have fields.
    pub const PATH_NOT_VIABLE: Self = Self(28);
    /// Two updates touch the same path.
    pub const CONFLICTING_UPDATE_OPERATORS: Self = Self(40);
    /// A field name starts with a dollar where it may not.
    pub const DOLLAR_PREFIXED_FIELD_NAME: Self = Self(52);
    /// A filter demands two values of one field of an upsert.
    pub const NOT_SINGLE_VALUE_FIELD: Self = Self(54);
    /// A field name is empty where it may not be.
    pub const EMPTY_FIELD_NAME: Self = Self(56);
    /// An option does not fit the others.
    pub const INVALID_OPTIONS: Self = Self(72);
    /// A database or collection name is not acceptable.
    pub const INVALID_NAMESPACE: Self = Self(73);
    /// Pipelines are nested too deeply.
    pub const MAX_SUB_PIPELINE_DEPTH_EXCEEDED: Self = Self(232);
    /// An immutable field would change.
    pub const IMMUTABLE_FIELD: Self = Self(66);
    /// A computed value or a state takes more memory than allowed.
    pub const EXCEEDED_MEMORY_LIMIT: Self = Self(146);
    /// The option cannot be used with a view.
    pub const OPTION_NOT_SUPPORTED_ON_VIEW: Self = Self(167);
    /// No operator of this name.
    pub const INVALID_PIPELINE_OPERATOR: Self = Self(168);
    /// A value cannot be converted.
    pub const CONVERSION_FAILURE: Self = Self(241);
}

/// What a query gets instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What clients act on.
    pub code: ErrorCode,
    /// What a person reads: names the path, the value's type and what was expected.
    pub message: String,
}

impl Error {
    /// An error with this code and message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// An error with a location code.
    pub fn location(code: i32, message: impl Into<String>) -> Self {
        Self::new(ErrorCode(code), message)
    }
}
