//! Evaluation of a predicate over a raw document.
//!
//! A match may be asked for its position: where in the outermost array that a path went through the value was found.
//! Updates need it for the positional `$`. As in MongoDB, of several conditions the last one decides, alternatives are
//! decided by the first that holds, and negations tell nothing.

use sheaf_document::{RawArray, RawDocument, ValueRef};

use super::path::{LeafArray, walk};
use super::predicate::{Condition, Predicate};
use crate::Result;
use crate::expression::{Environment, is_truthy};

/// What a match found out besides yes and no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchedPosition(pub Option<usize>);

impl Predicate {
    /// Whether the document fulfils it.
    pub fn matches(
        &self,
        document: RawDocument<'_>,
        environment: &mut Environment,
        position: &mut MatchedPosition,
    ) -> Result<bool> {
        match self {
            Self::And(list) => {
                for predicate in list {
                    if !predicate.matches(document, environment, position)? {
                        position.0 = None;
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(list) => {
                for predicate in list {
                    if predicate.matches(document, environment, position)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Nor(list) => {
                for predicate in list {
                    if predicate.matches(document, environment, &mut MatchedPosition::default())? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Not(inner) => Ok(!inner.matches(document, environment, &mut MatchedPosition::default())?),
            Self::Field { path, condition } => {
                let leaf =
                    if condition.wants_whole_array() { LeafArray::Whole } else { LeafArray::Traversed };
                walk(document, path.components(), leaf, &mut |value, offset| {
                    if !condition.matches(value, environment, position)? {
                        return Ok(false);
                    }
                    if offset.is_some() {
                        position.0 = offset;
                    }
                    Ok(true)
                })
            }
            Self::Expression(test) => Ok(is_truthy(&test.expression.evaluate(document, environment)?)),
            Self::Schema(schema) => schema.matches(document),
            Self::Text(search) => {
                let score = search.score(document)?;
                if score.is_some() {
                    environment.metadata.text_score = score;
                }
                Ok(score.is_some())
            }
            Self::Constant(truth) => Ok(*truth),
            Self::Sample(rate) => Ok(environment.next_random() < *rate),
        }
    }

    /// Whether a value fulfils it by itself: the paths inside are here, and arrays are not looked into.
    pub fn matches_value(&self, value: ValueRef<'_>, environment: &mut Environment) -> Result<bool> {
        match self {
            Self::And(list) => all(list, value, environment),
            Self::Or(list) => any(list, value, environment),
            Self::Nor(list) => any(list, value, environment).map(|found| !found),
            Self::Not(inner) => inner.matches_value(value, environment).map(|found| !found),
            Self::Field { condition, .. } => {
                condition.matches(Some(value), environment, &mut MatchedPosition::default())
            }
            other => match value {
                ValueRef::Document(document) => {
                    other.matches(document, environment, &mut MatchedPosition::default())
                }
                _ => other.matches(RawDocument::EMPTY, environment, &mut MatchedPosition::default()),
            },
        }
    }
}

fn all(list: &[Predicate], value: ValueRef<'_>, environment: &mut Environment) -> Result<bool> {
    for predicate in list {
        if !predicate.matches_value(value, environment)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any(list: &[Predicate], value: ValueRef<'_>, environment: &mut Environment) -> Result<bool> {
    for predicate in list {
        if predicate.matches_value(value, environment)? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Condition {
    /// Whether one value (`None`: missing) fulfils it.
    pub fn matches(
        &self,
        value: Option<ValueRef<'_>>,
        environment: &mut Environment,
        position: &mut MatchedPosition,
    ) -> Result<bool> {
        match self {
            Self::Comparison(comparison) => Ok(comparison.matches(value, environment.collate())),
            Self::In(membership) => membership.matches(value, environment.collate()),
            Self::Exists => Ok(value.is_some()),
            Self::Type(types) => Ok(value.is_some_and(|value| types.contains(value.kind()))),
            Self::Size(count) => Ok(value
                .and_then(ValueRef::as_array)
                .is_some_and(|array| count.is_some_and(|count| has_count(array, count)))),
            Self::ElementDocument(predicate) => {
                let Some(array) = value.and_then(ValueRef::as_array) else { return Ok(false) };
                find_element(array, position, |element| {
                    let document = match element {
                        ValueRef::Document(document) => document,
                        // An array is looked at as a document of its positions.
                        ValueRef::Array(array) => {
                            RawDocument::from_bytes(array.as_bytes()).unwrap_or(RawDocument::EMPTY)
                        }
                        _ => return Ok(false),
                    };
                    predicate.matches(document, environment, &mut MatchedPosition::default())
                })
            }
            Self::ElementValue(predicates) => {
                let Some(array) = value.and_then(ValueRef::as_array) else { return Ok(false) };
                find_element(array, position, |element| all(predicates, element, environment))
            }
            Self::Modulo(modulo) => Ok(modulo.matches(value)),
            Self::Regex(regex) => regex.matches(value),
            Self::Bits(bits) => Ok(bits.matches(value)),
            Self::Place(place) => Ok(place.matches(value)),
        }
    }
}

/// Counts no further than needed.
fn has_count(array: RawArray<'_>, count: usize) -> bool {
    array.elements().take(count.saturating_add(1)).count() == count
}

fn find_element<'a>(
    array: RawArray<'a>,
    position: &mut MatchedPosition,
    mut matches: impl FnMut(ValueRef<'a>) -> Result<bool>,
) -> Result<bool> {
    for (index, element) in array.iter().enumerate() {
        if matches(element)? {
            position.0 = Some(index);
            return Ok(true);
        }
    }
    Ok(false)
}
