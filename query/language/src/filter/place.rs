//! Places in filters: `$geoWithin`, `$geoIntersects`, `$near`, `$nearSphere`.
//!
//! `$near` is a condition and an order: whoever runs the query sorts by the distance ([`Filter::near`]). So there can
//! be only one, and it must hold for every result: it cannot stand in an alternative or a negation.

use std::sync::Arc;

use sheaf_document::{RawDocument, ValueRef};

use super::path::FieldPath;
use super::predicate::{Condition, Predicate};
use super::{Filter, parse::invalid};
use crate::geometry::{Near, Region, Shape, stored_geometry};
use crate::{Error, Result};

/// A condition on a place.
#[derive(Clone, Debug)]
pub enum Place {
    /// `$geoWithin`: lies in it whole.
    Within(Region),
    /// `$geoIntersects`: has a position in common.
    Intersects(Shape),
    /// `$near`, `$nearSphere`: lies in the range of distances.
    Near(Near),
}

impl Place {
    /// Reads an operator, if it is one about places.
    pub(super) fn parse(
        name: &str,
        operand: ValueRef<'_>,
        operators: RawDocument<'_>,
    ) -> Result<Option<Arc<Self>>> {
        let place = match name {
            "$geoWithin" | "$within" => Self::Within(Region::parse(operand)?),
            "$geoIntersects" => Self::Intersects(Shape::parse_intersects(operand)?),
            "$near" | "$nearSphere" | "$geoNear" => {
                refuse_siblings(name, operators)?;
                Self::Near(Near::parse(operand, operators, name == "$nearSphere")?)
            }
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(place)))
    }

    /// Whether `value` (`None`: missing) is a place that fulfils it.
    pub fn matches(&self, value: Option<ValueRef<'_>>) -> bool {
        let Some(geometry) = value.and_then(stored_geometry) else { return false };
        match self {
            Self::Within(region) => region.contains(&geometry),
            Self::Intersects(wanted) => wanted.intersects(&geometry),
            Self::Near(near) => near.distance_to(&geometry).is_some_and(|distance| near.accepts(distance)),
        }
    }
}

fn refuse_siblings(name: &str, operators: RawDocument<'_>) -> Result<()> {
    let known = [name, "$minDistance", "$maxDistance"];
    match operators.iter().find(|element| !known.contains(&element.key())) {
        None => Ok(()),
        Some(other) if matches!(other.key(), "$near" | "$nearSphere" | "$geoNear") => {
            Err(invalid("a filter has at most one $near"))
        }
        Some(other) => {
            let message = format!("{name} cannot be combined with '{}'", other.key());
            Err(Error::location(34413, message))
        }
    }
}

impl Filter {
    /// The `$near` of the filter with its path: results come nearest first.
    pub fn near(&self) -> Option<(&FieldPath, &Near)> {
        find(self.predicate())
    }
}

/// Whether a field of the filter, however deep in its branches, has a `$near`.
pub(super) fn mentions_near(document: RawDocument<'_>) -> bool {
    document.iter().any(|element| match (element.key(), element.value()) {
        ("$near" | "$nearSphere" | "$geoNear", _) => true,
        (key, ValueRef::Document(nested)) if !key.starts_with('$') => mentions_near(nested),
        ("$and" | "$or" | "$nor", ValueRef::Array(branches)) => {
            branches.iter().filter_map(ValueRef::as_document).any(mentions_near)
        }
        _ => false,
    })
}

fn find(predicate: &Predicate) -> Option<(&FieldPath, &Near)> {
    match predicate {
        Predicate::And(list) => list.iter().find_map(find),
        Predicate::Field { path, condition: Condition::Place(place) } => match &**place {
            Place::Near(near) => Some((path, near)),
            _ => None,
        },
        _ => None,
    }
}

/// Refuses a `$near` where it cannot order the results, and a second one.
pub(super) fn check_near(predicate: &Predicate) -> Result<()> {
    let mut everywhere = 0;
    predicate.visit(&mut |inner| {
        if let Predicate::Field { condition: Condition::Place(place), .. } = inner {
            everywhere += usize::from(matches!(&**place, Place::Near(_)));
        }
    });
    match (everywhere, find(predicate).is_some()) {
        (0, _) | (1, true) => Ok(()),
        (1, false) => Err(invalid("$near must stand at the top of a filter or in an $and")),
        _ => Err(invalid("a filter has at most one $near")),
    }
}
