//! `getDefaultRWConcern` and `setDefaultRWConcern`: concerns of commands that send none.
//!
//! One member keeps every level it accepts, so a default changes what is shown, and the durability asked of writes
//! only by the levels a single member can tell apart.

use sheaf_document::{DocumentBuilder, RawDocument, Timestamp, Value};
use sheaf_engine::{Error, ErrorCode, Result};

use crate::arguments::{Arguments, BAD_VALUE};
use crate::clock::now_millis;
use crate::request::Request;

/// The command is for replica sets.
const NOT_ON_STANDALONE: ErrorCode = ErrorCode(51300);
/// The command is for replica sets.
const NOT_SETTABLE_ON_STANDALONE: ErrorCode = ErrorCode(51301);

pub(crate) fn get(request: &Request<'_>) -> Result<DocumentBuilder> {
    let in_memory = request.arguments.boolean("inMemory")?;
    request.arguments.finish()?;
    if !request.commands().is_replica_set() {
        return Err(Error::new(NOT_ON_STANDALONE, "getDefaultRWConcern needs a replica set"));
    }
    let mut body = DocumentBuilder::new();
    append(request, &mut body);
    if in_memory == Some(true) {
        body.append("inMemory", true);
    }
    Ok(body)
}

pub(crate) fn set(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let read = arguments.document("defaultReadConcern")?;
    let write = arguments.document("defaultWriteConcern")?;
    arguments.finish()?;
    if !request.commands().is_replica_set() {
        return Err(Error::new(NOT_SETTABLE_ON_STANDALONE, "setDefaultRWConcern needs a replica set"));
    }
    if read.is_none() && write.is_none() {
        return Err(Error::new(BAD_VALUE, "setDefaultRWConcern needs a default to set"));
    }
    if let Some(read) = read {
        check_read(read)?;
    }
    {
        let mut state = request.commands().state();
        let defaults = &mut state.default_concerns;
        if let Some(read) = read {
            defaults.read = (!read.is_empty()).then(|| read.to_buf());
        }
        if let Some(write) = write {
            if write.is_empty() && defaults.write.is_some() {
                return Err(Error::new(
                    sheaf_engine::error_code::ILLEGAL_OPERATION,
                    "the default write concern cannot be unset once it was set",
                ));
            }
            defaults.write = (!write.is_empty()).then(|| write.to_buf());
        }
        defaults.updated_millis = Some(now_millis());
    }
    let mut body = DocumentBuilder::new();
    append(request, &mut body);
    Ok(body)
}

fn check_read(document: RawDocument<'_>) -> Result<()> {
    let arguments = Arguments::new("defaultReadConcern", document)?;
    let level = arguments.string("level")?;
    arguments.finish()?;
    match level {
        None | Some("local" | "available" | "majority") => Ok(()),
        Some(other) => Err(Error::new(BAD_VALUE, format!("{other:?} cannot be the default read concern"))),
    }
}

fn append(request: &Request<'_>, body: &mut DocumentBuilder) {
    let defaults = request.commands().state().default_concerns.clone();
    let source = |set: bool| if set { "global" } else { "implicit" };
    match &defaults.read {
        Some(read) => body.append("defaultReadConcern", read.as_raw()),
        None => body.document("defaultReadConcern", |read| {
            read.append("level", "local");
        }),
    };
    match &defaults.write {
        Some(write) => {
            let mut write = write.clone().into_builder();
            if defaults.write.as_ref().is_some_and(|write| write.as_raw().get("wtimeout").is_none()) {
                write.append("wtimeout", 0);
            }
            body.append("defaultWriteConcern", write.build())
        }
        None => body.document("defaultWriteConcern", |write| {
            write.append("w", "majority").append("wtimeout", 0);
        }),
    };
    if let Some(millis) = defaults.updated_millis {
        let seconds = u32::try_from(millis / 1000).unwrap_or(u32::MAX);
        body.append("updateOpTime", Timestamp { seconds, increment: 1 });
        body.append_value("updateWallClockTime", &Value::DateTime(millis));
    }
    body.append("defaultWriteConcernSource", source(defaults.write.is_some()));
    body.append("defaultReadConcernSource", source(defaults.read.is_some()));
    body.append_value("localUpdateWallClockTime", &Value::DateTime(now_millis()));
}
