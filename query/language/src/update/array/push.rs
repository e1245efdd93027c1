//! `$push` with `$each`, `$position`, `$slice` and `$sort`. They are applied in this order: insert, sort, slice.

use std::cmp::Ordering;

use sheaf_document::{RawDocument, Value, ValueRef, compare};

use super::{array_of, target};
use crate::Result;
use crate::expression::{Environment, FieldPath};
use crate::numeric::as_whole;
use crate::update::apply::Change;
use crate::update::operator::{Operator, own};
use crate::update::{UpdateContext, bad_value};

/// What to push, and how.
#[derive(Clone, Debug)]
pub struct Push {
    values: Vec<Value<'static>>,
    position: Option<i64>,
    slice: Option<i64>,
    sort: Option<Sort>,
}

#[derive(Clone, Debug)]
enum Sort {
    /// By the whole value.
    Whole { descending: bool },
    /// By fields of the elements.
    Fields(Vec<(FieldPath, bool)>),
}

/// Reads a value, or a document of modifiers, which has `$each`.
pub fn parse_push(_: &UpdateContext<'_>, path: &str, operand: ValueRef<'_>) -> Result<Operator> {
    let modifiers = operand.as_document().filter(|document| document.get("$each").is_some());
    let Some(modifiers) = modifiers else {
        let push = Push { values: vec![own(operand)], position: None, slice: None, sort: None };
        return Ok(Operator::Push(push));
    };
    let wrong = |reason: String| bad_value(format!("$push of '{path}': {reason}"));
    let mut push = Push { values: Vec::new(), position: None, slice: None, sort: None };
    for element in modifiers {
        let value = element.value();
        let kind = value.kind().name();
        match element.key() {
            "$each" => match value {
                ValueRef::Array(array) => push.values = array.iter().map(own).collect(),
                _ => return Err(wrong(format!("$each is an array, not a value of type {kind}"))),
            },
            "$position" => {
                push.position = Some(
                    as_whole(value)
                        .ok_or_else(|| wrong(format!("$position is a whole number, not {value:?}")))?,
                );
            }
            "$slice" => {
                push.slice = Some(
                    as_whole(value)
                        .ok_or_else(|| wrong(format!("$slice is a whole number, not {value:?}")))?,
                );
            }
            "$sort" => push.sort = Some(parse_sort(value).map_err(wrong)?),
            other => return Err(wrong(format!("'{other}' is not a modifier"))),
        }
    }
    Ok(Operator::Push(push))
}

fn direction(value: ValueRef<'_>) -> std::result::Result<bool, String> {
    match as_whole(value) {
        Some(1) => Ok(false),
        Some(-1) => Ok(true),
        _ => Err(format!("$sort is 1 or -1, not {value:?}")),
    }
}

fn parse_sort(value: ValueRef<'_>) -> std::result::Result<Sort, String> {
    let ValueRef::Document(pattern) = value else {
        return Ok(Sort::Whole { descending: direction(value)? });
    };
    let mut fields = Vec::new();
    for element in pattern {
        let name = element.key();
        if name.is_empty() || name.split('.').any(str::is_empty) {
            return Err(format!("$sort has an empty field name in '{name}'"));
        }
        let path = FieldPath::parse(name).map_err(|error| error.message)?;
        fields.push((path, direction(element.value())?));
    }
    if fields.is_empty() {
        return Err("$sort by no field means nothing".to_owned());
    }
    Ok(Sort::Fields(fields))
}

impl Push {
    /// The array with the values in their places.
    pub fn apply(&self, current: Option<ValueRef<'_>>, environment: &Environment) -> Result<Change> {
        let array = target("$push", current)?;
        let mut items: Vec<Value<'_>> =
            array.iter().flat_map(|array| array.iter()).map(Value::from).collect();
        let at = self.place(items.len());
        items.splice(at..at, self.values.iter().cloned());
        if let Some(sort) = &self.sort {
            items.sort_by(|left, right| sort.compare(left, right, environment));
        }
        self.cut(&mut items);
        Ok(Change::to(current, array_of(items)))
    }

    /// Where the values go in an array of this length: negative counts from the end.
    fn place(&self, len: usize) -> usize {
        match self.position {
            None => len,
            Some(position) if position >= 0 => usize::try_from(position).unwrap_or(len).min(len),
            Some(position) => {
                len.saturating_sub(usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX))
            }
        }
    }

    fn cut(&self, items: &mut Vec<Value<'_>>) {
        let Some(slice) = self.slice else { return };
        let keep = usize::try_from(slice.unsigned_abs()).unwrap_or(usize::MAX);
        if slice >= 0 {
            items.truncate(keep);
        } else if items.len() > keep {
            items.drain(..items.len() - keep);
        }
    }
}

impl Sort {
    fn compare(&self, left: &Value<'_>, right: &Value<'_>, environment: &Environment) -> Ordering {
        match self {
            Self::Whole { descending } => directed(compare(left, right, environment.collate()), *descending),
            Self::Fields(fields) => fields.iter().fold(Ordering::Equal, |order, (path, descending)| {
                order.then_with(|| {
                    let (left, right) = (field(path, left), field(path, right));
                    directed(compare(&left, &right, environment.collate()), *descending)
                })
            }),
        }
    }
}

fn directed(order: Ordering, descending: bool) -> Ordering {
    if descending { order.reverse() } else { order }
}

/// The field of an element; an element that is no document has none, which sorts as null.
fn field<'v>(path: &FieldPath, item: &'v Value<'_>) -> Value<'v> {
    match path.walk(item.as_document().unwrap_or(RawDocument::EMPTY)) {
        Value::Missing => Value::Null,
        value => value,
    }
}
