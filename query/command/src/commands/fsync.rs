//! `fsync` and `fsyncUnlock`: syncs to disk, and keeps writes out meanwhile.
//!
//! Every acknowledged write of a durable database is synced already, so a flush has nothing left to do. While the
//! lock is held, commands that write wait; a few at a time, because each holds a thread, the others are refused.

use sheaf_document::DocumentBuilder;
use sheaf_engine::{Error, Result, error_code};

use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let lock = arguments
        .value("lock")
        .is_some_and(|value| !value.is_nullish() && crate::number::to_truth(value).unwrap_or(true));
    arguments.ignore(&["fsyncLockAcquisitionTimeoutMillis", "async"]);
    arguments.finish()?;
    let mut body = DocumentBuilder::new();
    if lock {
        let count = {
            let mut state = request.commands().state();
            state.fsync_locks = state.fsync_locks.saturating_add(1);
            state.fsync_locks
        };
        body.append("info", "writes are kept out until fsyncUnlock");
        body.append("lockCount", i64::from(count));
        body.append("seeAlso", "fsyncUnlock");
    } else {
        body.append("numFiles", 1);
    }
    Ok(body)
}

pub(crate) fn unlock(request: &Request<'_>) -> Result<DocumentBuilder> {
    // Further fields are no error, as in MongoDB.
    let commands = request.commands();
    let mut state = commands.state();
    let Some(left) = state.fsync_locks.checked_sub(1) else {
        return Err(Error::new(error_code::ILLEGAL_OPERATION, "fsyncUnlock: no lock is held"));
    };
    state.fsync_locks = left;
    drop(state);
    commands.tell_of_change();
    let mut body = DocumentBuilder::new();
    body.append("info", "unlocked").append("lockCount", i64::from(left));
    Ok(body)
}
