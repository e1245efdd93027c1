//! `$addToSet`: appends what is not there yet.

use sheaf_document::{Value, ValueRef, equal};

use super::{array_of, target};
use crate::expression::Environment;
use crate::update::apply::Change;
use crate::update::operator::{Operator, own};
use crate::update::{UpdateContext, bad_value};
use crate::{Error, ErrorCode, Result};

/// The values to add, in order.
#[derive(Clone, Debug)]
pub struct AddToSet {
    values: Vec<Value<'static>>,
}

/// Reads a value, or `{$each: [...]}`.
pub fn parse_add_to_set(_: &UpdateContext<'_>, path: &str, operand: ValueRef<'_>) -> Result<Operator> {
    let each =
        operand.as_document().and_then(|document| document.first()).filter(|first| first.key() == "$each");
    let Some(each) = each else { return Ok(Operator::AddToSet(AddToSet { values: vec![own(operand)] })) };
    if let Some(extra) = operand.as_document().and_then(|document| document.iter().nth(1)) {
        return Err(bad_value(format!(
            "$addToSet of '{path}' takes nothing beside $each, not '{}'",
            extra.key()
        )));
    }
    let ValueRef::Array(array) = each.value() else {
        let reason = format!(
            "the $each of $addToSet of '{path}' is an array, not a value of type {}",
            each.kind().name()
        );
        return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
    };
    Ok(Operator::AddToSet(AddToSet { values: array.iter().map(own).collect() }))
}

impl AddToSet {
    /// The array with what it lacked.
    pub fn apply(&self, current: Option<ValueRef<'_>>, environment: &Environment) -> Result<Change> {
        let array = target("$addToSet", current)?;
        let mut items: Vec<Value<'_>> =
            array.iter().flat_map(|array| array.iter()).map(Value::from).collect();
        let before = items.len();
        for value in &self.values {
            if !items.iter().any(|item| equal(item, value, environment.collate())) {
                items.push(value.clone());
            }
        }
        Ok(if items.len() == before && array.is_some() { Change::Keep } else { Change::Set(array_of(items)) })
    }
}
