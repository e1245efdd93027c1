//! `$and`, `$or`, `$not`. `$and` and `$or` stop at the first operand that decides; a constant operand that decides
//! does so before anything is evaluated.

use sheaf_document::{Value, ValueRef};

use super::operator::{Operator, parse_list};
use super::{Expression, Frame, Node, Scope, is_truthy};
use crate::Result;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::special("$and", |value, scope| parse(false, value, scope)),
    Operator::fixed("$not", 1, |arguments, _| Ok(Value::Boolean(!is_truthy(arguments.get(0))))),
    Operator::special("$or", |value, scope| parse(true, value, scope)),
];

/// `$and` or `$or`.
#[derive(Clone)]
pub(crate) struct Logical {
    /// The truth of an operand that decides: false for `$and`, true for `$or`.
    deciding: bool,
    pub(super) operands: Box<[Expression]>,
}

fn parse(deciding: bool, value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let operands = parse_list(value, scope)?.into_boxed_slice();
    Ok(Node::Logical(Logical { deciding, operands }))
}

impl Logical {
    pub(super) fn name(&self) -> &'static str {
        if self.deciding { "$or" } else { "$and" }
    }

    pub(super) fn evaluate<'a>(&'a self, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
        for operand in &self.operands {
            if is_truthy(&operand.run(frame)?) == self.deciding {
                return Ok(Value::Boolean(self.deciding));
            }
        }
        Ok(Value::Boolean(!self.deciding))
    }

    /// The outcome, if a constant operand decides it.
    pub(super) fn decided(&self) -> Option<bool> {
        let mut constants = self.operands.iter().filter_map(Expression::as_constant);
        constants.any(|value| is_truthy(value) == self.deciding).then_some(self.deciding)
    }
}
