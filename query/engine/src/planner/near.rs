//! Plans of searches by distance.
//!
//! A geo index is walked from the inside out ([`GeoNearPlan`]) if nothing in front of its geo field is left open; else
//! the documents that match are found as for any query, and sorted by their distance.

use std::sync::Arc;

use sheaf_language::filter::path::FieldPath;
use sheaf_language::filter::{Condition, Place, Predicate};
use sheaf_language::geometry::{Distance, Near};

use super::access::{self, best, rest_filter};
use super::candidate::Candidate;
use super::predicate_bounds::conjuncts;
use super::query::{HintChoice, Query};
use super::special::near_predicate;
use crate::catalog::{Collection, IndexFieldKind};
use crate::index::geo;
use crate::plan::{GeoNearPlan, PhysicalPlan};
use crate::{Error, Result, error_code};

/// The matching documents of a query by their distance. The query's filter may have the search itself in it.
pub(super) fn plan(
    collection: &Arc<Collection>,
    query: &Query,
    path: &FieldPath,
    near: &Near,
) -> Result<PhysicalPlan> {
    check_index(collection, path, near.distance)?;
    refuse_hint(&query.hint)?;
    let search = near_predicate(path, near);
    let mut parts = conjuncts(query.filter.predicate());
    parts.retain(|part| !is_search(part));
    parts.push(&search);
    if parts.iter().any(|part| matches!(part, Predicate::Constant(false))) {
        return Ok(PhysicalPlan::Empty);
    }
    if let Some(plan) = from_index(collection, query, path, near, &parts)? {
        return Ok(plan);
    }
    let access = access::choose(collection, query)?;
    if matches!(access.plan, PhysicalPlan::Empty) {
        return Ok(access.plan);
    }
    Ok(PhysicalPlan::Near { path: path.clone(), near: near.clone(), input: Box::new(access.plan) })
}

fn is_search(part: &Predicate) -> bool {
    matches!(part, Predicate::Field { condition: Condition::Place(place), .. } if matches!(&**place, Place::Near(_)))
}

/// A search by distance needs its index, so it cannot be told to scan the collection.
pub(super) fn refuse_hint(hint: &HintChoice) -> Result<()> {
    if matches!(hint, HintChoice::Natural(_)) {
        return Err(Error::new(
            error_code::BAD_VALUE,
            "a search by distance needs its geo index and excludes $natural",
        ));
    }
    Ok(())
}

fn from_index(
    collection: &Arc<Collection>,
    query: &Query,
    path: &FieldPath,
    near: &Near,
    parts: &[&Predicate],
) -> Result<Option<PhysicalPlan>> {
    let hinted = match &query.hint {
        HintChoice::Index(name) => Some(name.as_str()),
        _ => None,
    };
    let is_wanted = |name: &str| hinted.is_none_or(|hinted| hinted == name);
    let candidates = collection
        .indexes
        .iter()
        .filter(|index| is_wanted(&index.specification.name))
        .flat_map(|index| Candidate::all(collection, index, parts, query, hinted.is_some()));
    let serving = candidates.filter(|candidate| geo_field(candidate, path, near).is_some());
    let Some(found) = best(serving) else {
        let Some(name) = hinted else { return Ok(None) };
        return Err(Error::new(
            error_code::NO_QUERY_EXECUTION_PLANS,
            format!(
                "the index \"{name}\" that the hint names cannot serve a search by distance from '{path}'"
            ),
        ));
    };
    let Some(field) = geo_field(&found, path, near) else { return Ok(None) };
    let open: Vec<_> = parts
        .iter()
        .zip(&found.settled)
        .filter(|(part, settled)| !**settled && !is_search(part))
        .map(|(part, _)| *part)
        .collect();
    Ok(Some(PhysicalPlan::GeoNear(GeoNearPlan {
        collection: Arc::clone(collection),
        scan: found.scan,
        field,
        path: path.clone(),
        near: near.clone(),
        filter: rest_filter(&open),
    })))
}

/// The part of the key that has the cells of the path, if the ranges of keys reach that far and it measures as the
/// search does.
fn geo_field(candidate: &Candidate, path: &FieldPath, near: &Near) -> Option<usize> {
    let scan = &candidate.scan;
    let field = scan.paths.iter().position(|own| geo::is_field(own, path))?;
    let kind = scan.paths.get(field)?.kind;
    scan.index.near_bounds(kind, near, 0.0)?;
    (candidate.point_fields >= field).then_some(field)
}

/// A search by distance needs a geo index on its path, and one that measures distances the same way.
fn check_index(collection: &Collection, path: &FieldPath, distance: Distance) -> Result<()> {
    let has_index = collection.indexes.iter().any(|index| {
        index.specification.key.fields().iter().any(|field| {
            let measures = match field.kind {
                IndexFieldKind::Sphere2d => distance != Distance::Planar,
                IndexFieldKind::Plane2d => distance != Distance::Metres,
                _ => false,
            };
            field.path == path.as_str() && measures
        })
    });
    if has_index {
        return Ok(());
    }
    Err(Error::new(
        error_code::NO_QUERY_EXECUTION_PLANS,
        format!("{} has no geo index on '{path}', which a search by distance needs", collection.namespace),
    ))
}
