//! `$cond`, `$ifNull`, `$switch`: only the branch that is taken is evaluated.

use sheaf_document::{RawDocument, Value, ValueRef};

use super::operator::{Operator, check_arity, parse_list};
use super::parse::required;
use super::{Expression, Frame, Node, Scope, is_truthy};
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::special("$cond", parse_cond),
    Operator::special("$ifNull", parse_if_null),
    Operator::special("$switch", parse_switch),
];

/// An operator that chooses what to evaluate.
#[derive(Clone)]
pub(crate) enum Conditional {
    Cond { condition: Expression, then: Expression, otherwise: Expression },
    IfNull { operands: Box<[Expression]> },
    Switch { branches: Box<[(Expression, Expression)]>, default: Option<Expression> },
}

impl Conditional {
    pub(super) fn evaluate<'a>(&'a self, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
        match self {
            Self::Cond { condition, then, otherwise } => {
                let branch = if is_truthy(&condition.run(frame)?) { then } else { otherwise };
                branch.run(frame)
            }
            Self::IfNull { operands } => {
                let mut value = Value::Missing;
                for operand in operands {
                    value = operand.run(frame)?;
                    if !value.is_nullish() {
                        break;
                    }
                }
                Ok(value)
            }
            Self::Switch { branches, default } => {
                for (case, then) in branches {
                    if is_truthy(&case.run(frame)?) {
                        return then.run(frame);
                    }
                }
                match default {
                    Some(default) => default.run(frame),
                    None => {
                        Err(Error::location(40066, "$switch found no branch that is true and has no default"))
                    }
                }
            }
        }
    }
}

fn parse_cond(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let ValueRef::Document(document) = value else {
        let operands = parse_list(value, scope)?;
        check_arity("$cond", operands.len(), 3, 3)?;
        let mut operands = operands.into_iter();
        let mut next = || operands.next().unwrap_or(Expression(Node::Absent));
        let (condition, then, otherwise) = (next(), next(), next());
        return Ok(Node::Conditional(Box::new(Conditional::Cond { condition, then, otherwise })));
    };
    let (mut condition, mut then, mut otherwise) = (None, None, None);
    for element in document {
        let slot = match element.key() {
            "if" => &mut condition,
            "then" => &mut then,
            "else" => &mut otherwise,
            other => return Err(Error::location(17083, format!("$cond has no argument '{other}'"))),
        };
        *slot = Some(element.value());
    }
    let condition = Expression::parse(required(condition, 17080, "$cond", "if")?, scope)?;
    let then = Expression::parse(required(then, 17081, "$cond", "then")?, scope)?;
    let otherwise = Expression::parse(required(otherwise, 17082, "$cond", "else")?, scope)?;
    Ok(Node::Conditional(Box::new(Conditional::Cond { condition, then, otherwise })))
}

fn parse_if_null(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let operands = parse_list(value, scope)?.into_boxed_slice();
    if operands.len() < 2 {
        let message = format!("$ifNull takes at least 2 arguments, {} were given", operands.len());
        return Err(Error::location(1_257_300, message));
    }
    Ok(Node::Conditional(Box::new(Conditional::IfNull { operands })))
}

fn parse_switch(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let ValueRef::Document(document) = value else {
        let message = format!("$switch takes a document of arguments, found {}", value.kind().name());
        return Err(Error::location(40060, message));
    };
    let mut branches: Vec<ValueRef<'_>> = Vec::new();
    let mut default = None;
    for element in document {
        match (element.key(), element.value()) {
            ("branches", ValueRef::Array(array)) => branches = array.iter().collect(),
            ("branches", other) => {
                let message = format!("$switch needs an array of branches, found {}", other.kind().name());
                return Err(Error::location(40061, message));
            }
            ("default", value) => default = Some(Expression::parse(value, scope)?),
            (other, _) => return Err(Error::location(40067, format!("$switch has no argument '{other}'"))),
        }
    }
    if branches.is_empty() {
        return Err(Error::location(40068, "$switch needs at least one branch"));
    }
    let branches = keep_branches(&branches, &mut default, scope)?;
    match (branches.is_empty(), default) {
        (true, Some(default)) => Ok(default.0),
        (true, None) => {
            Err(Error::location(40069, "every branch of $switch is always false and there is no default"))
        }
        (false, default) => {
            let branches = branches.into_boxed_slice();
            Ok(Node::Conditional(Box::new(Conditional::Switch { branches, default })))
        }
    }
}

fn parse_branch(value: ValueRef<'_>, scope: &mut Scope) -> Result<(Expression, Expression)> {
    let ValueRef::Document(branch) = value else {
        let message = format!("a branch of $switch must be a document, found {}", value.kind().name());
        return Err(Error::location(40062, message));
    };
    check_branch_names(branch)?;
    let case = Expression::parse(required(branch.get("case"), 40064, "$switch", "case")?, scope)?;
    let then = Expression::parse(required(branch.get("then"), 40065, "$switch", "then")?, scope)?;
    Ok((case, then))
}

fn check_branch_names(branch: RawDocument<'_>) -> Result<()> {
    match branch.iter().find(|element| !matches!(element.key(), "case" | "then")) {
        None => Ok(()),
        Some(element) => {
            Err(Error::location(40063, format!("a branch of $switch has no argument '{}'", element.key())))
        }
    }
}

/// The branches that constants do not rule out; one that is always true becomes the default. Errors among the
/// constants of a branch that is ruled out, or that comes after one that is always true, do not count.
fn keep_branches(
    values: &[ValueRef<'_>],
    default: &mut Option<Expression>,
    scope: &mut Scope,
) -> Result<Vec<(Expression, Expression)>> {
    let mut kept = Vec::new();
    let mut decided = false;
    for value in values {
        let before = scope.deferred.take();
        let (case, then) = parse_branch(*value, scope)?;
        let own = std::mem::replace(&mut scope.deferred, before);
        match case.as_constant().map(is_truthy) {
            _ if decided => continue,
            Some(false) => continue,
            Some(true) => {
                decided = true;
                *default = Some(then);
            }
            None => kept.push((case, then)),
        }
        if let Some(own) = own {
            scope.deferred.get_or_insert(own);
        }
    }
    Ok(kept)
}
