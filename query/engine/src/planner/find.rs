//! The plan of a find: sort, skip, limit and projection on top of the access path.

use std::sync::Arc;

use super::access;
use super::query::Query;
use sheaf_language::filter::path::FieldPath;
use sheaf_language::geometry::Distance;

use crate::catalog::{Collection, IndexFieldKind};
use crate::plan::PhysicalPlan;
use crate::{Error, Result, error_code};

/// The plan for the documents themselves, in order, without projection: what writes start from.
pub(crate) fn plan_documents(collection: Option<&Arc<Collection>>, query: &Query) -> Result<PhysicalPlan> {
    let Some(collection) = collection else { return Ok(PhysicalPlan::Empty) };
    let access = access::choose(collection, query)?;
    let mut plan = access.plan;
    if matches!(plan, PhysicalPlan::Empty) {
        return Ok(plan);
    }
    if query.filter.text().is_some() {
        plan = PhysicalPlan::TextScore { filter: Arc::clone(&query.filter), input: Box::new(plan) };
    }
    if let Some((path, near)) = query.filter.near() {
        check_geo_index(collection, path, near.distance)?;
        if query.sort.is_none() {
            plan = PhysicalPlan::Near { path: path.clone(), near: near.clone(), input: Box::new(plan) };
        }
    }
    if let (Some(sort), false) = (&query.sort, access.is_sorted) {
        let limit = query.limit.map(|limit| limit.saturating_add(query.skip));
        plan = PhysicalPlan::Sort { sort: Arc::clone(sort), limit, input: Box::new(plan) };
    }
    if query.skip > 0 {
        plan = PhysicalPlan::Skip { skip: query.skip, input: Box::new(plan) };
    }
    if let Some(limit) = query.limit {
        plan = PhysicalPlan::Limit { limit, input: Box::new(plan) };
    }
    Ok(plan)
}

/// The plan of a find.
pub(crate) fn plan_find(collection: Option<&Arc<Collection>>, query: &Query) -> Result<PhysicalPlan> {
    let mut plan = plan_documents(collection, query)?;
    if let (Some(projection), false) = (&query.projection, matches!(plan, PhysicalPlan::Empty)) {
        let filter = projection.needs_position().then(|| Arc::clone(&query.filter));
        plan = PhysicalPlan::Project { projection: Arc::clone(projection), filter, input: Box::new(plan) };
    }
    Ok(plan)
}

/// A search by distance needs a geo index on its path, and one that measures distances the same way.
fn check_geo_index(collection: &Collection, path: &FieldPath, distance: Distance) -> Result<()> {
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
