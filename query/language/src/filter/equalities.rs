//! The equalities that a filter demands of every document it accepts.

use super::Filter;
use super::comparison::ComparisonOperator;
use super::predicate::{Condition, Equality, Predicate};

impl Filter {
    /// What every accepted document must equal: the equalities of the outermost conjunction, in the order they were
    /// written. A list of one value and a choice of one branch are equalities too.
    pub fn equalities(&self) -> Vec<Equality<'_>> {
        let mut found = Vec::new();
        collect(&self.predicate, &mut found);
        found
    }
}

fn collect<'f>(predicate: &'f Predicate, found: &mut Vec<Equality<'f>>) {
    match predicate {
        Predicate::And(list) => list.iter().for_each(|inner| collect(inner, found)),
        Predicate::Or(list) => {
            if let [only] = list.as_slice() {
                collect(only, found);
            }
        }
        Predicate::Field { path, condition: Condition::Comparison(comparison) }
            if comparison.operator == ComparisonOperator::Equal =>
        {
            found.push(Equality { path, value: &comparison.operand });
        }
        Predicate::Field { path, condition: Condition::In(list) } if list.regexes().is_empty() => {
            if let [value] = list.values() {
                found.push(Equality { path, value });
            }
        }
        _ => {}
    }
}
