//! `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$cmp`: the total order across types, under the query's collation.

use std::cmp::Ordering;

use sheaf_document::{Value, compare};

use super::Environment;
use super::operator::{Arguments, Operator};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::fixed("$cmp", 2, |arguments, environment| {
        Ok(Value::Int32(match order(arguments, environment) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }))
    }),
    Operator::fixed("$eq", 2, |arguments, environment| Ok(order(arguments, environment).is_eq().into())),
    Operator::fixed("$gt", 2, |arguments, environment| Ok(order(arguments, environment).is_gt().into())),
    Operator::fixed("$gte", 2, |arguments, environment| Ok(order(arguments, environment).is_ge().into())),
    Operator::fixed("$lt", 2, |arguments, environment| Ok(order(arguments, environment).is_lt().into())),
    Operator::fixed("$lte", 2, |arguments, environment| Ok(order(arguments, environment).is_le().into())),
    Operator::fixed("$ne", 2, |arguments, environment| Ok(order(arguments, environment).is_ne().into())),
];

fn order(arguments: &Arguments<'_>, environment: &Environment) -> Ordering {
    compare(arguments.get(0), arguments.get(1), environment.collate())
}
