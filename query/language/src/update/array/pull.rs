//! `$pull` and `$pullAll`: take out what matches.

use sheaf_document::{DocumentBuilder, Value, ValueRef, equal};

use super::{array_of, target};
use crate::Result;
use crate::expression::Environment;
use crate::filter::ElementFilter;
use crate::update::apply::Change;
use crate::update::operator::{Operator, own};
use crate::update::{UpdateContext, bad_value};

/// What to take out.
#[derive(Clone, Debug)]
pub enum Pull {
    /// Elements equal to this value.
    Equal(Value<'static>),
    /// Elements that fulfil this condition.
    Condition(ElementFilter),
}

/// Reads a value, operators (`{$gt: 5}`), a regular expression, or a filter of documents.
pub fn parse_pull(context: &UpdateContext<'_>, _: &str, operand: ValueRef<'_>) -> Result<Operator> {
    let mut scope = context.scope.clone();
    Ok(Operator::Pull(match operand {
        ValueRef::Document(document) => Pull::Condition(ElementFilter::parse(document, &mut scope)?),
        ValueRef::Regex(_) => {
            let mut operators = DocumentBuilder::new();
            operators.append_ref("$regex", operand);
            Pull::Condition(ElementFilter::parse(operators.build().as_raw(), &mut scope)?)
        }
        other => Pull::Equal(own(other)),
    }))
}

impl Pull {
    fn takes(&self, item: ValueRef<'_>, environment: &mut Environment) -> Result<bool> {
        match self {
            Self::Equal(value) => Ok(equal(&Value::from(item), value, environment.collate())),
            Self::Condition(condition) => condition.matches(item, environment),
        }
    }

    /// The array without the elements that match.
    pub fn apply(&self, current: Option<ValueRef<'_>>, environment: &mut Environment) -> Result<Change> {
        let Some(array) = target("$pull", current)? else { return Ok(Change::Keep) };
        let mut kept = Vec::new();
        let mut taken = false;
        for item in array.iter() {
            if self.takes(item, environment)? {
                taken = true;
            } else {
                kept.push(Value::from(item));
            }
        }
        Ok(if taken { Change::Set(array_of(kept)) } else { Change::Keep })
    }
}

/// Reads an array of values.
pub fn parse_pull_all(_: &UpdateContext<'_>, path: &str, operand: ValueRef<'_>) -> Result<Operator> {
    match operand {
        ValueRef::Array(array) => Ok(Operator::PullAll(array.iter().map(own).collect())),
        other => {
            let kind = other.kind().name();
            Err(bad_value(format!(
                "$pullAll of '{path}' needs an array of values, not a value of type {kind}"
            )))
        }
    }
}

/// The array without the elements that equal one of the values.
pub fn pull_all(
    current: Option<ValueRef<'_>>,
    values: &[Value<'static>],
    environment: &Environment,
) -> Result<Change> {
    let Some(array) = target("$pullAll", current)? else { return Ok(Change::Keep) };
    let items: Vec<Value<'_>> = array.iter().map(Value::from).collect();
    let before = items.len();
    let kept: Vec<Value<'_>> = items
        .into_iter()
        .filter(|item| !values.iter().any(|value| equal(item, value, environment.collate())))
        .collect();
    Ok(if kept.len() == before { Change::Keep } else { Change::Set(array_of(kept)) })
}
