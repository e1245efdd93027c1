//! `getLog`: the newest lines of the log.

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
    } else if name == "global" {
        let (written, lines) = request.commands().log().newest();
        append(&mut body, written, lines);
    } else if name == "startupWarnings" {
        let lines = request.commands().log().startup_warnings();
        append(&mut body, u64::try_from(lines.len()).unwrap_or(u64::MAX), lines);
    } else {
        return Err(Error::new(OPERATION_FAILED, format!("there is no log {name:?}")));
    }
    Ok(body)
}

fn append(body: &mut DocumentBuilder, written: u64, lines: Vec<String>) {
    body.append("totalLinesWritten", i32::try_from(written).unwrap_or(i32::MAX));
    body.append("log", lines.into_iter().map(Value::from).collect::<Vec<_>>());
}
