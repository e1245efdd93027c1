//! `$documents`: documents out of an expression.

use sheaf_document::{RawDocument, RawDocumentBuf, Value, ValueRef};

use super::{PipelineContext, Stage};
use crate::expression::{Environment, Expression};
use crate::{Error, Result};

/// The expression does not give an array of documents.
const NOT_DOCUMENTS: i32 = 5_858_203;

pub(super) fn parse(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Vec<Stage>> {
    Ok(vec![Stage::Documents(Expression::parse(value, context.scope)?)])
}

/// The documents of a `$documents` stage.
pub fn evaluate(expression: &Expression, environment: &mut Environment) -> Result<Vec<RawDocumentBuf>> {
    let wrong = |value: &Value<'_>| {
        let reason =
            format!("$documents needs an array of documents, not a value of type {}", value.type_name());
        Error::location(NOT_DOCUMENTS, reason)
    };
    let array = match expression.evaluate(RawDocument::EMPTY, environment)? {
        Value::Array(array) => array,
        other => return Err(wrong(&other)),
    };
    array
        .into_items()
        .into_iter()
        .map(|item| item.as_document().map(RawDocument::to_buf).ok_or_else(|| wrong(&item)))
        .collect()
}
