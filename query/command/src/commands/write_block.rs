//! `setUserWriteBlockMode`: refuses writes of users until it is switched off again.

use sheaf_document::{DocumentBuilder, ValueRef};
use sheaf_engine::{Error, Result, error_code};

use crate::arguments::BAD_VALUE;
use crate::request::Request;

/// Why writes may be blocked.
const REASONS: [&str; 5] = [
    "Unspecified",
    "ClusterToClusterMigrationInProgress",
    "DiskUseThresholdExceeded",
    "DiskThresholdExceeded",
    "UserRequested",
];

pub(crate) fn set(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let global = arguments.required("global", arguments.boolean("global")?)?;
    let reason = arguments.string("reason")?.unwrap_or("Unspecified");
    arguments.finish()?;
    if !request.commands().is_replica_set() {
        return Err(Error::new(error_code::ILLEGAL_OPERATION, "setUserWriteBlockMode needs a replica set"));
    }
    let Some(reason) = REASONS.into_iter().find(|known| *known == reason) else {
        return Err(Error::new(BAD_VALUE, format!("setUserWriteBlockMode.reason does not know {reason:?}")));
    };
    let mut state = request.commands().state();
    if let Some(known) = state.write_block
        && known != reason
    {
        return Err(Error::new(
            error_code::ILLEGAL_OPERATION,
            format!("writes are blocked for another reason: {known}"),
        ));
    }
    state.write_block = global.then_some(reason);
    Ok(DocumentBuilder::new())
}

/// Refuses a write while writes are blocked.
pub(crate) fn check(request: &Request<'_>) -> Result<()> {
    match request.commands().state().write_block {
        Some(reason) if !matches!(request.database, "admin" | "local" | "config") => Err(Error::new(
            crate::codes::USER_WRITES_BLOCKED,
            format!("writes of users are blocked ({reason})"),
        )),
        _ => Ok(()),
    }
}

/// Whether a pipeline ends in a stage that writes.
pub(crate) fn writes(pipeline: &[ValueRef<'_>]) -> bool {
    pipeline
        .last()
        .and_then(|stage| stage.as_document())
        .and_then(|stage| stage.first())
        .is_some_and(|stage| matches!(stage.key(), "$out" | "$merge"))
}
