//! `find`: a filter in, a cursor out.

use sheaf_document::{DocumentBuilder, RawDocument, ValueRef};
use sheaf_engine::operation::FindOperation;
use sheaf_engine::{Error, Namespace, Result};

use crate::arguments::{Arguments, BAD_VALUE, FAILED_TO_PARSE};
use crate::cursors::{Delivery, FIRST_BATCH_DOCUMENTS, batch_documents, deliver};
use crate::request::{Request, collation, hint};

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    crate::collection_uuid::check(request, &namespace)?;
    let name = namespace.to_string();
    let (mut operation, delivery) = read(&request.arguments, namespace)?;
    operation.common.max_time = request.generic.max_time;
    request.arguments.finish()?;
    if let (None, Some(settings)) = (operation.hint, &request.settings) {
        operation.hint = settings.hint(request, &operation.namespace, operation.filter)?;
    }
    let cursor = request.session.engine().find(&operation)?;
    deliver(request, cursor, &name, delivery)
}

/// Reads everything that is particular to `find`.
pub(crate) fn read<'a>(
    arguments: &Arguments<'a>,
    namespace: Namespace,
) -> Result<(FindOperation<'a>, Delivery)> {
    if matches!(arguments.value("filter"), Some(ValueRef::Null)) {
        return Err(arguments.wrong_type("filter", ValueRef::Null, "a document"));
    }
    let filter = arguments.document("filter")?.unwrap_or(RawDocument::EMPTY);
    let mut operation = FindOperation::new(namespace, filter);
    operation.projection = arguments.document("projection")?;
    operation.sort = arguments.document("sort")?;
    operation.hint = hint(arguments)?;
    operation.skip = arguments.count("skip")?.unwrap_or(0);
    operation.limit = arguments.count("limit")?.filter(|limit| *limit > 0);
    operation.min = arguments.document("min")?.filter(|bound| !bound.is_empty());
    operation.max = arguments.document("max")?.filter(|bound| !bound.is_empty());
    operation.return_key = arguments.flag("returnKey")?.unwrap_or(false);
    operation.show_record_id = arguments.flag("showRecordId")?.unwrap_or(false);
    operation.tailable = arguments.flag("tailable")?.unwrap_or(false);
    operation.allow_disk_use = arguments.boolean("allowDiskUse")?;
    operation.common.let_variables = arguments.document("let")?;
    operation.common.collation = collation(arguments)?;
    operation.await_data = arguments.flag("awaitData")?.unwrap_or(false);
    let single_batch = arguments.flag("singleBatch")?.unwrap_or(false);
    let batch_size = arguments.count("batchSize")?;
    let never_times_out = arguments.flag("noCursorTimeout")?.unwrap_or(false);
    arguments.ignore(&["oplogReplay", "allowPartialResults", "encryptionInformation"]);
    arguments.ignore(&["$_requestResumeToken", "includeQueryStatsMetrics"]);
    if operation.await_data && !operation.tailable {
        return Err(Error::new(FAILED_TO_PARSE, "find.awaitData needs a tailable cursor"));
    }
    if operation.tailable && single_batch {
        return Err(Error::new(BAD_VALUE, "a tailable cursor cannot be of a single batch"));
    }
    let batch = batch_size.map_or(FIRST_BATCH_DOCUMENTS, batch_documents);
    Ok((operation, Delivery { batch_documents: batch, single_batch, never_times_out }))
}
