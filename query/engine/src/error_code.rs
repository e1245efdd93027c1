//! The error codes this crate raises, by the names clients know them under. The language's own are in
//! [`ErrorCode`]; the whole catalogue, with advice, is the command crate's.

use sheaf_language::ErrorCode;

/// The server has a defect; the message says where.
pub const INTERNAL_ERROR: ErrorCode = ErrorCode(1);
/// A value is of the right type but not acceptable.
pub const BAD_VALUE: ErrorCode = ErrorCode(2);
/// The document does not follow the grammar.
pub const FAILED_TO_PARSE: ErrorCode = ErrorCode(9);
/// The caller may not do this, e.g. with the cursor of another session.
pub const UNAUTHORIZED: ErrorCode = ErrorCode(13);
/// A value is of the wrong type.
pub const TYPE_MISMATCH: ErrorCode = ErrorCode(14);
/// Views would lead back to themselves.
pub const GRAPH_CONTAINS_CYCLE: ErrorCode = ErrorCode(5);
/// The operation does not fit the collection.
pub const ILLEGAL_OPERATION: ErrorCode = ErrorCode(20);
/// Bytes are not well-formed BSON.
pub const INVALID_BSON: ErrorCode = ErrorCode(22);
/// There is no such collection or database.
pub const NAMESPACE_NOT_FOUND: ErrorCode = ErrorCode(26);
/// There is no such index.
pub const INDEX_NOT_FOUND: ErrorCode = ErrorCode(27);
/// The cursor does not exist, or no longer.
pub const CURSOR_NOT_FOUND: ErrorCode = ErrorCode(43);
/// A number of a session was used for something else before.
pub const INCOMPLETE_TRANSACTION_HISTORY: ErrorCode = ErrorCode(217);
/// The session has gone on to a higher number.
pub const TRANSACTION_TOO_OLD: ErrorCode = ErrorCode(225);
/// There is no such transaction, or no longer.
pub const NO_SUCH_TRANSACTION: ErrorCode = ErrorCode(251);
/// The transaction was committed already.
pub const TRANSACTION_COMMITTED: ErrorCode = ErrorCode(256);
/// The transaction has written too much.
pub const TRANSACTION_TOO_LARGE: ErrorCode = ErrorCode(257);
/// There are too many sessions.
pub const TOO_MANY_LOGICAL_SESSIONS: ErrorCode = ErrorCode(261);
/// This cannot be part of a transaction.
pub const OPERATION_NOT_SUPPORTED_IN_TRANSACTION: ErrorCode = ErrorCode(263);
/// A transaction of that number was started before.
pub const TRANSACTION_STARTED_BEFORE: ErrorCode = ErrorCode(50_911);
/// A write was sent again as another kind of write.
pub const RETRIED_AS_ANOTHER: ErrorCode = ErrorCode(40_606);
/// A collection or view of that name exists with other options.
pub const NAMESPACE_EXISTS: ErrorCode = ErrorCode(48);
/// The operation passed its time limit.
pub const MAX_TIME_MS_EXPIRED: ErrorCode = ErrorCode(50);
/// An immutable field would change.
pub const IMMUTABLE_FIELD: ErrorCode = ErrorCode(66);
/// The index cannot be created.
pub const CANNOT_CREATE_INDEX: ErrorCode = ErrorCode(67);
/// The options do not fit together.
pub const INVALID_OPTIONS: ErrorCode = ErrorCode(72);
/// The name of a database or collection is not allowed.
pub const INVALID_NAMESPACE: ErrorCode = ErrorCode(73);
/// An index exists under this name or key with other options.
pub const INDEX_OPTIONS_CONFLICT: ErrorCode = ErrorCode(85);
/// An index exists under this name with another key.
pub const INDEX_KEY_SPECS_CONFLICT: ErrorCode = ErrorCode(86);
/// A write lost against another and was not run again.
pub const WRITE_CONFLICT: ErrorCode = ErrorCode(112);
/// The document does not pass the collection's validator.
pub const DOCUMENT_VALIDATION_FAILURE: ErrorCode = ErrorCode(121);
/// The operation does not work on a view.
pub const COMMAND_NOT_SUPPORTED_ON_VIEW: ErrorCode = ErrorCode(166);
/// The option cannot be used with a view.
pub const OPTION_NOT_SUPPORTED_ON_VIEW: ErrorCode = ErrorCode(167);
/// The place where a tailable cursor stood was dropped from its capped collection.
pub const CAPPED_POSITION_LOST: ErrorCode = ErrorCode(136);
/// The collection under a cursor went away.
pub const QUERY_PLAN_KILLED: ErrorCode = ErrorCode(175);
/// An index option is unknown or does not fit.
pub const INVALID_INDEX_SPECIFICATION_OPTION: ErrorCode = ErrorCode(197);
/// What is known to the language but not supported here.
pub const NOT_IMPLEMENTED: ErrorCode = ErrorCode(238);
/// History of that age is gone.
pub const SNAPSHOT_TOO_OLD: ErrorCode = ErrorCode(239);
/// A resume position does not belong to this query.
pub const INVALID_RESUME_TOKEN: ErrorCode = ErrorCode(260);
/// The operation was killed.
pub const INTERRUPTED: ErrorCode = ErrorCode(11601);
/// A unique index has the key already.
pub const DUPLICATE_KEY: ErrorCode = ErrorCode(11000);
/// A document is larger than allowed.
pub const OBJECT_TOO_LARGE: ErrorCode = ErrorCode(10334);
/// A cursor is used by two requests at once.
pub const CURSOR_IN_USE: ErrorCode = ErrorCode(12051);
/// The disk is full.
pub const OUT_OF_DISK_SPACE: ErrorCode = ErrorCode(14031);
/// An index key is larger than allowed.
pub const KEY_TOO_LONG: ErrorCode = ErrorCode(17280);
/// Memory for a query is used up and spilling is not allowed.
pub const QUERY_EXCEEDED_MEMORY_LIMIT: ErrorCode = ErrorCode(292);
/// The memory budget has no room.
pub const EXCEEDED_MEMORY_LIMIT: ErrorCode = ErrorCode(146);
/// Bytes on disk are damaged.
pub const DATA_CORRUPTION_DETECTED: ErrorCode = ErrorCode(366);
/// Another member of the replica set takes writes.
pub const NOT_WRITABLE_PRIMARY: ErrorCode = ErrorCode(10107);
/// The database is closing or closed.
pub const SHUTDOWN_IN_PROGRESS: ErrorCode = ErrorCode(91);
/// The operating system refused a file operation.
pub const FILE_STREAM_FAILED: ErrorCode = ErrorCode(39);
/// The data directory is of another format version.
pub const INCOMPATIBLE_SERVER_VERSION: ErrorCode = ErrorCode(188);
/// The data directory is in use.
pub const DATABASE_LOCKED: ErrorCode = ErrorCode(98);
/// A database exists whose name differs by case only.
pub const DATABASE_DIFFERS_BY_CASE: ErrorCode = ErrorCode(13297);
/// Two fields of an index lead through different arrays of one document.
pub const CANNOT_INDEX_PARALLEL_ARRAYS: ErrorCode = ErrorCode(171);
/// The index cannot be built from this document.
pub const CANNOT_BUILD_INDEX_KEYS: ErrorCode = ErrorCode(201);
/// Documents have the same key, so their index cannot become unique.
pub const CANNOT_CONVERT_INDEX_TO_UNIQUE: ErrorCode = ErrorCode(359);
/// Several indexes have the key pattern.
pub const AMBIGUOUS_INDEX_KEY_PATTERN: ErrorCode = ErrorCode(181);
/// The value cannot be an `_id`.
pub const INVALID_ID_FIELD: ErrorCode = ErrorCode(53);
/// A field name starts with a dollar sign where it must not.
pub const DOLLAR_PREFIXED_FIELD_NAME: ErrorCode = ErrorCode(52);
/// No plan can answer the query under the given hint.
pub const NO_QUERY_EXECUTION_PLANS: ErrorCode = ErrorCode(291);
/// The distinct values do not fit into one document.
pub const DISTINCT_TOO_LARGE: ErrorCode = ErrorCode(17217);
/// A filter gives a path two values where one document is to be made from it.
pub const NOT_SINGLE_VALUE_FIELD: ErrorCode = ErrorCode(54);
/// Views lead to views too often.
pub const VIEW_DEPTH_LIMIT_EXCEEDED: ErrorCode = ErrorCode(165);
/// A stage cannot be used here.
pub const INVALID_PIPELINE_OPERATOR: ErrorCode = ErrorCode(168);
/// `$merge` found no document to merge with.
pub const MERGE_STAGE_NO_MATCHING_DOCUMENT: ErrorCode = ErrorCode(13113);
