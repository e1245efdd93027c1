//! `$map`, `$filter`, `$reduce`: an expression for every element of an array.

use sheaf_document::{RawDocument, Value, ValueRef};

use super::measure::{Budget, check_depth};
use super::number::integral_i32;
use super::operator::Operator;
use super::parse::required;
use super::scope::check_user_variable;
use super::{Expression, Frame, Node, Scope, is_truthy};
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::special("$filter", parse_filter),
    Operator::special("$map", parse_map),
    Operator::special("$reduce", parse_reduce),
];

/// An expression for every element.
#[derive(Clone)]
pub(crate) enum Iteration {
    Filter { input: Expression, condition: Expression, limit: Option<Expression> },
    Map { input: Expression, body: Expression },
    Reduce { input: Expression, initial: Expression, body: Expression },
}

/// The named arguments of an operator, by the names that it has.
fn arguments<'a, const N: usize>(
    operator: &str,
    value: ValueRef<'a>,
    names: [&str; N],
    not_document: i32,
    unknown: i32,
) -> Result<[Option<ValueRef<'a>>; N]> {
    let ValueRef::Document(document) = value else {
        let message = format!("{operator} takes a document of arguments, found {}", value.kind().name());
        return Err(Error::location(not_document, message));
    };
    check_names(operator, document, &names, unknown)?;
    Ok(names.map(|name| document.get(name)))
}

fn check_names(operator: &str, document: RawDocument<'_>, names: &[&str], unknown: i32) -> Result<()> {
    match document.iter().find(|element| !names.contains(&element.key())) {
        None => Ok(()),
        Some(element) => {
            Err(Error::location(unknown, format!("{operator} has no argument '{}'", element.key())))
        }
    }
}

/// Parses an expression that sees the given names on top of the scope.
fn parse_within(value: ValueRef<'_>, names: &[&str], scope: &mut Scope) -> Result<Expression> {
    let mark = scope.mark();
    for name in names {
        scope.bind(name);
    }
    let body = Expression::parse(value, scope);
    scope.forget(mark);
    body
}

/// The variable's name: what `as` says, "this" by default.
fn variable_name(value: Option<ValueRef<'_>>) -> Result<&str> {
    match value {
        None => Ok("this"),
        Some(value) => {
            let name = value.as_str().unwrap_or_default();
            check_user_variable(name)?;
            Ok(name)
        }
    }
}

fn parse_map(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let [input, name, body] = arguments("$map", value, ["input", "as", "in"], 16878, 16879)?;
    let input = Expression::parse(required(input, 16880, "$map", "input")?, scope)?;
    let body = required(body, 16882, "$map", "in")?;
    let body = parse_within(body, &[variable_name(name)?], scope)?;
    Ok(Node::Iteration(Box::new(Iteration::Map { input, body })))
}

fn parse_filter(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let [input, name, condition, limit] =
        arguments("$filter", value, ["input", "as", "cond", "limit"], 28646, 28647)?;
    let input = Expression::parse(required(input, 28648, "$filter", "input")?, scope)?;
    let condition = required(condition, 28650, "$filter", "cond")?;
    let condition = parse_within(condition, &[variable_name(name)?], scope)?;
    let limit = limit.map(|limit| Expression::parse(limit, scope)).transpose()?;
    Ok(Node::Iteration(Box::new(Iteration::Filter { input, condition, limit })))
}

fn parse_reduce(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let [input, initial, body] = arguments("$reduce", value, ["input", "initialValue", "in"], 40075, 40076)?;
    let input = required(input, 40077, "$reduce", "input")?;
    let initial = required(initial, 40078, "$reduce", "initialValue")?;
    let body = required(body, 40079, "$reduce", "in")?;
    let input = Expression::parse(input, scope)?;
    let initial = Expression::parse(initial, scope)?;
    let body = parse_within(body, &["this", "value"], scope)?;
    Ok(Node::Iteration(Box::new(Iteration::Reduce { input, initial, body })))
}

impl Iteration {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Filter { .. } => "$filter",
            Self::Map { .. } => "$map",
            Self::Reduce { .. } => "$reduce",
        }
    }

    pub(super) fn for_each_child<'n>(&'n self, visit: &mut dyn FnMut(&'n str, &'n Expression)) {
        match self {
            Self::Filter { input, condition, limit } => {
                visit("input", input);
                visit("cond", condition);
                if let Some(limit) = limit {
                    visit("limit", limit);
                }
            }
            Self::Map { input, body } => {
                visit("input", input);
                visit("in", body);
            }
            Self::Reduce { input, initial, body } => {
                visit("input", input);
                visit("initialValue", initial);
                visit("in", body);
            }
        }
    }

    pub(super) fn evaluate<'a>(&'a self, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
        match self {
            Self::Filter { input, condition, limit } => filter(input, condition, limit.as_ref(), frame),
            Self::Map { input, body } => map(input, body, frame),
            Self::Reduce { input, initial, body } => reduce(input, initial, body, frame),
        }
    }
}

/// The elements of the input; nothing if it is null or missing.
fn elements<'a>(
    operator: &str,
    code: i32,
    input: &'a Expression,
    frame: &mut Frame<'a, '_>,
) -> Result<Option<Vec<Value<'a>>>> {
    match input.run(frame)? {
        Value::Array(array) => Ok(Some(array.into_items())),
        value if value.is_nullish() => Ok(None),
        other => Err(super::array::not_array(operator, code, &other)),
    }
}

/// The value of `body` with one element bound; the element is given back.
fn with_element<'a>(
    element: Value<'a>,
    body: &'a Expression,
    frame: &mut Frame<'a, '_>,
) -> Result<(Value<'a>, Value<'a>)> {
    let mark = frame.slots.len();
    frame.slots.push(element);
    let value = body.run(frame);
    frame.slots.truncate(mark + 1);
    let element = frame.slots.pop().unwrap_or(Value::Missing);
    Ok((value?, element))
}

fn map<'a>(input: &'a Expression, body: &'a Expression, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
    let Some(items) = elements("$map", 16883, input, frame)? else { return Ok(Value::Null) };
    let mut budget = Budget::new(frame.environment);
    let mut result = Vec::with_capacity(items.len());
    for item in items {
        let (value, _) = with_element(item, body, frame)?;
        let value = super::array::present(value);
        budget.add(&value)?;
        result.push(value);
    }
    Ok(Value::array(result))
}

fn filter<'a>(
    input: &'a Expression,
    condition: &'a Expression,
    limit: Option<&'a Expression>,
    frame: &mut Frame<'a, '_>,
) -> Result<Value<'a>> {
    let Some(items) = elements("$filter", 28651, input, frame)? else { return Ok(Value::Null) };
    let limit = match limit {
        None => usize::MAX,
        Some(limit) => match limit.run(frame)? {
            value if value.is_nullish() => usize::MAX,
            value => filter_limit(&value)?,
        },
    };
    let mut result = Vec::new();
    for item in items {
        let (value, item) = with_element(item, condition, frame)?;
        if is_truthy(&value) {
            result.push(item);
            if result.len() >= limit {
                break;
            }
        }
    }
    Ok(Value::array(result))
}

fn filter_limit(value: &Value<'_>) -> Result<usize> {
    let limit = integral_i32(value).ok_or_else(|| {
        Error::location(327_391, format!("$filter takes an int as its limit, found {}", value.type_name()))
    })?;
    let limit = usize::try_from(limit).unwrap_or(0);
    if limit == 0 {
        return Err(Error::location(327_392, "$filter takes a limit greater than 0"));
    }
    Ok(limit)
}

fn reduce<'a>(
    input: &'a Expression,
    initial: &'a Expression,
    body: &'a Expression,
    frame: &mut Frame<'a, '_>,
) -> Result<Value<'a>> {
    let Some(items) = elements("$reduce", 40080, input, frame)? else { return Ok(Value::Null) };
    let mut total = initial.run(frame)?;
    let mark = frame.slots.len();
    for item in items {
        frame.slots.push(item);
        frame.slots.push(total);
        let value = body.run(frame);
        frame.slots.truncate(mark);
        total = value?;
        if matches!(total, Value::Document(_) | Value::Array(_)) {
            check_depth(&total)?;
            Budget::new(frame.environment).add(&total)?;
        }
    }
    Ok(total)
}
