//! What every command may carry: comment, time limit, session, concerns, the stable API.

use std::time::Duration;

use sheaf_document::{RawDocument, ValueRef};
use sheaf_engine::{Durability, Error, Result, Timestamp, error_code};

use crate::arguments::{Arguments, BAD_VALUE, FAILED_TO_PARSE, TYPE_MISMATCH};
use crate::command::{Command, Flag};
use crate::concern;
use crate::number;
use crate::service::Commands;

/// Fields that clients and other servers attach and that mean nothing here.
const ATTACHED: [&str; 22] = [
    "$db",
    "$readPreference",
    "$clusterTime",
    "$client",
    "$audit",
    "$configServerState",
    "$configTime",
    "$topologyTime",
    "$queryOptions",
    "$replData",
    "$oplogQueryData",
    "$impersonatedUser",
    "allowImplicitCollectionCreation",
    "clientOperationKey",
    "databaseVersion",
    "shardVersion",
    "help",
    "maxTimeMSOpOnly",
    "mayBypassWriteBlocking",
    "requestGossipRoutingCache",
    "stmtId",
    "rawData",
];

/// The fields of the stable API.
const API_FIELDS: [&str; 3] = ["apiVersion", "apiStrict", "apiDeprecationErrors"];

/// Whether this field is attached by clients and means nothing.
pub(crate) fn is_attached(key: &str) -> bool {
    ATTACHED.contains(&key)
}

/// What was read of them.
#[derive(Debug, Default)]
pub(crate) struct Generic<'a> {
    /// How long the command may take.
    pub(crate) max_time: Option<Duration>,
    /// The id of the logical session.
    pub(crate) logical_session: Option<&'a [u8; 16]>,
    /// The number of the transaction or of the retryable write.
    pub(crate) transaction_number: Option<i64>,
    /// Whether the command belongs to a transaction.
    pub(crate) in_transaction: bool,
    /// Whether it begins that transaction.
    pub(crate) starts_transaction: bool,
    /// Whether a read concern was sent.
    pub(crate) has_read_concern: bool,
    /// Whether the read concern is `linearizable`.
    pub(crate) is_linearizable: bool,
    /// Whether all it reads is to be of one moment.
    pub(crate) reads_snapshot: bool,
    /// The moment to read, if the read concern says so.
    pub(crate) at_cluster_time: Option<Timestamp>,
    /// What an acknowledgement means, if the write concern says so.
    pub(crate) durability: Option<Durability>,
    /// Whether a write concern was sent.
    pub(crate) has_write_concern: bool,
    /// The level of the read concern, if one was sent.
    pub(crate) read_level: Option<&'a str>,
    /// Whether only commands and options of the stable API are allowed.
    pub(crate) api_strict: bool,
    /// Why the write concern cannot be satisfied after the write.
    pub(crate) write_concern_problem: Option<Error>,
}

/// Reads them from the arguments of a command.
pub(crate) fn read<'a>(
    commands: &Commands,
    command: &Command,
    arguments: &Arguments<'a>,
) -> Result<Generic<'a>> {
    arguments.ignore(&["comment"]);
    arguments.ignore(&ATTACHED);
    let mut generic = Generic { api_strict: api(arguments)?, ..Generic::default() };
    if generic.api_strict && !command.has(Flag::StableApi) {
        return Err(Error::new(
            crate::codes::API_STRICT_ERROR,
            format!("the command {} is not in API Version 1, the stable one", command.name),
        ));
    }
    if !command.has(Flag::OwnMaxTime) {
        generic.max_time = max_time(arguments)?;
    }
    crate::cluster_time::learn(commands, arguments)?;
    session(commands, arguments, &mut generic)?;
    if let Some(document) = arguments.document("readConcern")? {
        generic.has_read_concern = true;
        let read = concern::read(commands, command, &generic, document)?;
        generic.is_linearizable = read.is_linearizable;
        generic.reads_snapshot = read.is_snapshot;
        generic.at_cluster_time = read.at;
        generic.read_level = document.get("level").and_then(ValueRef::as_str);
    }
    if let Some(document) = arguments.document("writeConcern")? {
        generic.has_write_concern = true;
        let write = concern::read_write(commands, command, document)?;
        generic.durability = write.durability;
        generic.write_concern_problem = write.problem;
    }
    Ok(generic)
}

fn api(arguments: &Arguments<'_>) -> Result<bool> {
    let version = arguments.string("apiVersion")?;
    let strict = arguments.boolean("apiStrict")?;
    let deprecation_errors = arguments.boolean("apiDeprecationErrors")?;
    match version {
        Some("1") => Ok(strict.unwrap_or(false)),
        Some(other) => Err(Error::new(
            crate::codes::API_VERSION_ERROR,
            format!("the stable API has the version \"1\", not {other:?}"),
        )),
        None if strict.is_some() || deprecation_errors.is_some() => Err(Error::new(
            crate::codes::API_FIELDS_WITHOUT_VERSION,
            format!("{} belong together with apiVersion", API_FIELDS.join(", ")),
        )),
        None => Ok(false),
    }
}

/// The time limit: a whole number of milliseconds from 0 to 2^31 - 1.
pub(crate) fn max_time(arguments: &Arguments<'_>) -> Result<Option<Duration>> {
    let Some(value) = arguments.present("maxTimeMS") else { return Ok(None) };
    if !value.kind().is_number() {
        return Err(arguments.wrong_type("maxTimeMS", value, "a number"));
    }
    let Some(millis) = number::to_exact_integer(value) else {
        return Err(Error::new(FAILED_TO_PARSE, "maxTimeMS must be a whole number that fits into 64 bits"));
    };
    match u64::try_from(millis) {
        Ok(0) => Ok(None),
        Ok(millis) if millis <= i32::MAX.unsigned_abs().into() => Ok(Some(Duration::from_millis(millis))),
        _ => Err(Error::new(BAD_VALUE, format!("maxTimeMS must be from 0 to {}, but is {millis}", i32::MAX))),
    }
}

fn session<'a>(commands: &Commands, arguments: &Arguments<'a>, generic: &mut Generic<'a>) -> Result<()> {
    if let Some(id) = arguments.document("lsid")? {
        generic.logical_session = Some(session_id(id)?);
    }
    let number = arguments.long("txnNumber")?;
    let autocommit = arguments.boolean("autocommit")?;
    let start = arguments.boolean("startTransaction")?;
    arguments.ignore(&["txnRetryCounter"]);
    if let Some(id) = generic.logical_session {
        commands.sessions().owner(id);
        commands.database().use_logical_session(id)?;
    }
    let invalid = |message: &str| Err(Error::new(crate::codes::INVALID_OPTIONS, message));
    if number.is_some() && generic.logical_session.is_none() {
        return invalid("txnNumber needs a session (lsid)");
    }
    if number.is_none() && (autocommit.is_some() || start.is_some()) {
        return invalid("autocommit and startTransaction need txnNumber");
    }
    if autocommit == Some(true) {
        return invalid("autocommit may only be false");
    }
    if start == Some(false) {
        return invalid("startTransaction may only be true");
    }
    if start == Some(true) && autocommit.is_none() {
        return invalid("startTransaction needs autocommit: false");
    }
    if number.is_some_and(|number| number < 0) {
        return invalid("txnNumber must not be negative");
    }
    generic.transaction_number = number;
    generic.in_transaction = autocommit == Some(false);
    generic.starts_transaction = start == Some(true);
    if generic.transaction_number.is_some() && !commands.is_replica_set() {
        return Err(Error::new(
            error_code::ILLEGAL_OPERATION,
            "transaction numbers are only allowed on a replica set member",
        ));
    }
    Ok(())
}

/// The id in a session document `{id: UUID, ..}`.
pub(crate) fn session_id(document: RawDocument<'_>) -> Result<&[u8; 16]> {
    match document.get("id") {
        Some(ValueRef::Binary(binary)) if binary.subtype == 4 => {
            let len = binary.bytes.len();
            binary.bytes.try_into().map_err(|_| {
                Error::new(crate::codes::INVALID_UUID, format!("a session id has 16 bytes, not {len}"))
            })
        }
        Some(other) => Err(Error::new(
            TYPE_MISMATCH,
            format!("a session id must be a UUID, not of type {}", other.kind().name()),
        )),
        None => Err(Error::new(crate::arguments::MISSING_FIELD, "a session needs the field \"id\"")),
    }
}
