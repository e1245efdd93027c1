//! `$push`, `$addToSet`, `$pop`, `$pull`, `$pullAll`.

mod add_to_set;
mod pull;
mod push;

pub use add_to_set::{AddToSet, parse_add_to_set};
pub use pull::{Pull, parse_pull, parse_pull_all, pull_all};
pub use push::{Push, parse_push};

use sheaf_document::{RawArray, Value, ValueRef};

use super::apply::Change;
use super::operator::Operator;
use super::{UpdateContext, bad_value};
use crate::numeric::as_whole;
use crate::{Error, ErrorCode, Result};

/// The array that an operator changes; nothing where there is no value.
fn target<'a>(operator: &str, current: Option<ValueRef<'a>>) -> Result<Option<RawArray<'a>>> {
    match current {
        None => Ok(None),
        Some(ValueRef::Array(array)) => Ok(Some(array)),
        Some(other) => {
            let kind = other.kind().name();
            Err(bad_value(format!("{operator} needs an array, the field has a value of type {kind}")))
        }
    }
}

fn array_of(items: Vec<Value<'_>>) -> Value<'static> {
    Value::array(items).to_bytes_form().into_owned()
}

/// Reads 1 (the last element) or -1 (the first).
pub fn parse_pop(_: &UpdateContext<'_>, path: &str, operand: ValueRef<'_>) -> Result<Operator> {
    match as_whole(operand) {
        Some(1) => Ok(Operator::Pop { first: false }),
        Some(-1) => Ok(Operator::Pop { first: true }),
        _ => {
            let reason =
                format!("$pop of '{path}' takes 1 for the last or -1 for the first element, not {operand:?}");
            Err(Error::new(ErrorCode::FAILED_TO_PARSE, reason))
        }
    }
}

/// Drops the first or the last element.
pub fn pop(current: Option<ValueRef<'_>>, first: bool) -> Result<Change> {
    let array = match current {
        None => return Ok(Change::Keep),
        Some(ValueRef::Array(array)) => array,
        Some(other) => {
            let reason =
                format!("$pop needs an array, the field has a value of type {}", other.kind().name());
            return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
        }
    };
    let mut items: Vec<Value<'_>> = array.iter().map(Value::from).collect();
    if items.is_empty() {
        return Ok(Change::Keep);
    }
    if first {
        items.remove(0);
    } else {
        items.pop();
    }
    Ok(Change::Set(array_of(items)))
}
