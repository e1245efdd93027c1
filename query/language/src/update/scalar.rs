//! `$set`, `$unset`, `$min`, `$max`, `$currentDate`: what they make of the value that is there.

use std::cmp::Ordering;

use sheaf_document::{Timestamp, Value, ValueRef, compare};

use super::apply::Change;
use super::operator::Operator;
use super::{UpdateContext, bad_value};
use crate::Result;
use crate::expression::Environment;

/// `$set`: no change if the very same value is there.
pub fn set(current: Option<ValueRef<'_>>, value: &Value<'static>) -> Change {
    Change::to(current, value.clone())
}

/// `$min` and `$max`: the new value if it is `wanted` of the one that is there.
pub fn extreme(
    current: Option<ValueRef<'_>>,
    value: &Value<'static>,
    wanted: Ordering,
    environment: &Environment,
) -> Change {
    let Some(now) = current else { return Change::Set(value.clone()) };
    if compare(value, &Value::from(now), environment.collate()) == wanted {
        Change::Set(value.clone())
    } else {
        Change::Keep
    }
}

/// Reads `true`, `{$type: "date"}` or `{$type: "timestamp"}`.
pub fn parse_current_date(_: &UpdateContext<'_>, path: &str, operand: ValueRef<'_>) -> Result<Operator> {
    let wrong = |what: String| Err(bad_value(format!("$currentDate of '{path}' {what}")));
    match operand {
        ValueRef::Boolean(_) => Ok(Operator::CurrentDate { timestamp: false }),
        ValueRef::Document(document) => {
            let mut timestamp = None;
            for element in document {
                match (element.key(), element.value()) {
                    ("$type", ValueRef::String("date")) => timestamp = Some(false),
                    ("$type", ValueRef::String("timestamp")) => timestamp = Some(true),
                    ("$type", other) => {
                        return wrong(format!("takes the $type 'date' or 'timestamp', not {other:?}"));
                    }
                    (other, _) => return wrong(format!("has no option '{other}'")),
                }
            }
            match timestamp {
                Some(timestamp) => Ok(Operator::CurrentDate { timestamp }),
                None => wrong("needs a $type".to_owned()),
            }
        }
        other => wrong(format!("takes true or a $type, not a value of type {}", other.kind().name())),
    }
}

/// Now, by the clock of the update.
pub fn current_date(timestamp: bool, environment: &Environment) -> Change {
    let millis = environment.now_millis;
    if !timestamp {
        return Change::Set(Value::DateTime(millis));
    }
    let seconds = u32::try_from(millis.div_euclid(1000)).unwrap_or_default();
    Change::Set(Value::Timestamp(environment.cluster_time.unwrap_or(Timestamp { seconds, increment: 1 })))
}
