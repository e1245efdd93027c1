//! `update`: `{update: collection, updates: [{q, u, c, multi, upsert, collation, arrayFilters, hint, sort}], ordered, let}`.

use sheaf_document::{DocumentBuilder, RawDocument, Value, ValueRef};
use sheaf_engine::operation::UpdateOperation;
use sheaf_engine::{Error, Namespace, Result};

use crate::arguments::{Arguments, FAILED_TO_PARSE};
use crate::reply::append_write_errors;
use crate::request::{Request, collation, hint};
use crate::transaction::{check_single, statement_ids};
use crate::write_batch::{check_len, count_value, is_ordered, run_each};

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespace = request.namespace()?;
    crate::collection_uuid::check(request, &namespace)?;
    let updates = arguments.required("updates", arguments.documents("updates")?)?;
    let ordered = is_ordered(arguments)?;
    let bypass = arguments.flag("bypassDocumentValidation")?.unwrap_or(false);
    let common = request.common()?;
    let statements = statement_ids(request, updates.len())?;
    arguments.ignore(&["isTimeseries", "encryptionInformation"]);
    arguments.finish()?;
    check_len("update.updates", updates.len())?;
    let operations = updates
        .into_iter()
        .enumerate()
        .map(|(index, statement)| {
            let mut operation = read_statement(&namespace, &format!("update.updates.{index}"), statement)?;
            operation.bypass_document_validation = bypass;
            operation.durability = request.durability();
            operation.statement = statements.get(index).copied();
            check_single(request, operation.multi)?;
            operation.common.max_time = common.max_time;
            operation.common.let_variables = operation.common.let_variables.or(common.let_variables);
            Ok(operation)
        })
        .collect::<Result<Vec<_>>>()?;
    let (mut matched, mut modified) = (0, 0);
    let mut upserted: Vec<(usize, Value<'static>)> = Vec::new();
    let errors = run_each(operations, ordered, |index, operation| {
        let outcome = request.session.engine().update(&operation)?;
        matched += outcome.matched;
        modified += outcome.modified;
        if let Some(id) = outcome.upserted_id {
            upserted.push((index, id));
        }
        Ok(())
    })?;
    let mut body = DocumentBuilder::new();
    body.append_value("n", &count_value(matched + u64::try_from(upserted.len()).unwrap_or(0)));
    if !upserted.is_empty() {
        body.array("upserted", |array| {
            for (index, id) in &upserted {
                array.document(|item| {
                    item.append("index", i32::try_from(*index).unwrap_or(i32::MAX)).append_value("_id", id);
                });
            }
        });
    }
    body.append_value("nModified", &count_value(modified));
    append_write_errors(&mut body, &errors);
    Ok(body)
}

/// Reads one element of `updates`.
pub(crate) fn read_statement<'a>(
    namespace: &Namespace,
    scope: &str,
    statement: RawDocument<'a>,
) -> Result<UpdateOperation<'a>> {
    let arguments = Arguments::new(scope, statement)?;
    let filter = arguments.required("q", arguments.document("q")?)?;
    let update = arguments.required("u", arguments.value("u"))?;
    check_update(&arguments, update)?;
    let mut operation = UpdateOperation::new(namespace.clone(), filter, update);
    operation.multi = arguments.flag("multi")?.unwrap_or(false);
    operation.upsert = arguments.flag("upsert")?.unwrap_or(false);
    operation.sort = arguments.document("sort")?;
    if operation.multi && operation.sort.is_some() {
        return Err(Error::new(FAILED_TO_PARSE, format!("{scope}: sort and multi do not go together")));
    }
    operation.array_filters = arguments.documents("arrayFilters")?.unwrap_or_default();
    operation.hint = hint(&arguments)?;
    operation.common.collation = collation(&arguments)?;
    let constants = arguments.document("c")?;
    arguments.ignore(&["upsertSupplied", "sampleId", "allowShardKeyUpdatesWithoutFullShardKeyInQuery"]);
    arguments.finish()?;
    if constants.is_some() && !matches!(update, ValueRef::Array(_)) {
        return Err(Error::new(
            sheaf_engine::ErrorCode(51198),
            format!("{scope}.c is for updates that are pipelines"),
        ));
    }
    operation.common.let_variables = constants;
    Ok(operation)
}

/// An update is a document or an array of stages.
pub(crate) fn check_update(arguments: &Arguments<'_>, update: ValueRef<'_>) -> Result<()> {
    match update {
        ValueRef::Document(_) | ValueRef::Array(_) => Ok(()),
        other => Err(Error::new(
            FAILED_TO_PARSE,
            format!(
                "{}.u must be a document or an array of stages, not of type {}",
                arguments.scope(),
                other.kind().name()
            ),
        )),
    }
}
