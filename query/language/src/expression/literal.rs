//! `$literal` and `$const`: a value that is not looked into.

use super::literal;
use super::operator::Operator;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::special("$const", |value, _| Ok(literal(value))),
    Operator::special("$literal", |value, _| Ok(literal(value))),
];
