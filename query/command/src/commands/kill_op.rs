//! `killOp`: `{killOp: 1, op: number}`. The operation ends at its next check, as when its time is up.

use sheaf_document::DocumentBuilder;
use sheaf_engine::{Error, ErrorCode, Result};

use crate::arguments::BAD_VALUE;
use crate::number::to_exact_integer;
use crate::request::Request;

/// A field is missing.
const NO_SUCH_KEY: ErrorCode = ErrorCode(4);
/// The number of an operation does not fit into 32 bits.
const OUT_OF_RANGE: ErrorCode = ErrorCode(26823);

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let Some(op) = request.arguments.value("op") else {
        return Err(Error::new(NO_SUCH_KEY, "killOp needs the field \"op\""));
    };
    if !op.kind().is_number() {
        return Err(request.arguments.wrong_type("op", op, "a number"));
    }
    let Some(op) = to_exact_integer(op) else {
        return Err(Error::new(BAD_VALUE, "killOp.op must be a whole number"));
    };
    let Ok(op) = i32::try_from(op) else {
        return Err(Error::new(OUT_OF_RANGE, format!("killOp.op must fit into 32 bits, but is {op}")));
    };
    // One that has ended meanwhile is no error: the caller cannot know.
    let _was_there = request.commands().activity().kill(op);
    let mut body = DocumentBuilder::new();
    body.append("info", "attempting to kill op");
    Ok(body)
}
