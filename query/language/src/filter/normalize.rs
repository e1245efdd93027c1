//! One form for filters that mean the same: conjunctions inside conjunctions are dissolved, and the members of a list
//! are put in a fixed order, cheap and selective ones first, as MongoDB orders them.
//!
//! The order is visible in two places: in explain, and in which condition decides the position of the positional
//! `$` (the last one that went through an array).

use super::comparison::ComparisonOperator;
use super::path::FieldPath;
use super::place::Place;
use super::predicate::{Condition, Predicate};

/// Brings a predicate into that form.
pub(super) fn normalize(predicate: Predicate) -> Predicate {
    match predicate {
        Predicate::And(list) => {
            let mut flat = Vec::with_capacity(list.len());
            for inner in list.into_iter().map(normalize) {
                match inner {
                    Predicate::And(inner) => flat.extend(inner),
                    other => flat.push(other),
                }
            }
            sort(&mut flat);
            Predicate::all(flat)
        }
        Predicate::Or(list) => {
            let mut list = normalize_all(list);
            match (list.pop(), list.is_empty()) {
                (Some(only), true) => only,
                (last, _) => {
                    list.extend(last);
                    Predicate::Or(list)
                }
            }
        }
        Predicate::Nor(list) => Predicate::Nor(normalize_all(list)),
        Predicate::Not(inner) => normalize(*inner).negate(),
        Predicate::Field { path, condition: Condition::ElementDocument(inner) } => {
            Predicate::Field { path, condition: Condition::ElementDocument(Box::new(normalize(*inner))) }
        }
        other => other,
    }
}

fn normalize_all(list: Vec<Predicate>) -> Vec<Predicate> {
    let mut list: Vec<Predicate> = list.into_iter().map(normalize).collect();
    sort(&mut list);
    list
}

fn sort(list: &mut [Predicate]) {
    list.sort_by(|left, right| rank(left).cmp(&rank(right)).then_with(|| path(left).cmp(path(right))));
}

fn path(predicate: &Predicate) -> &str {
    match predicate {
        Predicate::Field { path, .. } => FieldPath::as_str(path),
        Predicate::Not(inner) => path(inner),
        _ => "",
    }
}

fn rank(predicate: &Predicate) -> u8 {
    match predicate {
        Predicate::And(_) => 0,
        Predicate::Or(_) => 1,
        Predicate::Field { condition, .. } => rank_condition(condition),
        Predicate::Text(_) => 17,
        Predicate::Not(_) => 18,
        Predicate::Nor(_) => 19,
        Predicate::Constant(_) => 24,
        Predicate::Sample(_) => 25,
        Predicate::Schema(_) => 26,
        Predicate::Expression(_) => 27,
    }
}

fn rank_condition(condition: &Condition) -> u8 {
    match condition {
        Condition::ElementDocument(_) => 2,
        Condition::ElementValue(_) => 3,
        Condition::Size(_) => 4,
        Condition::Comparison(comparison) => match comparison.operator {
            ComparisonOperator::Equal => 5,
            ComparisonOperator::LessOrEqual => 6,
            ComparisonOperator::Less => 7,
            ComparisonOperator::Greater => 8,
            ComparisonOperator::GreaterOrEqual => 9,
        },
        Condition::Regex(_) => 10,
        Condition::Modulo(_) => 11,
        Condition::Exists => 12,
        Condition::In(_) => 13,
        Condition::Bits(_) => 14,
        Condition::Type(_) => 20,
        Condition::Place(place) => match **place {
            Place::Within(_) | Place::Intersects(_) => 21,
            Place::Near(_) => 22,
        },
    }
}
