//! `compact`, `autoCompact` and `reIndex`: the storage engine compacts by itself, all the time.

use sheaf_document::DocumentBuilder;
use sheaf_engine::{Error, ErrorCode, Result};

use crate::arguments::BAD_VALUE;
use crate::lookup;
use crate::request::Request;

/// Something is on already, with another configuration.
const ALREADY_INITIALIZED: ErrorCode = ErrorCode(23);

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
    if target.is_some_and(|target| !(1..1 << 44).contains(&target)) {
        return Err(Error::new(BAD_VALUE, "autoCompact.freeSpaceTargetMB must be from 1 to 2^44 - 1"));
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
