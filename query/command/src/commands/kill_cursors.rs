//! `killCursors`: `{killCursors: collection, cursors: [long, ..]}`.

use sheaf_document::{DocumentBuilder, Value, ValueRef};
use sheaf_engine::Result;

use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let _namespace = request.namespace()?;
    let cursors = arguments.required("cursors", arguments.array("cursors")?)?;
    let mut ids: Vec<i64> = Vec::new();
    for (index, value) in cursors.iter().enumerate() {
        match value {
            ValueRef::Int64(id) => ids.push(id),
            ValueRef::Null | ValueRef::Undefined => {}
            other => {
                return Err(arguments.wrong_type(&format!("cursors.{index}"), other, "a 64-bit integer"));
            }
        }
    }
    arguments.finish()?;
    let outcome = request.commands().database().cursors().kill(&ids);
    let list = |ids: Vec<i64>| ids.into_iter().map(Value::Int64).collect::<Vec<_>>();
    let mut body = DocumentBuilder::new();
    body.append("cursorsKilled", list(outcome.killed))
        .append("cursorsNotFound", list(outcome.not_found))
        .append("cursorsAlive", Vec::<Value<'_>>::new())
        .append("cursorsUnknown", Vec::<Value<'_>>::new());
    Ok(body)
}
