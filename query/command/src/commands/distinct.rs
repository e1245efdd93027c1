//! `distinct`: the distinct values of a field.

use sheaf_document::{DocumentBuilder, RawDocument};
use sheaf_engine::operation::{CollectionKind, DistinctOperation};
use sheaf_engine::{Error, ErrorCode, Namespace, Result};

use crate::arguments::Arguments;
use crate::request::{Request, collation, hint};

/// A key has a NUL character.
const KEY_HAS_NUL: ErrorCode = ErrorCode(31032);

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    crate::collection_uuid::check(request, &namespace)?;
    let mut operation = read(&request.arguments, namespace)?;
    operation.common.max_time = request.generic.max_time;
    request.arguments.finish()?;
    if let (None, Some(settings)) = (operation.hint, &request.settings) {
        operation.hint = settings.hint(request, &operation.namespace, operation.filter)?;
    }
    let values = request.session.engine().distinct(&operation)?;
    let mut body = DocumentBuilder::new();
    body.append("values", values);
    if let Some(moment) = request.session.engine().moment() {
        body.append_value("atClusterTime", &crate::transaction::timestamp_value(moment));
    }
    // Through a view the values come out of a pipeline, whose reply says `ok` as an int; clients see the difference.
    let info = crate::lookup::find(request, &operation.namespace)?;
    if info.is_some_and(|info| info.kind != CollectionKind::Collection) {
        body.append("ok", 1);
    }
    Ok(body)
}

/// Reads everything that is particular to `distinct`.
pub(crate) fn read<'a>(arguments: &Arguments<'a>, namespace: Namespace) -> Result<DistinctOperation<'a>> {
    let key = arguments.required("key", arguments.string("key")?)?;
    if key.contains('\0') {
        return Err(Error::new(KEY_HAS_NUL, "distinct.key must not have a NUL character"));
    }
    let filter = arguments.document("query")?.unwrap_or(RawDocument::EMPTY);
    let mut operation = DistinctOperation::new(namespace, key, filter);
    operation.hint = hint(arguments)?;
    operation.common.collation = collation(arguments)?;
    arguments.ignore(&["collectionUUID", "encryptionInformation"]);
    Ok(operation)
}
