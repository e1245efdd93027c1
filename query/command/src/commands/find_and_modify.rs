//! `findAndModify`: changes one document and returns it, as it was or as it is.

use sheaf_document::{DocumentBuilder, RawDocument, Value, ValueRef};
use sheaf_engine::operation::{FindAndModifyOperation, FindAndModifyOutcome, Modification, ReturnedDocument};
use sheaf_engine::{Error, Namespace, Result};

use crate::arguments::{Arguments, FAILED_TO_PARSE};
use crate::request::{Request, collation, hint};
use crate::transaction::statement_ids;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    crate::collection_uuid::check(request, &namespace)?;
    let mut operation = read(&request.arguments, namespace)?;
    operation.common.max_time = request.generic.max_time;
    operation.durability = request.durability();
    operation.statement = statement_ids(request, 1)?.first().copied();
    request.arguments.finish()?;
    let is_remove = matches!(operation.modification, Modification::Remove);
    let outcome = request.session.engine().find_and_modify(&operation)?;
    Ok(answer(&outcome, is_remove))
}

/// Reads everything that is particular to `findAndModify`.
pub(crate) fn read<'a>(
    arguments: &Arguments<'a>,
    namespace: Namespace,
) -> Result<FindAndModifyOperation<'a>> {
    let filter = arguments.document("query")?.unwrap_or(RawDocument::EMPTY);
    let remove = arguments.flag("remove")?.unwrap_or(false);
    let new = arguments.flag("new")?.unwrap_or(false);
    let upsert = arguments.flag("upsert")?.unwrap_or(false);
    let update = arguments.present("update");
    let array_filters = arguments.documents("arrayFilters")?;
    let modification = modification(remove, new, upsert, update)?;
    if remove && array_filters.is_some() {
        return Err(refused("remove and arrayFilters do not go together"));
    }
    let mut operation = FindAndModifyOperation::new(namespace, filter, modification);
    operation.sort = arguments.document("sort")?;
    operation.returned = if new { ReturnedDocument::After } else { ReturnedDocument::Before };
    operation.projection = arguments.document("fields")?;
    operation.array_filters = array_filters.unwrap_or_default();
    operation.hint = hint(arguments)?;
    operation.bypass_document_validation = arguments.flag("bypassDocumentValidation")?.unwrap_or(false);
    operation.common.let_variables = arguments.document("let")?;
    operation.common.collation = collation(arguments)?;
    arguments.ignore(&["encryptionInformation", "stmtId", "sampleId"]);
    Ok(operation)
}

fn refused(message: &str) -> Error {
    Error::new(FAILED_TO_PARSE, format!("findAndModify: {message}"))
}

fn modification<'a>(
    remove: bool,
    new: bool,
    upsert: bool,
    update: Option<ValueRef<'a>>,
) -> Result<Modification<'a>> {
    match (remove, update) {
        (true, Some(_)) => Err(refused("remove and update do not go together")),
        (true, None) if upsert => Err(refused("remove and upsert do not go together")),
        (true, None) if new => {
            Err(refused("a document that is removed cannot be returned as it is afterwards"))
        }
        (true, None) => Ok(Modification::Remove),
        (false, None) => Err(refused("either update or remove is needed")),
        (false, Some(update @ (ValueRef::Document(_) | ValueRef::Array(_)))) => {
            Ok(Modification::Update { update, upsert })
        }
        (false, Some(other)) => Err(refused(&format!(
            "update must be a document or an array of stages, not of type {}",
            other.kind().name()
        ))),
    }
}

fn answer(outcome: &FindAndModifyOutcome, is_remove: bool) -> DocumentBuilder {
    let mut body = DocumentBuilder::new();
    body.document("lastErrorObject", |last| {
        last.append("n", i32::from(outcome.matched || outcome.upserted_id.is_some()));
        if !is_remove {
            last.append("updatedExisting", outcome.matched);
        }
        if let Some(id) = &outcome.upserted_id {
            last.append_value("upserted", id);
        }
    });
    match &outcome.document {
        Some(document) => body.append("value", document.as_raw()),
        None => body.append_value("value", &Value::Null),
    };
    body
}
