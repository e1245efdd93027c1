//! Reading a filter document into a [`Predicate`]: clauses of a document, and logical operators.

use std::sync::Arc;

use sheaf_document::{BsonType, RawArray, RawDocument, Value, ValueRef};

use super::comparison::{Comparison, ComparisonOperator};
use super::path::FieldPath;
use super::predicate::{Condition, ExpressionTest, Predicate};
use super::{operators, regular::RegexTest};
use crate::expression::{Expression, Scope};
use crate::json_schema::Schema;
use crate::text::{TextQuery, TextSearch};
use crate::{Error, ErrorCode, Result};

/// Where a clause stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// It speaks of the whole document.
    Document,
    /// It speaks of an array's element, inside `$elemMatch`.
    Element,
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::BAD_VALUE, message)
}

/// Reads the clauses of a document; all of them must hold.
pub(super) fn clauses(document: RawDocument<'_>, level: Level, scope: &mut Scope) -> Result<Predicate> {
    let mut list = Vec::new();
    for element in document {
        let (key, value) = (element.key(), element.value());
        if key.starts_with('$') && !(level == Level::Element && is_reference_key(key)) {
            list.extend(document_operator(key, value, level, scope)?);
        } else {
            field(&FieldPath::parse(key), value, scope, &mut list)?;
        }
    }
    Ok(Predicate::all(list))
}

/// Reads one field's clause: a value to equal, a regular expression, or operators.
fn field(path: &FieldPath, value: ValueRef<'_>, scope: &mut Scope, list: &mut Vec<Predicate>) -> Result<()> {
    match value {
        ValueRef::Regex(regex) => {
            let test = RegexTest::compile(regex.pattern, regex.options)?;
            list.push(Predicate::field(path, Condition::Regex(test)));
        }
        ValueRef::Document(document) if is_operators(document) => {
            operators::parse(path, document, scope, list)?;
        }
        value => list.push(Predicate::field(path, equality(path, value)?)),
    }
    Ok(())
}

/// Equality with a value, a regular expression included.
pub(super) fn equality(path: &FieldPath, value: ValueRef<'_>) -> Result<Condition> {
    if value.kind() == BsonType::Undefined {
        return Err(invalid(format!("'{path}' cannot be compared to undefined")));
    }
    let operand = Value::from(value).into_owned();
    Ok(Condition::Comparison(Comparison { operator: ComparisonOperator::Equal, operand }))
}

/// Whether a document is operators rather than a value: its first key starts with a dollar sign and it is no
/// database reference.
pub(crate) fn is_operators(document: RawDocument<'_>) -> bool {
    document.first().is_some_and(|first| first.key().starts_with('$') && !is_reference_key(first.key()))
}

/// The keys of a database reference, which are fields although they start with a dollar sign.
fn is_reference_key(key: &str) -> bool {
    matches!(key, "$ref" | "$id" | "$db")
}

fn document_operator(
    name: &str,
    value: ValueRef<'_>,
    level: Level,
    scope: &mut Scope,
) -> Result<Option<Predicate>> {
    let predicate = match name {
        "$and" => Predicate::And(branches(name, value, level, scope)?),
        "$or" => Predicate::Or(branches(name, value, level, scope)?),
        "$nor" => Predicate::Nor(branches(name, value, level, scope)?),
        "$comment" => return Ok(None),
        _ if level == Level::Element => {
            return Err(invalid(format!("{name} cannot be used inside $elemMatch")));
        }
        "$expr" => {
            let expression = Expression::parse(value, scope)?;
            Predicate::Expression(Arc::new(ExpressionTest { expression }))
        }
        "$jsonSchema" => Predicate::Schema(Arc::new(Schema::parse(value)?)),
        "$alwaysTrue" => Predicate::Constant(constant(name, value, true)?),
        "$alwaysFalse" => Predicate::Constant(constant(name, value, false)?),
        "$sampleRate" => sample(value)?,
        "$where" => {
            return Err(invalid("$where is refused: there is no JavaScript in this server; use $expr"));
        }
        "$text" => Predicate::Text(TextSearch::new(TextQuery::parse(value)?)),
        unknown => {
            return Err(invalid(format!("unknown operator '{unknown}' where a field name was expected")));
        }
    };
    Ok(Some(predicate))
}

fn branches(name: &str, value: ValueRef<'_>, level: Level, scope: &mut Scope) -> Result<Vec<Predicate>> {
    let list = value.as_array().unwrap_or(RawArray::EMPTY);
    if list.is_empty() {
        return Err(invalid(format!("{name} needs an array of at least one filter")));
    }
    list.iter()
        .map(|branch| match branch {
            ValueRef::Document(document) => clauses(document, level, scope),
            other => Err(invalid(format!(
                "the entries of {name} must be documents, found {}",
                other.kind().name()
            ))),
        })
        .collect()
}

fn constant(name: &str, value: ValueRef<'_>, truth: bool) -> Result<bool> {
    match super::modulo::integral(value) {
        Some(1) => Ok(truth),
        _ => Err(Error::new(ErrorCode::FAILED_TO_PARSE, format!("{name} must be 1"))),
    }
}

fn sample(value: ValueRef<'_>) -> Result<Predicate> {
    let rate = match value {
        ValueRef::Double(rate) => Some(rate),
        ValueRef::Int32(rate) => Some(f64::from(rate)),
        ValueRef::Decimal128(rate) => Some(rate.to_f64()),
        ValueRef::Int64(0) => Some(0.0),
        ValueRef::Int64(1) => Some(1.0),
        other if other.kind().is_number() => None,
        other => {
            let kind = other.kind().name();
            return Err(invalid(format!("$sampleRate must be a number from 0 to 1, not {kind}")));
        }
    };
    rate.filter(|rate| (0.0..=1.0).contains(rate))
        .map(Predicate::Sample)
        .ok_or_else(|| invalid("$sampleRate must be a number from 0 to 1"))
}
