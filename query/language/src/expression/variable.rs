//! `$let`: names for values within an expression.

use sheaf_document::{Value, ValueRef};

use super::operator::Operator;
use super::parse::required;
use super::scope::check_user_variable;
use super::{Expression, Frame, NamedExpressions, Node, Scope};
use crate::{Error, ErrorCode, Result};

pub(super) const OPERATORS: &[Operator] = &[Operator::special("$let", parse)];

/// Variables and the expression that sees them.
#[derive(Clone)]
pub(crate) struct Let {
    pub(super) variables: NamedExpressions,
    pub(super) body: Expression,
}

fn parse(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let ValueRef::Document(document) = value else {
        let message = format!("$let takes a document of arguments, found {}", value.kind().name());
        return Err(Error::location(16874, message));
    };
    let (mut variables, mut body) = (None, None);
    for element in document {
        match element.key() {
            "vars" => variables = Some(element.value()),
            "in" => body = Some(element.value()),
            other => return Err(Error::location(16875, format!("$let has no argument '{other}'"))),
        }
    }
    let variables = parse_variables(required(variables, 16876, "$let", "vars")?, scope)?;
    let body = required(body, 16877, "$let", "in")?;
    let mark = scope.mark();
    for (name, _) in &variables {
        scope.bind(name);
    }
    let body = Expression::parse(body, scope);
    scope.forget(mark);
    let body = body?;
    if matches!(body.0, Node::Constant(_)) {
        return Ok(body.0);
    }
    Ok(Node::Let(Box::new(Let { variables, body })))
}

/// The definitions; they do not see each other.
fn parse_variables(value: ValueRef<'_>, scope: &mut Scope) -> Result<NamedExpressions> {
    let document = match value {
        ValueRef::Document(document) => document,
        ValueRef::Array(array) => {
            // An array is read as a document whose names are its positions, none of which is a variable name.
            let message = format!("$let's 'vars' must be a document, found an array of {}", array.count());
            return Err(Error::new(ErrorCode::FAILED_TO_PARSE, message));
        }
        other => {
            let message = format!("$let's 'vars' must be a document, found {}", other.kind().name());
            return Err(Error::location(10065, message));
        }
    };
    let mut variables = Vec::new();
    for element in document {
        check_user_variable(element.key())?;
        variables.push((Box::from(element.key()), Expression::parse(element.value(), scope)?));
    }
    Ok(variables.into_boxed_slice())
}

impl Let {
    pub(super) fn evaluate<'a>(&'a self, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
        let mut values = Vec::with_capacity(self.variables.len());
        for (_, variable) in &self.variables {
            values.push(variable.run(frame)?);
        }
        let mark = frame.slots.len();
        frame.slots.append(&mut values);
        let value = self.body.run(frame);
        frame.slots.truncate(mark);
        value
    }
}
