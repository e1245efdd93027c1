//! Arrays as sets: duplicates count once, order does not count. Equality is the order's, so that 1 and 1.0 are one
//! element; the first that was met stands for both. Nested arrays are elements, not sets.

use std::cmp::Ordering;

use sheaf_document::{ArrayValue, Collate, Value, ValueRef, compare};

use super::array::present;
use super::measure::Budget;
use super::operator::{Arguments, Call, Operator, parse_list};
use super::{Environment, Node, Scope, is_truthy};
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::fixed("$allElementsTrue", 1, |arguments, _| {
        let array = set_operand("$allElementsTrue", 17040, arguments.get(0))?;
        Ok(array.iter().all(|item| is_truthy(&item)).into())
    }),
    Operator::fixed("$anyElementTrue", 1, |arguments, _| {
        let array = set_operand("$anyElementTrue", 17041, arguments.get(0))?;
        Ok(array.iter().any(|item| is_truthy(&item)).into())
    }),
    Operator::fixed("$setDifference", 2, difference),
    Operator::special("$setEquals", parse_equals),
    Operator::special("$setIntersection", |value, scope| parse_commutative(&SET_INTERSECTION, value, scope)),
    Operator::fixed("$setIsSubset", 2, is_subset),
    Operator::special("$setUnion", |value, scope| parse_commutative(&SET_UNION, value, scope)),
];

/// `$setEquals` once its operands are known to be arrays or not constant.
static SET_EQUALS: Operator = Operator::variadic("$setEquals", equals);
static SET_INTERSECTION: Operator = Operator::variadic("$setIntersection", intersection);
static SET_UNION: Operator = Operator::variadic("$setUnion", union);

/// Operands in any order: constants come last, so that a null field is met before a constant of the wrong type.
fn parse_commutative(operator: &'static Operator, value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let mut arguments = parse_list(value, scope)?;
    arguments.sort_by_key(|argument| argument.as_constant().is_some());
    Ok(Node::Call(Call { operator, arguments: arguments.into_boxed_slice() }))
}

fn set_operand<'v, 'a>(operator: &str, code: i32, value: &'v Value<'a>) -> Result<&'v ArrayValue<'a>> {
    match value {
        Value::Array(array) => Ok(array),
        other => Err(Error::location(code, format!("{operator} takes arrays, found {}", other.type_name()))),
    }
}

/// The elements in order, each once.
pub(crate) fn distinct<'a>(array: ArrayValue<'a>, collation: Option<&dyn Collate>) -> Vec<Value<'a>> {
    let mut items: Vec<Value<'a>> = array.into_items().into_iter().map(present).collect();
    items.sort_by(|left, right| compare(left, right, collation));
    items.dedup_by(|next, first| compare(next, first, collation).is_eq());
    items
}

/// Whether a sorted set has an element.
fn contains(set: &[Value<'_>], wanted: &Value<'_>, collation: Option<&dyn Collate>) -> bool {
    set.binary_search_by(|item| compare(item, wanted, collation)).is_ok()
}

fn difference<'a>(arguments: &mut Arguments<'a>, environment: &mut Environment) -> Result<Value<'a>> {
    if arguments.any_nullish() {
        return Ok(Value::Null);
    }
    let collation = environment.collate();
    let left = match arguments.take(0) {
        Value::Array(array) => array,
        other => return Err(super::array::not_array("$setDifference", 17048, &other)),
    };
    let right = match arguments.take(1) {
        Value::Array(array) => distinct(array, collation),
        other => return Err(super::array::not_array("$setDifference", 17049, &other)),
    };
    // The elements stay in the order of the first array.
    let items: Vec<Value<'a>> = left.into_items().into_iter().map(present).collect();
    let mut places: Vec<usize> = (0..items.len()).collect();
    let item_at = |place: usize| items.get(place).unwrap_or(&Value::Null);
    places.sort_by(|&a, &b| compare(item_at(a), item_at(b), collation));
    places.dedup_by(|next, first| compare(item_at(*next), item_at(*first), collation).is_eq());
    places.retain(|&place| !contains(&right, item_at(place), collation));
    places.sort_unstable();
    let mut kept = places.into_iter().peekable();
    let remaining = items.into_iter().enumerate();
    Ok(Value::array(
        remaining.filter(|(place, _)| kept.next_if_eq(place).is_some()).map(|(_, item)| item).collect(),
    ))
}

fn intersection<'a>(arguments: &mut Arguments<'a>, environment: &mut Environment) -> Result<Value<'a>> {
    let collation = environment.collate();
    let mut common: Option<Vec<Value<'a>>> = None;
    for value in arguments.take_all() {
        let set = match value {
            Value::Array(array) => distinct(array, collation),
            value if value.is_nullish() => return Ok(Value::Null),
            other => return Err(super::array::not_array("$setIntersection", 17047, &other)),
        };
        match &mut common {
            None => common = Some(set),
            Some(common) => common.retain(|item| contains(&set, item, collation)),
        }
    }
    Ok(Value::array(common.unwrap_or_default()))
}

fn union<'a>(arguments: &mut Arguments<'a>, environment: &mut Environment) -> Result<Value<'a>> {
    let mut budget = Budget::new(environment);
    let mut items = Vec::new();
    for value in arguments.take_all() {
        match value {
            Value::Array(array) => {
                for item in array.into_items() {
                    budget.add(&item)?;
                    items.push(item);
                }
            }
            value if value.is_nullish() => return Ok(Value::Null),
            other => return Err(super::array::not_array("$setUnion", 17043, &other)),
        }
    }
    Ok(Value::array(distinct(ArrayValue::Items(items), environment.collate())))
}

fn is_subset<'a>(arguments: &mut Arguments<'a>, environment: &mut Environment) -> Result<Value<'a>> {
    let collation = environment.collate();
    let inner = set_operand("$setIsSubset", 17046, arguments.get(0))?.clone();
    let outer = set_operand("$setIsSubset", 17042, arguments.get(1))?.clone();
    let outer = distinct(outer, collation);
    Ok(inner.into_items().into_iter().map(present).all(|item| contains(&outer, &item, collation)).into())
}

fn parse_equals(value: ValueRef<'_>, scope: &mut Scope) -> Result<Node> {
    let operands = parse_list(value, scope)?.into_boxed_slice();
    if operands.len() < 2 {
        let message =
            format!("$setEquals takes at least two arrays, {} arguments were given", operands.len());
        return Err(Error::location(17045, message));
    }
    for constant in operands.iter().filter_map(super::Expression::as_constant) {
        set_operand("$setEquals", 5_887_502, constant)?;
    }
    Ok(Node::Call(Call { operator: &SET_EQUALS, arguments: operands }))
}

fn equals<'a>(arguments: &mut Arguments<'a>, environment: &mut Environment) -> Result<Value<'a>> {
    let collation = environment.collate();
    let mut first: Option<Vec<Value<'a>>> = None;
    let mut all_equal = true;
    for value in arguments.take_all() {
        let set = match value {
            Value::Array(array) => distinct(array, collation),
            other => return Err(super::array::not_array("$setEquals", 17044, &other)),
        };
        match &first {
            None => first = Some(set),
            Some(first) => {
                let same = |(left, right)| compare(left, right, collation) == Ordering::Equal;
                all_equal &= first.len() == set.len() && first.iter().zip(&set).all(same);
            }
        }
    }
    Ok(all_equal.into())
}
