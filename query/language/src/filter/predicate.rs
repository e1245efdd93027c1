//! The typed tree of a filter. Public: the planner reads it to find index bounds.

use std::sync::Arc;

use sheaf_document::Value;

use super::bits::BitTest;
use super::comparison::Comparison;
use super::element::TypeSet;
use super::membership::Membership;
use super::modulo::Modulo;
use super::path::FieldPath;
use super::place::Place;
use super::regular::RegexTest;
use crate::expression::Expression;
use crate::json_schema::Schema;
use crate::text::TextSearch;

/// A condition on a document.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// Every one holds. `And` of nothing is true: the empty filter.
    And(Vec<Predicate>),
    /// At least one holds.
    Or(Vec<Predicate>),
    /// None holds.
    Nor(Vec<Predicate>),
    /// Does not hold.
    Not(Box<Predicate>),
    /// Holds for some value that the path leads to. A path that [is here](FieldPath::is_here) means the value at hand.
    Field {
        /// Where to look.
        path: FieldPath,
        /// What the value must fulfil.
        condition: Condition,
    },
    /// The expression is truthy.
    Expression(Arc<ExpressionTest>),
    /// The document follows the schema.
    Schema(Arc<Schema>),
    /// `$text`.
    Text(TextSearch),
    /// Always, or never.
    Constant(bool),
    /// Holds for this share of the documents, at random.
    Sample(f64),
}

/// `$expr`.
#[derive(Clone)]
pub struct ExpressionTest {
    /// What is evaluated.
    pub expression: Expression,
}

impl std::fmt::Debug for ExpressionTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("$expr")
    }
}

/// A condition on one value.
#[derive(Clone, Debug)]
pub enum Condition {
    /// `$eq $gt $gte $lt $lte`.
    Comparison(Comparison),
    /// `$in`.
    In(Membership),
    /// `$exists: true`; `false` is its negation.
    Exists,
    /// `$type`.
    Type(TypeSet),
    /// `$size`; a count that no array can have is `None`.
    Size(Option<usize>),
    /// `$elemMatch` with conditions on documents: some element fulfils all of it.
    ElementDocument(Box<Predicate>),
    /// `$elemMatch` with conditions on values: some element fulfils all of it. The paths inside are here.
    ElementValue(Vec<Predicate>),
    /// `$mod`.
    Modulo(Modulo),
    /// `$regex`.
    Regex(RegexTest),
    /// `$bitsAllSet` and its kind.
    Bits(BitTest),
    /// `$geoWithin` and its kind.
    Place(Arc<Place>),
}

impl Condition {
    /// Whether an array at the end of the path is looked at as a whole only.
    pub(super) const fn wants_whole_array(&self) -> bool {
        matches!(self, Self::Size(_) | Self::ElementDocument(_) | Self::ElementValue(_))
    }
}

impl Predicate {
    /// The filter that every document fulfils.
    pub const TRUE: Self = Self::Constant(true);

    /// A condition at a path.
    pub(super) fn field(path: &FieldPath, condition: Condition) -> Self {
        Self::Field { path: path.clone(), condition }
    }

    /// The negation.
    pub(super) fn negate(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// All of these; one alone stays as it is.
    pub(super) fn all(mut predicates: Vec<Self>) -> Self {
        match (predicates.pop(), predicates.is_empty()) {
            (Some(only), true) => only,
            (Some(last), false) => {
                predicates.push(last);
                Self::And(predicates)
            }
            (None, _) => Self::And(predicates),
        }
    }

    /// Calls `visit` for every predicate of the tree, outermost first.
    pub fn visit(&self, visit: &mut dyn FnMut(&Predicate)) {
        visit(self);
        match self {
            Self::And(list) | Self::Or(list) | Self::Nor(list) => {
                for predicate in list {
                    predicate.visit(visit);
                }
            }
            Self::Not(inner) => inner.visit(visit),
            Self::Field { condition: Condition::ElementDocument(inner), .. } => inner.visit(visit),
            Self::Field { condition: Condition::ElementValue(list), .. } => {
                for predicate in list {
                    predicate.visit(visit);
                }
            }
            _ => {}
        }
    }
}

/// The value that an equality asks for, with its path: what upserts copy into the new document and what shard keys
/// and index bounds are read from.
#[derive(Clone, Debug)]
pub struct Equality<'f> {
    /// Where.
    pub path: &'f FieldPath,
    /// What.
    pub value: &'f Value<'static>,
}
