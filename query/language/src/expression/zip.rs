//! `$zip`: arrays side by side.

use sheaf_document::{Value, ValueRef};

use super::array::present;
use super::measure::Budget;
use super::operator::Operator;
use super::{Expression, Frame, Node, Scope};
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[Operator::special("$zip", parse)];

/// `$zip` with its arguments.
#[derive(Clone)]
pub(crate) struct Zip {
    inputs: Box<[Expression]>,
    defaults: Box<[Expression]>,
    use_longest: bool,
}

fn parse(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let ValueRef::Document(document) = value else {
        let message = format!("$zip takes a document of arguments, found {}", value.kind().name());
        return Err(Error::location(34460, message));
    };
    let mut zip = Zip { inputs: Box::default(), defaults: Box::default(), use_longest: false };
    for element in document {
        match (element.key(), element.value()) {
            ("inputs", ValueRef::Array(inputs)) => {
                let inputs = inputs.iter().map(|input| Expression::parse(input, scope));
                zip.inputs = inputs.collect::<Result<_>>()?;
            }
            ("inputs", other) => {
                let message = format!("$zip takes an array of inputs, found {}", other.kind().name());
                return Err(Error::location(34461, message));
            }
            ("defaults", ValueRef::Array(defaults)) => {
                let defaults = defaults.iter().map(|default| Expression::parse(default, scope));
                zip.defaults = defaults.collect::<Result<_>>()?;
            }
            ("defaults", other) => {
                let message = format!("$zip takes an array of defaults, found {}", other.kind().name());
                return Err(Error::location(34462, message));
            }
            ("useLongestLength", ValueRef::Boolean(use_longest)) => zip.use_longest = use_longest,
            ("useLongestLength", other) => {
                let message =
                    format!("$zip takes a boolean as useLongestLength, found {}", other.kind().name());
                return Err(Error::location(34463, message));
            }
            (other, _) => return Err(Error::location(34464, format!("$zip has no argument '{other}'"))),
        }
    }
    zip.check()?;
    Ok(Node::Zip(Box::new(zip)))
}

impl Zip {
    fn check(&self) -> Result<()> {
        if self.inputs.is_empty() {
            return Err(Error::location(34465, "$zip needs at least one input"));
        }
        if !self.defaults.is_empty() && !self.use_longest {
            return Err(Error::location(34466, "$zip takes defaults only with useLongestLength"));
        }
        if !self.defaults.is_empty() && self.defaults.len() != self.inputs.len() {
            return Err(Error::location(34467, "$zip takes as many defaults as inputs"));
        }
        Ok(())
    }

    pub(super) fn for_each_child<'n>(&'n self, visit: &mut dyn FnMut(&'n str, &'n Expression)) {
        self.inputs.iter().for_each(|input| visit("inputs", input));
        self.defaults.iter().for_each(|default| visit("defaults", default));
    }

    pub(super) fn evaluate<'a>(&'a self, frame: &mut Frame<'a, '_>) -> Result<Value<'a>> {
        let mut columns = Vec::with_capacity(self.inputs.len());
        let mut has_null = false;
        for input in &self.inputs {
            match input.run(frame)? {
                Value::Array(array) => columns.push(array.into_items().into_iter()),
                value if value.is_nullish() => has_null = true,
                other => return Err(super::array::not_array("$zip", 34468, &other)),
            }
        }
        if has_null {
            return Ok(Value::Null);
        }
        let mut defaults = Vec::with_capacity(self.defaults.len());
        for default in &self.defaults {
            defaults.push(present(default.run(frame)?));
        }
        let lengths = columns.iter().map(ExactSizeIterator::len);
        let rows = if self.use_longest { lengths.max() } else { lengths.min() }.unwrap_or(0);
        let mut budget = Budget::new(frame.environment);
        let mut result = Vec::with_capacity(rows);
        for _ in 0..rows {
            let row = columns.iter_mut().enumerate().map(|(place, column)| match column.next() {
                Some(value) => present(value),
                None => defaults.get(place).cloned().unwrap_or(Value::Null),
            });
            let row = Value::array(row.collect());
            budget.add(&row)?;
            result.push(row);
        }
        Ok(Value::array(result))
    }
}
