//! `getLog`: the lines of the log. They go to standard error as they happen; none are kept here.

use sheaf_document::{DocumentBuilder, Value, ValueRef};
use sheaf_engine::{Error, ErrorCode, Result};

use crate::request::Request;

/// The log that was asked for does not exist.
const OPERATION_FAILED: ErrorCode = ErrorCode(96);

const LOGS: [&str; 2] = ["global", "startupWarnings"];

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let name = match request.subject() {
        ValueRef::String(name) => name,
        ValueRef::Null | ValueRef::Undefined => return request.arguments.required("getLog", None),
        other => return Err(request.arguments.wrong_type("getLog", other, "a string")),
    };
    request.arguments.finish()?;
    let mut body = DocumentBuilder::new();
    if name == "*" {
        body.append("names", LOGS.into_iter().map(Value::from).collect::<Vec<_>>());
    } else if LOGS.contains(&name) {
        body.append("totalLinesWritten", 0).append("log", Vec::<Value<'_>>::new());
    } else {
        return Err(Error::new(OPERATION_FAILED, format!("there is no log {name:?}")));
    }
    Ok(body)
}
