//! The plan of a find: sort, skip, limit and projection on top of the access path.

use std::sync::Arc;

use super::access;
use super::query::Query;
use crate::Result;
use crate::catalog::Collection;
use crate::plan::PhysicalPlan;

/// The plan for the documents themselves, in order, without projection: what writes start from.
pub(crate) fn plan_documents(collection: Option<&Arc<Collection>>, query: &Query) -> Result<PhysicalPlan> {
    let Some(collection) = collection else { return Ok(PhysicalPlan::Empty) };
    let access = access::choose(collection, query)?;
    let mut plan = access.plan;
    if matches!(plan, PhysicalPlan::Empty) {
        return Ok(plan);
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
