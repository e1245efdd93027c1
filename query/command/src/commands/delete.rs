//! `delete`: `{delete: collection, deletes: [{q, limit, collation, hint}], ordered, let}`.

use sheaf_document::{DocumentBuilder, RawDocument};
use sheaf_engine::operation::DeleteOperation;
use sheaf_engine::{Error, Namespace, Result};

use crate::arguments::{Arguments, FAILED_TO_PARSE};
use crate::number::to_integer;
use crate::reply::append_write_errors;
use crate::request::{Request, collation, hint};
use crate::transaction::{check_single, statement_ids};
use crate::write_batch::{check_len, count_value, is_ordered, run_each};

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespace = request.namespace()?;
    crate::collection_uuid::check(request, &namespace)?;
    let deletes = arguments.required("deletes", arguments.documents("deletes")?)?;
    let ordered = is_ordered(arguments)?;
    let common = request.common()?;
    let statements = statement_ids(request, deletes.len())?;
    arguments.ignore(&["isTimeseries", "encryptionInformation"]);
    arguments.ignore(&["bypassDocumentValidation"]);
    arguments.finish()?;
    check_len("delete.deletes", deletes.len())?;
    let operations = deletes
        .into_iter()
        .enumerate()
        .map(|(index, statement)| {
            let mut operation = read_statement(&namespace, &format!("delete.deletes.{index}"), statement)?;
            operation.durability = request.durability();
            operation.statement = statements.get(index).copied();
            check_single(request, operation.multi)?;
            operation.common.max_time = common.max_time;
            operation.common.let_variables = common.let_variables;
            Ok(operation)
        })
        .collect::<Result<Vec<_>>>()?;
    let mut deleted = 0;
    let errors = run_each(operations, ordered, |_, operation| {
        deleted += request.session.engine().delete(&operation)?.deleted;
        Ok(())
    })?;
    let mut body = DocumentBuilder::new();
    body.append_value("n", &count_value(deleted));
    append_write_errors(&mut body, &errors);
    Ok(body)
}

/// Reads one element of `deletes`.
pub(crate) fn read_statement<'a>(
    namespace: &Namespace,
    scope: &str,
    statement: RawDocument<'a>,
) -> Result<DeleteOperation<'a>> {
    let arguments = Arguments::new(scope, statement)?;
    let filter = arguments.required("q", arguments.document("q")?)?;
    let limit = arguments.required("limit", arguments.value("limit"))?;
    let mut operation = DeleteOperation::new(namespace.clone(), filter);
    operation.multi = match to_integer(limit) {
        Some(0) => true,
        Some(1) => false,
        _ => {
            return Err(Error::new(FAILED_TO_PARSE, format!("{scope}.limit must be 0 or 1, not {limit:?}")));
        }
    };
    operation.hint = hint(&arguments)?;
    operation.common.collation = collation(&arguments)?;
    arguments.ignore(&["sampleId"]);
    arguments.finish()?;
    Ok(operation)
}
