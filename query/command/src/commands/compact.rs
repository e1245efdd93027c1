//! `compact`, `autoCompact` and `reIndex`: the storage engine compacts by itself, all the time.

use sheaf_document::DocumentBuilder;
use sheaf_engine::{Error, ErrorCode, Result};

use crate::arguments::BAD_VALUE;
use crate::lookup;
use crate::request::Request;

/// Something is on already, with another configuration.
const ALREADY_INITIALIZED: ErrorCode = ErrorCode(23);

/// Megabytes whose bytes do not fit into 64 bits.
const TARGET_END: i64 = 1 << 43;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespace = request.namespace()?;
    let dry_run = arguments.flag("dryRun")?.unwrap_or(false);
    arguments.ignore(&["force", "freeSpaceTargetMB", "runOnPrimary"]);
    arguments.finish()?;
    let info = lookup::existing(request, &namespace)?;
    lookup::refuse_view(request, &namespace, &info)?;
    let mut body = DocumentBuilder::new();
    body.append(if dry_run { "estimatedBytesFreed" } else { "bytesFreed" }, 0);
    Ok(body)
}

pub(crate) fn automatic(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let subject = request.subject();
    let sheaf_document::ValueRef::Boolean(enable) = subject else {
        return Err(arguments.wrong_type("autoCompact", subject, "a boolean"));
    };
    let target = arguments.integer("freeSpaceTargetMB")?;
    let once = arguments.flag("runOnce")?.unwrap_or(false);
    arguments.finish()?;
    // The target in bytes must fit into 64 bits, if it is to be used.
    let end = if enable { TARGET_END } else { 2 * TARGET_END };
    if target.is_some_and(|target| !(1..end).contains(&target)) {
        return Err(Error::new(
            BAD_VALUE,
            format!("autoCompact.freeSpaceTargetMB must be from 1 to {}", end - 1),
        ));
    }
    let configuration = (target.unwrap_or(20), once);
    let mut state = request.commands().state();
    match state.automatic_compaction {
        Some(known) if enable && known != configuration => {
            return Err(Error::new(ALREADY_INITIALIZED, "autoCompact is on with another configuration"));
        }
        _ => state.automatic_compaction = enable.then_some(configuration),
    }
    Ok(DocumentBuilder::new())
}
