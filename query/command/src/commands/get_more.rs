//! `getMore`: the next batch of a cursor.

use std::time::Duration;

use sheaf_document::{DOCUMENT_BYTES_MAX, DocumentBuilder, ValueRef};
use sheaf_engine::{AWAIT_DEFAULT, Error, Namespace, Result};

use crate::arguments::BAD_VALUE;
use crate::cursors::{batch_documents, registry_millis};
use crate::generic::max_time;
use crate::reply::append_cursor;
use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let id = match request.subject() {
        ValueRef::Int64(id) => id,
        ValueRef::Null | ValueRef::Undefined => return arguments.required("getMore", None),
        other => return Err(arguments.wrong_type("getMore", other, "a 64-bit integer")),
    };
    let collection = arguments.required("collection", arguments.string("collection")?)?;
    let batch_size = arguments.count("batchSize")?.filter(|size| *size > 0);
    let wait = max_time(arguments)?;
    // A given time of 0 is no wait at all, not one without a limit.
    let wait = wait.or(arguments.present("maxTimeMS").map(|_| Duration::ZERO));
    let _term = arguments.long("term")?;
    arguments.ignore(&["lastKnownCommittedOpTime", "includeQueryStatsMetrics"]);
    arguments.finish()?;
    let namespace = Namespace::new(request.database, collection)?;
    let registry = request.commands().database().cursors();
    let mut cursor = registry.take(id, request.cursor_owner(), &namespace)?;
    if wait.is_some() && !cursor.awaits_data() {
        registry.put_back(id, cursor, registry_millis());
        return Err(Error::new(BAD_VALUE, "getMore.maxTimeMS is for tailable cursors that await data"));
    }
    let documents = batch_size.map_or(usize::MAX, batch_documents);
    let patience = wait.unwrap_or(AWAIT_DEFAULT);
    let batch = match cursor.next_batch_within(documents, DOCUMENT_BYTES_MAX, patience) {
        Ok(batch) => batch,
        Err(error) => {
            registry.forget(id);
            return Err(error);
        }
    };
    let next_id = if cursor.is_exhausted() {
        registry.forget(id);
        0
    } else {
        registry.put_back(id, cursor, registry_millis());
        id
    };
    let mut body = DocumentBuilder::new();
    append_cursor(&mut body, "nextBatch", &batch.documents, next_id, &namespace.to_string(), None);
    Ok(body)
}
