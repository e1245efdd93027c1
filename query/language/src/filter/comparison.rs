//! `$eq $gt $gte $lt $lte`: compared within one type bracket only. `{$gt: 5}` says nothing about strings; the numeric
//! types are one bracket. Exceptions: null stands for a missing field too, and MinKey and MaxKey compare with all.

use std::cmp::Ordering;

use sheaf_document::{BsonType, Collate, Value, ValueRef, compare_refs};

/// Which comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as the operators")]
pub enum ComparisonOperator {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl ComparisonOperator {
    /// Whether equal values fulfil it.
    pub const fn includes_equal(self) -> bool {
        matches!(self, Self::Equal | Self::GreaterOrEqual | Self::LessOrEqual)
    }

    const fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
    }

    /// The operator's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equal => "$eq",
            Self::Greater => "$gt",
            Self::GreaterOrEqual => "$gte",
            Self::Less => "$lt",
            Self::LessOrEqual => "$lte",
        }
    }
}

/// A comparison with a constant.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Which.
    pub operator: ComparisonOperator,
    /// With what; arrays are in bytes form.
    pub operand: Value<'static>,
}

impl Comparison {
    /// Whether `value` (`None`: missing) fulfils it.
    pub fn matches(&self, value: Option<ValueRef<'_>>, collator: Option<&dyn Collate>) -> bool {
        let Some(operand) = self.operand.as_ref() else { return false };
        let operand_bracket = bracket(operand.kind());
        let Some(value) = value else { return self.matches_missing(operand.kind()) };
        if bracket(value.kind()) != operand_bracket {
            return match operand.kind() {
                BsonType::Null => {
                    value == ValueRef::Undefined
                        && self.operator != ComparisonOperator::Equal
                        && self.operator.includes_equal()
                }
                BsonType::MinKey => {
                    matches!(self.operator, ComparisonOperator::Greater | ComparisonOperator::GreaterOrEqual)
                }
                BsonType::MaxKey => {
                    matches!(self.operator, ComparisonOperator::Less | ComparisonOperator::LessOrEqual)
                }
                _ => false,
            };
        }
        match (is_nan(value), is_nan(operand)) {
            (false, false) => self.operator.accepts(compare_refs(value, operand, collator)),
            (both, other) => both == other && self.operator.includes_equal(),
        }
    }

    const fn matches_missing(&self, operand: BsonType) -> bool {
        match operand {
            BsonType::Null | BsonType::Undefined => self.operator.includes_equal(),
            BsonType::MinKey => {
                matches!(self.operator, ComparisonOperator::Greater | ComparisonOperator::GreaterOrEqual)
            }
            BsonType::MaxKey => {
                matches!(self.operator, ComparisonOperator::Less | ComparisonOperator::LessOrEqual)
            }
            _ => false,
        }
    }
}

/// Types that compare with each other share a bracket.
const fn bracket(kind: BsonType) -> u8 {
    kind.order()
}

/// Whether a value is a number that equals no other.
pub(crate) fn is_nan(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Double(number) => number.is_nan(),
        ValueRef::Decimal128(number) => number.is_nan(),
        _ => false,
    }
}
