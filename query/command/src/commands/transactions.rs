//! `commitTransaction` and `abortTransaction`.

use sheaf_document::DocumentBuilder;
use sheaf_engine::{Error, Result};

use crate::codes::COMMAND_FAILED;
use crate::request::Request;

pub(crate) fn commit(request: &Request<'_>) -> Result<DocumentBuilder> {
    let (id, number) = read(request)?;
    request.session.engine().commit_transaction(id, number, request.durability())?;
    Ok(DocumentBuilder::new())
}

pub(crate) fn abort(request: &Request<'_>) -> Result<DocumentBuilder> {
    let (id, number) = read(request)?;
    request.session.engine().abort_transaction(id, number)?;
    Ok(DocumentBuilder::new())
}

/// Which transaction of which session.
fn read<'a>(request: &Request<'a>) -> Result<(&'a [u8; 16], i64)> {
    // What a router gave a client to find its way; here there is one way.
    request.arguments.document("recoveryToken")?;
    request.arguments.finish()?;
    let generic = &request.generic;
    match (generic.logical_session, generic.transaction_number) {
        (Some(id), Some(number)) if generic.in_transaction => Ok((id, number)),
        _ => Err(Error::new(COMMAND_FAILED, format!("{} must be sent within a transaction", request.name))),
    }
}
