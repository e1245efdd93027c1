//! What a command belongs to: its session's transaction, a write that is done once, a moment that is read.
//!
//! The rules that need no state are checked first ([`check`]); then the command runs on a session that is bound
//! ([`bind`]), and afterwards a transaction in which anything failed is aborted ([`settle`]).

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value, ValueRef};
use sheaf_engine::{Error, ErrorCode, Result, Timestamp, error_code};

use crate::arguments::Arguments;
use crate::codes::{
    INTERRUPTED_AT_SHUTDOWN, INVALID_OPTIONS, LOCK_TIMEOUT, NOT_A_RETRYABLE_WRITE,
    OPERATION_NOT_SUPPORTED_IN_TRANSACTION, SNAPSHOT_UNAVAILABLE,
};
use crate::command::{Command, Flag};
use crate::generic::Generic;
use crate::request::Request;
use crate::service::CommandSession;

/// Databases that no transaction reads or writes.
const SYSTEM_DATABASES: [&str; 3] = ["admin", "config", "local"];

/// Stages that cannot be part of a transaction.
const REFUSED_STAGES: [&str; 16] = [
    "$changeStream",
    "$collStats",
    "$currentOp",
    "$indexStats",
    "$listCatalog",
    "$listClusterCatalog",
    "$listLocalSessions",
    "$listSampledQueries",
    "$listSearchIndexes",
    "$listSessions",
    "$merge",
    "$out",
    "$planCacheStats",
    "$querySettings",
    "$shardedDataDistribution",
    "$unionWith",
];

fn unsupported(message: impl Into<String>) -> Error {
    Error::new(OPERATION_NOT_SUPPORTED_IN_TRANSACTION, message)
}

/// Whether the command ends transactions.
fn is_ending(command: &Command) -> bool {
    matches!(command.name, "abortTransaction" | "commitTransaction")
}

/// Checks what can be said without knowing the session.
pub(crate) fn check(command: &Command, database: &str, generic: &Generic<'_>) -> Result<()> {
    let name = command.name;
    if !generic.in_transaction {
        if generic.transaction_number.is_some() && !command.has(Flag::Retryable) {
            return Err(Error::new(
                NOT_A_RETRYABLE_WRITE,
                format!(
                    "txnNumber is for transactions and for writes that may be sent again; {name} is neither"
                ),
            ));
        }
        return Ok(());
    }
    if !command.has(Flag::Transaction) {
        return Err(unsupported(format!("{name} cannot be part of a transaction")));
    }
    let cannot_start = is_ending(command) || matches!(name, "getMore" | "killCursors");
    if generic.starts_transaction && cannot_start {
        return Err(unsupported(format!("{name} cannot start a transaction")));
    }
    if is_ending(command) {
        return Ok(());
    }
    if SYSTEM_DATABASES.contains(&database) && name != "bulkWrite" {
        return Err(unsupported(format!("a transaction cannot use the database \"{database}\"")));
    }
    if generic.has_write_concern {
        return Err(Error::new(
            INVALID_OPTIONS,
            "a write concern belongs to the end of a transaction, not to its operations",
        ));
    }
    if generic.has_read_concern && !generic.starts_transaction {
        return Err(Error::new(
            INVALID_OPTIONS,
            "a read concern belongs to the first operation of a transaction",
        ));
    }
    Ok(())
}

/// The session that the command runs on, if it is not the connection's own.
pub(crate) fn bind(
    session: &CommandSession,
    command: &Command,
    generic: &Generic<'_>,
) -> Result<Option<CommandSession>> {
    let engine = session.engine();
    let bound = match (generic.logical_session, generic.transaction_number) {
        _ if is_ending(command) => return Ok(None),
        (Some(id), Some(number)) if generic.in_transaction && generic.starts_transaction => {
            engine.begin_transaction(id, number, generic.at_cluster_time)
        }
        (Some(id), Some(number)) if generic.in_transaction => engine.continue_transaction(id, number),
        (Some(id), Some(number)) => engine.retryable(id, number),
        _ if generic.reads_snapshot => engine.at(generic.at_cluster_time),
        _ => return Ok(None),
    };
    bound.map(|bound| Some(session.bound(bound))).map_err(|error| with_labels(error, command, generic))
}

/// Finishes a command that ran on a bound session: whatever failed in a transaction aborts it.
pub(crate) fn settle(
    session: &CommandSession,
    command: &Command,
    generic: &Generic<'_>,
    outcome: Result<DocumentBuilder>,
) -> Result<DocumentBuilder> {
    let is_part = generic.in_transaction && !is_ending(command);
    let outcome = outcome.map(DocumentBuilder::build);
    let has_failed = match &outcome {
        Err(_) => true,
        Ok(body) => has_write_errors(body),
    };
    if let (true, true, Some(id), Some(number)) =
        (is_part, has_failed, generic.logical_session, generic.transaction_number)
        && let Err(error) = session.engine().abort_transaction(id, number)
        && error.code != error_code::NO_SUCH_TRANSACTION
    {
        return Err(error);
    }
    outcome.map(RawDocumentBuf::into_builder).map_err(|error| with_labels(error, command, generic))
}

/// Whether a write in it failed; `bulkWrite` counts them.
fn has_write_errors(body: &RawDocumentBuf) -> bool {
    let failed = body.as_raw().get("nErrors").and_then(crate::number::to_integer);
    body.as_raw().get("writeErrors").is_some() || failed.is_some_and(|failed| failed > 0)
}

/// Adds the labels by which clients know what they may do again.
fn with_labels(error: Error, command: &Command, generic: &Generic<'_>) -> Error {
    if error.details.is_some() {
        return error;
    }
    let is_shutdown = [error_code::SHUTDOWN_IN_PROGRESS, INTERRUPTED_AT_SHUTDOWN].contains(&error.code);
    let starts_again: [ErrorCode; 5] = [
        error_code::WRITE_CONFLICT,
        error_code::NO_SUCH_TRANSACTION,
        error_code::SNAPSHOT_TOO_OLD,
        SNAPSHOT_UNAVAILABLE,
        LOCK_TIMEOUT,
    ];
    let is_transient = starts_again.contains(&error.code) || (is_shutdown && !is_ending(command));
    let label = if generic.in_transaction && is_transient {
        "TransientTransactionError"
    } else if is_shutdown && generic.transaction_number.is_some() {
        "RetryableWriteError"
    } else {
        return error;
    };
    let mut details = DocumentBuilder::new();
    details.append_value("errorLabels", &Value::array(vec![Value::from(label)]));
    error.with_details(details.build())
}

/// Says which statements of a write had been done before: `retriedStmtIds`, or `retriedStmtId` of a command that has one.
pub(crate) fn append_retried(session: &CommandSession, command: &Command, body: &mut DocumentBuilder) {
    let retried = session.engine().retried_statements();
    match retried.as_slice() {
        [] => {}
        [only, ..] if command.name == "findAndModify" => {
            body.append("retriedStmtId", *only);
        }
        all => {
            body.array("retriedStmtIds", |ids| {
                for id in all {
                    ids.push(*id);
                }
            });
        }
    }
}

/// Refuses stages that cannot be part of a transaction, wherever they are in a pipeline.
pub(crate) fn check_pipeline(stages: &[ValueRef<'_>]) -> Result<()> {
    for stage in stages {
        let Some(element) = stage.as_document().and_then(|stage| stage.first()) else { continue };
        if REFUSED_STAGES.contains(&element.key()) {
            return Err(unsupported(format!("{} cannot be part of a transaction", element.key())));
        }
        let Some(argument) = element.value().as_document() else { continue };
        // Pipelines within stages: those of $lookup by name, those of $facet under any name.
        for field in argument {
            if let ValueRef::Array(inner) = field.value()
                && (field.key() == "pipeline" || element.key() == "$facet")
            {
                check_pipeline(&inner.iter().collect::<Vec<_>>())?;
            }
        }
    }
    Ok(())
}

/// A timestamp as replies have it.
pub(crate) fn timestamp_value(timestamp: Timestamp) -> Value<'static> {
    Value::Timestamp(sheaf_document::Timestamp::from_u64(timestamp.0))
}

/// The numbers of a command's statements, if it is a write that is done once; else none.
pub(crate) fn statement_ids(request: &Request<'_>, count: usize) -> Result<Vec<i32>> {
    let generic = &request.generic;
    let arguments = &request.arguments;
    let given = given_ids(arguments)?;
    if generic.in_transaction || generic.transaction_number.is_none() {
        return Ok(Vec::new());
    }
    match given {
        Some(ids) if ids.len() == count => Ok(ids),
        Some(ids) => Err(Error::new(
            INVALID_OPTIONS,
            format!("{} has {count} statements and {} numbers for them", request.name, ids.len()),
        )),
        None => {
            let first = arguments.integer("stmtId")?.unwrap_or(0);
            let first = i32::try_from(first).ok();
            let last =
                i32::try_from(count).ok().and_then(|count| first.and_then(|first| first.checked_add(count)));
            match (first, last) {
                (Some(first), Some(last)) => Ok((first..last).collect()),
                _ => Err(Error::new(INVALID_OPTIONS, "the numbers of statements must fit into 32 bits")),
            }
        }
    }
}

fn given_ids(arguments: &Arguments<'_>) -> Result<Option<Vec<i32>>> {
    let Some(array) = arguments.array("stmtIds")? else { return Ok(None) };
    if arguments.present("stmtId").is_some() {
        return Err(Error::new(INVALID_OPTIONS, "stmtId and stmtIds do not go together"));
    }
    let id = |value: ValueRef<'_>| match value {
        ValueRef::Int32(id) => Ok(id),
        other => Err(arguments.wrong_type("stmtIds", other, "an array of 32-bit integers")),
    };
    array.iter().map(id).collect::<Result<Vec<_>>>().map(Some)
}

/// Refuses a write to many documents among those that are done once.
pub(crate) fn check_single(request: &Request<'_>, multi: bool) -> Result<()> {
    let generic = &request.generic;
    if multi && !generic.in_transaction && generic.transaction_number.is_some() {
        return Err(Error::new(
            INVALID_OPTIONS,
            format!("{} with a txnNumber is done once, and so must be about one document each", request.name),
        ));
    }
    Ok(())
}
