//! `count`: how many documents match.

use sheaf_document::{DocumentBuilder, RawDocument};
use sheaf_engine::operation::CountOperation;
use sheaf_engine::{Error, Namespace, Result};

use crate::arguments::{Arguments, BAD_VALUE, FAILED_TO_PARSE};
use crate::number::to_exact_integer;
use crate::request::{Request, collation, hint};
use crate::write_batch::count_value;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    crate::collection_uuid::check(request, &namespace)?;
    let mut operation = read(&request.arguments, namespace)?;
    operation.common.max_time = request.generic.max_time;
    request.arguments.finish()?;
    let count = request.session.engine().count(&operation)?;
    let mut body = DocumentBuilder::new();
    body.append_value("n", &count_value(count));
    Ok(body)
}

/// Reads everything that is particular to `count`.
pub(crate) fn read<'a>(arguments: &Arguments<'a>, namespace: Namespace) -> Result<CountOperation<'a>> {
    let filter = arguments.document("query")?.unwrap_or(RawDocument::EMPTY);
    let mut operation = CountOperation::new(namespace, filter);
    operation.limit = limit(arguments)?;
    operation.skip = arguments.count("skip")?.unwrap_or(0);
    operation.hint = hint(arguments)?;
    operation.common.collation = collation(arguments)?;
    arguments.ignore(&["fields", "encryptionInformation", "queryOptions"]);
    Ok(operation)
}

/// The limit: any whole number; its sign does not matter, 0 is none.
fn limit(arguments: &Arguments<'_>) -> Result<Option<u64>> {
    let Some(value) = arguments.present("limit") else { return Ok(None) };
    let refused =
        |code, what: &str| Err(Error::new(code, format!("count.limit must be {what}, not {value:?}")));
    if !value.kind().is_number() {
        return refused(BAD_VALUE, "a number");
    }
    match to_exact_integer(value) {
        None => refused(FAILED_TO_PARSE, "a whole number that fits into 64 bits"),
        Some(i64::MIN) => refused(BAD_VALUE, "above the smallest 64-bit integer"),
        Some(0) => Ok(None),
        Some(limit) => Ok(Some(limit.unsigned_abs())),
    }
}
