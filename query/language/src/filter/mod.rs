//! Filters: which documents a query means.
//!
//! A filter document is read once by [`Filter::parse`] into a [`Predicate`], a plain tree that the planner reads too,
//! and then asked for each raw document. Conditions compare within a type bracket ([`comparison`]), and a path leads
//! to several values where arrays are on its way ([`path`]): a condition holds if any of them fulfils it, so that a
//! negation (`$ne`, `$nin`, `$not`) holds only if none does.

pub mod bits;
pub mod comparison;
pub mod element;
mod equalities;
mod matching;
pub mod membership;
pub(crate) mod modulo;
mod normalize;
mod operators;
mod parse;
pub mod path;
mod place;
mod predicate;
pub mod regular;
#[cfg(test)]
mod tests;
mod text;
mod upsert;

pub(crate) use parse::is_operators;

pub use matching::MatchedPosition;
pub use place::Place;
pub use predicate::{Condition, Equality, ExpressionTest, Predicate};

use sheaf_document::{Element, RawArray, RawDocument, ValueRef};

use crate::expression::{Environment, Scope};
use crate::{Error, Result};

/// A compiled filter.
#[derive(Clone, Debug)]
pub struct Filter {
    predicate: Predicate,
}

impl Filter {
    /// The filter that every document fulfils.
    pub const fn everything() -> Self {
        Self { predicate: Predicate::TRUE }
    }

    /// The filter of a predicate, such as the part of another filter that an index leaves open.
    pub const fn from_predicate(predicate: Predicate) -> Self {
        Self { predicate }
    }

    /// Reads a filter. The scope gives the collation and the variables that `$expr` may use.
    pub fn parse(document: RawDocument<'_>, scope: &mut Scope) -> Result<Self> {
        let predicate = normalize::normalize(parse::clauses(document, parse::Level::Document, scope)?);
        place::check_near(&predicate)?;
        text::check(&predicate)?;
        Ok(Self { predicate })
    }

    /// Reads the filter of a `$match`, where nothing can be ordered by nearness.
    pub fn parse_stage(document: RawDocument<'_>, scope: &mut Scope) -> Result<Self> {
        if place::mentions_near(document) {
            let message = "$near cannot be used in a stage; use $geoNear or $geoWithin";
            return Err(Error::location(5_626_500, message));
        }
        Self::parse(document, scope)
    }

    /// The typed tree.
    pub const fn predicate(&self) -> &Predicate {
        &self.predicate
    }

    /// Whether every document fulfils it, as far as one can say without looking.
    pub fn is_everything(&self) -> bool {
        match &self.predicate {
            Predicate::And(list) => list.is_empty(),
            Predicate::Constant(truth) => *truth,
            _ => false,
        }
    }

    /// Whether the document fulfils it. The collation is the environment's, and must be that of the scope.
    pub fn matches(&self, document: RawDocument<'_>, environment: &mut Environment) -> Result<bool> {
        self.predicate.matches(document, environment, &mut MatchedPosition::default())
    }

    /// As [`Filter::matches`]; a match says where in an array it was found, for the positional `$`.
    pub fn match_position(
        &self,
        document: RawDocument<'_>,
        environment: &mut Environment,
    ) -> Result<Option<MatchedPosition>> {
        let mut position = MatchedPosition::default();
        let matched = self.predicate.matches(document, environment, &mut position)?;
        Ok(matched.then_some(position))
    }
}

/// A condition on a single value, such as an array's element: what `$pull`, `arrayFilters` and the `$elemMatch` of a
/// projection have.
#[derive(Clone, Debug)]
pub struct ElementFilter {
    condition: ElementCondition,
}

#[derive(Clone, Debug)]
enum ElementCondition {
    Document(Predicate),
    Value(Vec<Predicate>),
}

impl ElementFilter {
    /// Reads operators (`{$gt: 5}`) as conditions on the value, anything else as a filter on documents.
    pub fn parse(document: RawDocument<'_>, scope: &mut Scope) -> Result<Self> {
        let of_values = is_operators(document)
            && document
                .first()
                .is_some_and(|first| !matches!(first.key(), "$and" | "$or" | "$nor" | "$where"));
        let condition = if of_values {
            let mut list = Vec::new();
            operators::parse(&path::FieldPath::here(), document, scope, &mut list)?;
            ElementCondition::Value(list)
        } else {
            ElementCondition::Document(parse::clauses(document, parse::Level::Element, scope)?)
        };
        Ok(Self { condition })
    }

    /// The first element of an array that fulfils it, arrays among the elements being looked into as documents of their
    /// positions.
    pub fn find<'a>(
        &self,
        array: RawArray<'a>,
        environment: &mut Environment,
    ) -> Result<Option<Element<'a>>> {
        for element in array.elements() {
            let value = match element.value() {
                ValueRef::Array(inner) if matches!(self.condition, ElementCondition::Document(_)) => {
                    ValueRef::Document(
                        RawDocument::from_bytes(inner.as_bytes()).unwrap_or(RawDocument::EMPTY),
                    )
                }
                value => value,
            };
            if self.matches(value, environment)? {
                return Ok(Some(element));
            }
        }
        Ok(None)
    }

    /// Whether the value fulfils it.
    pub fn matches(&self, value: ValueRef<'_>, environment: &mut Environment) -> Result<bool> {
        match &self.condition {
            ElementCondition::Document(predicate) => match value {
                ValueRef::Document(document) => {
                    predicate.matches(document, environment, &mut MatchedPosition::default())
                }
                _ => Ok(false),
            },
            ElementCondition::Value(list) => {
                for predicate in list {
                    if !predicate.matches_value(value, environment)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}
