//! The error catalogue: what every code is called and what a caller should do about it.
//!
//! Clients act on the number; people read the message, which is written where the error is raised. Codes that are
//! not named here are locations: numbers for one spot of the language, named `Location` and the number, and always
//! the request's fault.

use sheaf_engine::ErrorCode;

/// What the caller should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The request is wrong; sending it again changes nothing.
    FixRequest,
    /// The request and the data do not fit together; look at the data first.
    CheckData,
    /// Send the request again.
    Retry,
    /// Start the transaction again.
    RestartTransaction,
    /// Begin the query, or the change stream, again: its position is gone.
    RestartQuery,
    /// Ask the server that is the primary now.
    FindPrimary,
    /// Authenticate, or ask for the right to do this.
    AskPermission,
    /// Make room, or raise a limit.
    MakeRoom,
    /// This server does not do it.
    Unsupported,
    /// A defect of the server: report it.
    Report,
}

impl Advice {
    /// What a person is told to do.
    pub fn text(self) -> &'static str {
        match self {
            Self::FixRequest => "change the request; sent again as it is, it fails again",
            Self::CheckData => "look at the data: the request and the data do not fit together",
            Self::Retry => "send the request again",
            Self::RestartTransaction => "start the transaction again",
            Self::RestartQuery => "begin the query or the change stream again; its position is gone",
            Self::FindPrimary => "ask the server that is the primary now",
            Self::AskPermission => "authenticate, or ask for the right to do this",
            Self::MakeRoom => "make room, or raise the limit that the message names",
            Self::Unsupported => "do without: this server does not do it",
            Self::Report => "report it: it is a defect of the server",
        }
    }
}

/// A line of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number.
    pub code: i32,
    /// The name, which replies carry as `codeName`.
    pub name: &'static str,
    /// What the caller should do.
    pub advice: Advice,
}

use Advice::{
    AskPermission, CheckData, FindPrimary, FixRequest, MakeRoom, Report, RestartQuery, RestartTransaction,
    Retry, Unsupported,
};

macro_rules! catalogue {
    ($($code:literal $name:literal $advice:ident),* $(,)?) => {
        /// Every named code, in ascending order.
        pub const CATALOGUE: &[Entry] = &[$(Entry { code: $code, name: $name, advice: $advice }),*];
    };
}

catalogue! {
    1 "InternalError" Report,
    2 "BadValue" FixRequest,
    4 "NoSuchKey" FixRequest,
    5 "GraphContainsCycle" FixRequest,
    6 "HostUnreachable" Retry,
    7 "HostNotFound" Retry,
    8 "UnknownError" Report,
    9 "FailedToParse" FixRequest,
    10 "CannotMutateObject" FixRequest,
    11 "UserNotFound" AskPermission,
    12 "UnsupportedFormat" FixRequest,
    13 "Unauthorized" AskPermission,
    14 "TypeMismatch" FixRequest,
    15 "Overflow" FixRequest,
    16 "InvalidLength" FixRequest,
    17 "ProtocolError" FixRequest,
    18 "AuthenticationFailed" AskPermission,
    20 "IllegalOperation" FixRequest,
    21 "EmptyArrayOperation" FixRequest,
    22 "InvalidBSON" FixRequest,
    23 "AlreadyInitialized" FixRequest,
    24 "LockTimeout" Retry,
    26 "NamespaceNotFound" CheckData,
    27 "IndexNotFound" CheckData,
    28 "PathNotViable" CheckData,
    29 "NonExistentPath" CheckData,
    31 "RoleNotFound" FixRequest,
    37 "FileRenameFailed" Report,
    38 "FileNotOpen" Report,
    39 "FileStreamFailed" Report,
    40 "ConflictingUpdateOperators" FixRequest,
    43 "CursorNotFound" RestartQuery,
    46 "LockBusy" Retry,
    47 "NoMatchingDocument" CheckData,
    48 "NamespaceExists" CheckData,
    50 "MaxTimeMSExpired" Retry,
    51 "ManualInterventionRequired" Report,
    52 "DollarPrefixedFieldName" FixRequest,
    53 "InvalidIdField" FixRequest,
    54 "NotSingleValueField" FixRequest,
    55 "InvalidDBRef" FixRequest,
    56 "EmptyFieldName" FixRequest,
    57 "DottedFieldName" FixRequest,
    59 "CommandNotFound" Unsupported,
    61 "ShardKeyNotFound" CheckData,
    62 "OplogOperationUnsupported" Unsupported,
    64 "WriteConcernTimeout" Retry,
    66 "ImmutableField" FixRequest,
    67 "CannotCreateIndex" FixRequest,
    68 "IndexAlreadyExists" CheckData,
    69 "AuthSchemaIncompatible" AskPermission,
    72 "InvalidOptions" FixRequest,
    73 "InvalidNamespace" FixRequest,
    76 "NoReplicationEnabled" Unsupported,
    79 "UnknownReplWriteConcern" FixRequest,
    84 "DuplicateKeyValue" CheckData,
    85 "IndexOptionsConflict" CheckData,
    86 "IndexKeySpecsConflict" CheckData,
    89 "NetworkTimeout" Retry,
    91 "ShutdownInProgress" FindPrimary,
    93 "InvalidRoleModification" FixRequest,
    94 "NotYetInitialized" Retry,
    96 "OperationFailed" CheckData,
    98 "DBPathInUse" FixRequest,
    100 "UnsatisfiableWriteConcern" FixRequest,
    101 "OutdatedClient" Unsupported,
    112 "WriteConflict" RestartTransaction,
    115 "CommandNotSupported" Unsupported,
    117 "ConflictingOperationInProgress" Retry,
    118 "NamespaceNotSharded" CheckData,
    121 "DocumentValidationFailure" CheckData,
    123 "NotAReplicaSet" Unsupported,
    125 "CommandFailed" CheckData,
    136 "CappedPositionLost" RestartQuery,
    146 "ExceededMemoryLimit" MakeRoom,
    161 "IncompatibleCollationVersion" FixRequest,
    165 "ViewDepthLimitExceeded" FixRequest,
    166 "CommandNotSupportedOnView" FixRequest,
    167 "OptionNotSupportedOnView" FixRequest,
    168 "InvalidPipelineOperator" FixRequest,
    169 "CommandOnShardedViewNotSupportedOnMongod" Unsupported,
    170 "TooManyMatchingDocuments" CheckData,
    171 "CannotIndexParallelArrays" CheckData,
    175 "QueryPlanKilled" RestartQuery,
    178 "CloneCollectionNotSupported" Unsupported,
    181 "AmbiguousIndexKeyPattern" FixRequest,
    186 "CommandNotSupportedOnStandalone" Unsupported,
    187 "ReplicaSetMonitorRemoved" Retry,
    188 "IncompatibleServerVersion" FixRequest,
    189 "PrimarySteppedDown" FindPrimary,
    193 "CannotBackfillArray" CheckData,
    195 "ViewPipelineMaxSizeExceeded" FixRequest,
    197 "InvalidIndexSpecificationOption" FixRequest,
    201 "CannotBuildIndexKeys" CheckData,
    203 "AmbiguousFieldName" FixRequest,
    205 "ClusterTimeFailsRateLimiter" FixRequest,
    206 "NoSuchSession" RestartTransaction,
    207 "InvalidUUID" FixRequest,
    217 "IncompleteTransactionHistory" RestartTransaction,
    222 "CloseChangeStream" RestartQuery,
    223 "IllegalOpMsgFlag" FixRequest,
    224 "QueryFeatureNotAllowed" Unsupported,
    225 "TransactionTooOld" RestartTransaction,
    228 "SnapshotTooOldLegacy" RestartQuery,
    231 "BSONObjectTooLargeForArray" MakeRoom,
    232 "MaxSubPipelineDepthExceeded" FixRequest,
    234 "RetryChangeStream" RestartQuery,
    237 "CursorKilled" RestartQuery,
    238 "NotImplemented" Unsupported,
    239 "SnapshotTooOld" RestartQuery,
    241 "ConversionFailure" CheckData,
    246 "SnapshotUnavailable" RestartTransaction,
    248 "ProducerConsumerQueueBatchTooLarge" MakeRoom,
    251 "NoSuchTransaction" RestartTransaction,
    256 "TransactionCommitted" FixRequest,
    257 "TransactionTooLarge" MakeRoom,
    260 "InvalidResumeToken" RestartQuery,
    261 "TooManyLogicalSessions" MakeRoom,
    262 "ExceededTimeLimit" Retry,
    263 "OperationNotSupportedInTransaction" FixRequest,
    264 "TooManyFilesOpen" MakeRoom,
    280 "ChangeStreamFatalError" RestartQuery,
    284 "IndexBuildAborted" Retry,
    286 "ChangeStreamHistoryLost" RestartQuery,
    291 "NoQueryExecutionPlans" FixRequest,
    292 "QueryExceededMemoryLimitNoDiskUseAllowed" MakeRoom,
    303 "FeatureNotSupported" Unsupported,
    310 "TenantMigrationCommitted" Retry,
    314 "ObjectIsBusy" Retry,
    321 "APIMismatchError" FixRequest,
    322 "APIVersionError" FixRequest,
    323 "APIStrictError" FixRequest,
    331 "APIDeprecationError" FixRequest,
    333 "TemporarilyUnavailable" Retry,
    350 "TransactionExceededLifetimeLimitSeconds" RestartTransaction,
    352 "UnsupportedOpQueryCommand" Unsupported,
    359 "CannotConvertIndexToUnique" CheckData,
    361 "CollectionUUIDMismatch" CheckData,
    366 "DataCorruptionDetected" Report,
    371 "UserWritesBlocked" AskPermission,
    411 "QueryRejectedBySettings" AskPermission,
    10003 "CannotGrowDocumentInCappedNamespace" CheckData,
    10058 "LegacyNotPrimary" FindPrimary,
    10107 "NotWritablePrimary" FindPrimary,
    10334 "BSONObjectTooLarge" MakeRoom,
    11000 "DuplicateKey" CheckData,
    11600 "InterruptedAtShutdown" FindPrimary,
    11601 "Interrupted" Retry,
    11602 "InterruptedDueToReplStateChange" FindPrimary,
    12586 "BackgroundOperationInProgressForDatabase" Retry,
    12587 "BackgroundOperationInProgressForNamespace" Retry,
    13113 "MergeStageNoMatchingDocument" CheckData,
    13297 "DatabaseDifferCase" FixRequest,
    13435 "NotPrimaryNoSecondaryOk" FindPrimary,
    13436 "NotPrimaryOrSecondary" FindPrimary,
    14031 "OutOfDiskSpace" MakeRoom,
    17280 "KeyTooLong" CheckData,
    31082 "SearchNotEnabled" Unsupported,
    40413 "IDLDuplicateField" FixRequest,
    40414 "IDLFailedToParse" FixRequest,
    40415 "IDLUnknownField" FixRequest,
}

/// The line of a code, if it is named.
pub fn entry(code: ErrorCode) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.code == code.0)
}

/// The name of a code, as replies carry it.
pub fn code_name(code: ErrorCode) -> String {
    entry(code).map_or_else(|| format!("Location{}", code.0), |entry| entry.name.to_owned())
}

/// What a caller should do about a code.
pub fn advice(code: ErrorCode) -> Advice {
    entry(code).map_or(FixRequest, |entry| entry.advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique() {
        for (index, entry) in CATALOGUE.iter().enumerate() {
            for other in &CATALOGUE[index + 1..] {
                assert_ne!(entry.code, other.code, "{}", entry.name);
                assert_ne!(entry.name, other.name, "{}", entry.code);
            }
        }
    }

    #[test]
    fn locations_are_named_by_their_number() {
        assert_eq!(code_name(ErrorCode(11000)), "DuplicateKey");
        assert_eq!(code_name(ErrorCode(51024)), "Location51024");
        assert_eq!(advice(ErrorCode(51024)), FixRequest);
        assert_eq!(advice(ErrorCode(112)), RestartTransaction);
    }
}
