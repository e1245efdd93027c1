//! What a predicate says about the values in an index.
//!
//! Bounds are *exact* if an entry is within them if and only if its document's value at the path fulfils the
//! condition; the condition need not be checked again then. Otherwise they are a superset and the document decides.

use sheaf_document::{BsonType, Collate, Value, ValueRef};
use sheaf_language::filter::comparison::{Comparison, ComparisonOperator};
use sheaf_language::filter::path::FieldPath;
use sheaf_language::filter::{Condition, Predicate};

use crate::plan::{FieldBounds, Interval, bracket};

/// What a predicate says about the values at a path.
pub(crate) struct PredicateBounds {
    pub(crate) path: String,
    pub(crate) bounds: FieldBounds,
    pub(crate) is_exact: bool,
    /// Holds only where no array is on the path: `{$ne: null}` accepts `[1]` at `a.b`, whose entry is null.
    pub(crate) needs_no_array: bool,
}

/// How strings compare in the index, and whether the query compares them so.
#[derive(Clone, Copy)]
pub(crate) struct Strings<'a> {
    pub(crate) collator: Option<&'a dyn Collate>,
    pub(crate) same_as_query: bool,
}

/// The bounds of a predicate; none if it says nothing that an index could use. An `$elemMatch` may say something about
/// several paths.
pub(crate) fn predicate_bounds(predicate: &Predicate, strings: Strings<'_>) -> Vec<PredicateBounds> {
    match predicate {
        Predicate::Field { path, condition: Condition::ElementDocument(inner) } => {
            let mut found = Vec::new();
            for conjunct in conjuncts(inner) {
                for below in predicate_bounds(conjunct, strings) {
                    let path = format!("{}.{}", path.as_str(), below.path);
                    found.push(PredicateBounds { path, is_exact: false, ..below });
                }
            }
            found
        }
        Predicate::Field { path, condition } => {
            one(path, condition_bounds(condition, strings)).into_iter().collect()
        }
        Predicate::Not(inner) => match &**inner {
            Predicate::Field { path, condition } => {
                let needs_no_array = is_equality_with_null(condition);
                let found = one(path, negated(condition, strings));
                found.map(|found| PredicateBounds { needs_no_array, ..found }).into_iter().collect()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The parts of a conjunction.
pub(crate) fn conjuncts(predicate: &Predicate) -> Vec<&Predicate> {
    match predicate {
        Predicate::And(list) => list.iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}

fn one(path: &FieldPath, bounds: Option<(FieldBounds, bool)>) -> Option<PredicateBounds> {
    // A number in a path means a position or a name; an index has made its choice, a query has not.
    if path.is_here() || path.components().iter().any(|component| component.index().is_some()) {
        return None;
    }
    bounds.map(|(bounds, is_exact)| PredicateBounds {
        path: path.as_str().to_owned(),
        bounds,
        is_exact,
        needs_no_array: false,
    })
}

fn condition_bounds(condition: &Condition, strings: Strings<'_>) -> Option<(FieldBounds, bool)> {
    let collator = strings.collator;
    match condition {
        Condition::Comparison(comparison) => comparison_bounds(comparison, strings),
        Condition::In(list) => {
            if !list.regexes().is_empty() {
                return None;
            }
            let mut intervals = Vec::new();
            let mut is_exact = true;
            for value in list.values() {
                let (bounds, exact) = equality(value, strings)?;
                intervals.extend(bounds.intervals);
                is_exact &= exact;
            }
            Some((FieldBounds::of(intervals, collator), is_exact))
        }
        Condition::Exists => Some((FieldBounds::all(), false)),
        Condition::Regex(test) => {
            if collator.is_some() || !strings.same_as_query {
                return None;
            }
            let itself = Value::Regex {
                pattern: test.regex().pattern().to_owned().into(),
                options: test.options().to_owned().into(),
            };
            let text = match test.regex().literal_prefix() {
                Some((prefix, _)) => prefix_interval(&prefix),
                None => bracket(ValueRef::String("")),
            };
            Some((FieldBounds::of(vec![text, Interval::point(itself)], collator), false))
        }
        Condition::ElementValue(list) => {
            let mut found: Option<FieldBounds> = None;
            for predicate in list.iter().flat_map(conjuncts) {
                let Predicate::Field { condition, .. } = predicate else { continue };
                if let Some((bounds, _)) = condition_bounds(condition, strings) {
                    found = Some(match found {
                        Some(before) => before.intersect(&bounds, collator),
                        None => bounds,
                    });
                }
            }
            found.map(|bounds| (bounds, false))
        }
        Condition::Modulo(_) => {
            let numbers = bracket(ValueRef::Int32(0));
            Some((FieldBounds::of(vec![numbers], collator), false))
        }
        _ => None,
    }
}

/// The values that do not fulfil a condition. Only exact bounds can be turned around; arrays make the result a
/// superset.
fn negated(condition: &Condition, strings: Strings<'_>) -> Option<(FieldBounds, bool)> {
    if matches!(condition, Condition::Exists) {
        return Some((FieldBounds::of(vec![Interval::point(Value::Null)], strings.collator), false));
    }
    // `{$ne: null}`: without arrays an entry of null is a null or a missing value, and neither matches.
    if !is_equality_with_null(condition) && !condition_bounds(condition, strings)?.1 {
        return None;
    }
    let (bounds, _) = condition_bounds(condition, strings)?;
    Some((bounds.complement(strings.collator), false))
}

fn is_equality_with_null(condition: &Condition) -> bool {
    matches!(
        condition,
        Condition::Comparison(Comparison { operator: ComparisonOperator::Equal, operand: Value::Null })
    )
}

fn comparison_bounds(comparison: &Comparison, strings: Strings<'_>) -> Option<(FieldBounds, bool)> {
    let operand = &comparison.operand;
    if comparison.operator == ComparisonOperator::Equal {
        return equality(operand, strings);
    }
    if !strings.same_as_query && depends_on_collation(operand) {
        return None;
    }
    let value = operand.as_ref()?;
    let whole = bracket(value);
    let includes = comparison.operator.includes_equal();
    let interval = match value.kind() {
        BsonType::Array | BsonType::MinKey | BsonType::MaxKey => return None,
        BsonType::Null | BsonType::Undefined => whole,
        _ if is_nan(value) => {
            if !includes {
                return Some((FieldBounds { intervals: Vec::new() }, true));
            }
            Interval::point(operand.clone())
        }
        BsonType::Regex | BsonType::DbPointer | BsonType::JavaScript | BsonType::JavaScriptWithScope => {
            return None;
        }
        _ => match comparison.operator {
            ComparisonOperator::Greater | ComparisonOperator::GreaterOrEqual => {
                Interval::new(operand.clone(), includes, whole.upper.value, whole.upper.is_inclusive)
            }
            _ => Interval::new(whole.lower.value, whole.lower.is_inclusive, operand.clone(), includes),
        },
    };
    let is_exact = !value.is_nullish();
    Some((FieldBounds::of(vec![interval], strings.collator), is_exact))
}

fn equality(operand: &Value<'static>, strings: Strings<'_>) -> Option<(FieldBounds, bool)> {
    if !strings.same_as_query && depends_on_collation(operand) {
        return None;
    }
    let value = operand.as_ref()?;
    let point = Interval::point(operand.clone());
    let (intervals, is_exact) = match value {
        // Null stands for a missing value too, and within arrays of documents for elements that are none.
        ValueRef::Null | ValueRef::Undefined => (vec![bracket(value)], false),
        // An array is found by its first element, or as an element of an array.
        ValueRef::Array(array) => {
            let first = array.iter().next().map_or(Value::Undefined, |first| Value::from(first).into_owned());
            (vec![Interval::point(first), point], false)
        }
        _ => (vec![point], true),
    };
    Some((FieldBounds::of(intervals, strings.collator), is_exact))
}

fn prefix_interval(prefix: &str) -> Interval {
    // The first string behind all that begin with the prefix: its last character that has a successor, increased.
    let mut successor: Vec<char> = prefix.chars().collect();
    while let Some(last) = successor.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            successor.push(next);
            let upper: String = successor.into_iter().collect();
            return Interval::new(Value::from(prefix.to_owned()), true, Value::from(upper), false);
        }
    }
    Interval::new(Value::from(prefix.to_owned()), true, bracket(ValueRef::String("")).upper.value, false)
}

fn is_nan(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Double(number) => number.is_nan(),
        ValueRef::Decimal128(number) => number.is_nan(),
        _ => false,
    }
}

fn depends_on_collation(value: &Value<'static>) -> bool {
    matches!(value, Value::String(_) | Value::Symbol(_) | Value::Document(_) | Value::Array(_))
}
