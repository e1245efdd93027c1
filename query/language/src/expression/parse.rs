//! From a value to a compiled expression.

use sheaf_document::{RawDocument, Value, ValueRef};

use super::scope::Scope;
use super::{Expression, FieldPath, Frame, Node, literal, operator};
use crate::{Error, ErrorCode, Result};

impl Expression {
    /// Compiles an expression. `scope` is left as it was found.
    pub fn parse(value: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        outermost(scope, |scope| Self::parse_any(value, scope))
    }

    fn parse_any(value: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        let node = match value {
            ValueRef::String(text) if text.starts_with('$') => parse_path(text, scope)?,
            ValueRef::Document(document) => parse_document(document, scope)?,
            ValueRef::Array(array) => {
                let items = array.iter().map(|item| Self::parse(item, scope));
                fold(Node::Array(items.collect::<Result<_>>()?), scope)?
            }
            other => literal(other),
        };
        Ok(Self(node))
    }

    /// Compiles `{$operator: ...}` given by its two halves, as stages do whose argument is an operator's.
    pub fn parse_operator(name: &str, value: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        outermost(scope, |scope| Self::parse_named(name, value, scope))
    }

    fn parse_named(name: &str, value: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        let Some(operator) = operator::find(name) else {
            let message = format!("unrecognized expression '{name}'");
            return Err(Error::new(ErrorCode::INVALID_PIPELINE_OPERATOR, message));
        };
        let node = operator.parse(value, scope)?;
        if matches!(operator.shape, operator::Shape::Volatile(_)) {
            return Ok(Self(node));
        }
        Ok(Self(fold(node, scope)?))
    }

    /// Whether an operator of this name exists.
    pub fn is_operator(name: &str) -> bool {
        operator::find(name).is_some()
    }
}

/// Parses an expression, and raises what was deferred if it is nobody's operand.
fn outermost(scope: &mut Scope, parse: impl FnOnce(&mut Scope) -> Result<Expression>) -> Result<Expression> {
    scope.depth += 1;
    let parsed = parse(scope);
    scope.depth -= 1;
    if scope.depth > 0 {
        return parsed;
    }
    match (parsed, scope.deferred.take()) {
        (Ok(_), Some(error)) => Err(error),
        (parsed, _) => parsed,
    }
}

/// `$a.b`, `$$variable`, `$$variable.a.b`.
fn parse_path(text: &str, scope: &Scope) -> Result<Node> {
    let Some(variable) = text.strip_prefix("$$") else {
        let path = text.strip_prefix('$').unwrap_or_default();
        if path.is_empty() {
            return Err(Error::location(16872, "'$' by itself is not a field path"));
        }
        let path = FieldPath::parse(path)?;
        if !scope.current_is_bound() {
            return Ok(Node::Field(path));
        }
        return Ok(with_path(scope.resolve("CURRENT")?, path));
    };
    let (name, path) = match variable.split_once('.') {
        None => (variable, None),
        Some((name, path)) => (name, Some(path)),
    };
    if name.is_empty() {
        return Err(Error::new(ErrorCode::FAILED_TO_PARSE, "a variable name must not be empty"));
    }
    let node = scope.resolve(name)?;
    match path {
        None => Ok(node.unwrap_or(Node::Root)),
        Some("") => {
            Err(Error::location(40353, format!("the field path '{variable}' must not end with a '.'")))
        }
        Some(path) => Ok(with_path(node, FieldPath::parse(path)?)),
    }
}

fn with_path(node: Option<Node>, path: FieldPath) -> Node {
    match node {
        None => Node::Field(path),
        Some(Node::Slot(slot, _)) => Node::Slot(slot, Some(path)),
        Some(Node::Variable(id, _)) => Node::Variable(id, Some(path)),
        Some(Node::UserRoles(_)) => Node::UserRoles(Some(path)),
        Some(Node::Constant(value)) => Node::Constant(path.walk_value(&value).into_owned().to_bytes_form()),
        // A date and a timestamp have no fields.
        Some(_) => Node::Constant(Value::Missing),
    }
}

fn parse_document(document: RawDocument<'_>, scope: &mut Scope) -> Result<Node> {
    if let Some(first) = document.first()
        && first.key().starts_with('$')
    {
        if document.iter().nth(1).is_some() {
            let message = format!("the operator {} must be the only field of its document", first.key());
            return Err(Error::location(15983, message));
        }
        return Ok(Expression::parse_operator(first.key(), first.value(), scope)?.0);
    }
    let mut fields: Vec<(Box<str>, Expression)> = Vec::new();
    for element in document {
        let name = element.key();
        check_field_name(name)?;
        if fields.iter().any(|(known, _)| **known == *name) {
            return Err(Error::location(
                16406,
                format!("the field '{name}' is given twice in an object expression"),
            ));
        }
        fields.push((Box::from(name), Expression::parse(element.value(), scope)?));
    }
    fold(Node::Object(fields.into_boxed_slice()), scope)
}

/// Checks a name that an object expression gives to a field.
fn check_field_name(name: &str) -> Result<()> {
    let (code, reason) = if name.is_empty() {
        (15998, "must not be empty")
    } else if name.starts_with('$') {
        (16410, "must not start with '$'")
    } else if name.contains('.') {
        (16412, "must not contain '.'")
    } else {
        return Ok(());
    };
    Err(Error::location(code, format!("the field name '{name}' in an object expression {reason}")))
}

/// Computes a node whose operands are all constant. Errors are the evaluation's.
fn fold(node: Node, scope: &mut Scope) -> Result<Node> {
    if let Node::Logical(logical) = &node
        && let Some(truth) = logical.decided()
    {
        return Ok(Node::Constant(Value::Boolean(truth)));
    }
    let mut constant = !matches!(
        node,
        Node::Field(_)
            | Node::Root
            | Node::Slot(..)
            | Node::Variable(..)
            | Node::Now
            | Node::Meta(_)
            | Node::Random
            | Node::ClusterTime
            | Node::UserRoles(_)
            | Node::Constant(_)
            | Node::Absent
    );
    node.for_each_child(&mut |_, child| {
        constant &= matches!(child.0, Node::Constant(_) | Node::Absent);
    });
    if !constant {
        return Ok(node);
    }
    let expression = Expression(node);
    let mut frame = Frame { root: RawDocument::EMPTY, slots: Vec::new(), environment: &mut scope.folding };
    match expression.run(&mut frame).map(|value| value.into_owned().to_bytes_form()) {
        Ok(value) => Ok(Node::Constant(value)),
        Err(error) => {
            scope.deferred.get_or_insert(error);
            Ok(expression.0)
        }
    }
}

/// Compiles an operand that a special operator reads from its arguments.
pub(super) fn required<'a>(
    value: Option<ValueRef<'a>>,
    code: i32,
    operator: &str,
    name: &str,
) -> Result<ValueRef<'a>> {
    value.ok_or_else(|| Error::location(code, format!("{operator} needs the argument '{name}'")))
}

#[cfg(test)]
mod tests;
