//! `$bucket`: a group by the interval that a value falls into, sorted. It is a `$group` whose key is a `$switch`.

use sheaf_document::{ArrayBuilder, DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef, compare};

use super::parse::document_argument;
use super::{Group, PipelineContext, Stage, group};
use crate::expression::Expression;
use crate::sort::SortSpec;
use crate::{Error, Result};

pub(super) fn parse(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Vec<Stage>> {
    let document = document_argument("$bucket", 40_201, value)?;
    for element in document {
        if !matches!(element.key(), "groupBy" | "boundaries" | "default" | "output") {
            return Err(Error::location(40_197, format!("$bucket has no argument '{}'", element.key())));
        }
    }
    let (Some(group_by), Some(boundaries)) = (document.get("groupBy"), document.get("boundaries")) else {
        return Err(Error::location(40_198, "$bucket needs 'groupBy' and 'boundaries'"));
    };
    check_group_by(group_by, 40_202, "$bucket")?;
    let boundaries = parse_boundaries(boundaries, context)?;
    let default = document.get("default").map(|value| constant(value, 40_195, context)).transpose()?;
    if let Some(default) = &default {
        check_default(default, &boundaries, context)?;
    }
    let key = switch(group_by, &boundaries, default.as_ref());
    let key = Expression::parse(ValueRef::Document(key.as_raw()), context.scope)?;
    let fields = output(document.get("output"), 40_196, "$bucket", context)?;
    let mut order = DocumentBuilder::new();
    order.append("_id", 1);
    let order = SortSpec::parse(order.build().as_raw(), context.scope)?;
    Ok(vec![Stage::Group(Box::new(Group::new(key, fields))), Stage::Sort(order)])
}

/// What a bucket is made of: a path or an expression.
pub(super) fn check_group_by(value: ValueRef<'_>, code: i32, name: &str) -> Result<()> {
    let fits = match value {
        ValueRef::String(text) => text.starts_with('$'),
        ValueRef::Document(document) => document.first().is_some_and(|first| first.key().starts_with('$')),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(Error::location(code, format!("the 'groupBy' of {name} is a path with a dollar or an expression")))
}

/// The fields of a bucket; a count if nothing else is asked for.
pub(super) fn output(
    value: Option<ValueRef<'_>>,
    code: i32,
    name: &str,
    context: &mut PipelineContext<'_>,
) -> Result<Vec<(Box<str>, crate::accumulator::AccumulatorSpec)>> {
    let mut count = DocumentBuilder::new();
    count.document("count", |sum| {
        sum.append("$sum", 1);
    });
    let count = count.build();
    let document = match value {
        None => count.as_raw(),
        Some(value) => document_argument(&format!("the 'output' of {name}"), code, value)?,
    };
    document.iter().map(|element| group::parse_field(element.key(), element.value(), context.scope)).collect()
}

fn constant(value: ValueRef<'_>, code: i32, context: &mut PipelineContext<'_>) -> Result<Value<'static>> {
    Expression::parse(value, context.scope)?
        .as_constant()
        .cloned()
        .ok_or_else(|| Error::location(code, "boundaries and default of $bucket are constants"))
}

fn parse_boundaries(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Vec<Value<'static>>> {
    let ValueRef::Array(array) = value else {
        let kind = value.kind().name();
        return Err(Error::location(
            40_200,
            format!("the 'boundaries' of $bucket are an array, not of type {kind}"),
        ));
    };
    let values: Vec<Value<'static>> =
        array.iter().map(|item| constant(item, 40_191, context)).collect::<Result<_>>()?;
    if values.len() < 2 {
        return Err(Error::location(40_192, "$bucket needs at least two boundaries"));
    }
    let collator = context.scope.collator().cloned();
    for (lower, upper) in values.iter().zip(values.iter().skip(1)) {
        if order_class(lower) != order_class(upper) {
            return Err(Error::location(
                40_193,
                "the boundaries of $bucket are of one type (numbers are one)",
            ));
        }
        if compare(lower, upper, collator.as_deref()).is_ge() {
            return Err(Error::location(40_194, "the boundaries of $bucket grow from each to the next"));
        }
    }
    Ok(values)
}

fn order_class(value: &Value<'_>) -> Option<u8> {
    value.kind().map(sheaf_document::BsonType::order)
}

/// The default must fall outside of all buckets.
fn check_default(
    default: &Value<'_>,
    boundaries: &[Value<'static>],
    context: &PipelineContext<'_>,
) -> Result<()> {
    let collator = context.scope.collator().cloned();
    let (Some(first), Some(last)) = (boundaries.first(), boundaries.last()) else { return Ok(()) };
    let below = compare(default, first, collator.as_deref()).is_lt();
    let above = compare(default, last, collator.as_deref()).is_ge();
    if below || above || order_class(default) != order_class(first) {
        return Ok(());
    }
    Err(Error::location(40_199, "the default of $bucket lies outside of its boundaries"))
}

/// `{$switch: {branches: [{case: {$and: [{$gte: [e, low]}, {$lt: [e, high]}]}, then: low}, ...], default}}`.
fn switch(
    group_by: ValueRef<'_>,
    boundaries: &[Value<'static>],
    default: Option<&Value<'static>>,
) -> RawDocumentBuf {
    let comparison = |name: &str, bound: &Value<'_>| -> RawDocumentBuf {
        let mut operands = ArrayBuilder::new();
        operands.push_ref(group_by).push(literal(bound));
        let mut comparison = DocumentBuilder::new();
        comparison.append_ref(name, ValueRef::Array(operands.build().as_raw_array()));
        comparison.build()
    };
    let mut switch = DocumentBuilder::new();
    switch.document("$switch", |arguments| {
        arguments.array("branches", |branches| {
            for (low, high) in boundaries.iter().zip(boundaries.iter().skip(1)) {
                branches.document(|branch| {
                    branch.document("case", |case| {
                        case.array("$and", |both| {
                            both.push(comparison("$gte", low)).push(comparison("$lt", high));
                        });
                    });
                    branch.append("then", literal(low));
                });
            }
        });
        if let Some(default) = default {
            arguments.append("default", literal(default));
        }
    });
    switch.build()
}

fn literal(value: &Value<'_>) -> RawDocumentBuf {
    let mut literal = DocumentBuilder::new();
    literal.append_value("$literal", value);
    debug_assert!(literal.len_bytes() > RawDocument::EMPTY.len_bytes(), "a boundary is a value");
    literal.build()
}
