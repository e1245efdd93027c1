//! The plan of a find: sort, skip, limit and projection on top of the access path.

use std::sync::Arc;

use super::query::Query;
use super::{access, near};
use crate::Result;
use crate::catalog::Collection;
use crate::plan::PhysicalPlan;

/// The plan for the documents themselves, in order, without projection: what writes start from.
pub(crate) fn plan_documents(collection: Option<&Arc<Collection>>, query: &Query) -> Result<PhysicalPlan> {
    let Some(collection) = collection else { return Ok(PhysicalPlan::Empty) };
    let (mut plan, is_sorted) = match query.filter.near().filter(|_| query.sort.is_none()) {
        Some((path, near)) => (near::plan(collection, query, path, near)?, true),
        None => {
            if query.filter.near().is_some() {
                near::refuse_hint(&query.hint)?;
            }
            let access = access::choose(collection, query)?;
            (access.plan, access.is_sorted)
        }
    };
    if matches!(plan, PhysicalPlan::Empty) {
        return Ok(plan);
    }
    if query.filter.text().is_some() {
        plan = PhysicalPlan::TextScore { filter: Arc::clone(&query.filter), input: Box::new(plan) };
    }
    if let (Some(sort), false) = (&query.sort, is_sorted) {
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
    if matches!(plan, PhysicalPlan::Empty) {
        return Ok(plan);
    }
    if query.index.return_key {
        return Ok(PhysicalPlan::ReturnKey { input: Box::new(plan) });
    }
    if query.index.needs_record_id {
        plan = PhysicalPlan::ShowRecordId { as_field: false, input: Box::new(plan) };
    }
    if let (Some(projection), false) = (&query.projection, matches!(plan, PhysicalPlan::Empty)) {
        let filter = projection.needs_position().then(|| Arc::clone(&query.filter));
        plan = PhysicalPlan::Project { projection: Arc::clone(projection), filter, input: Box::new(plan) };
    }
    if query.index.show_record_id {
        plan = PhysicalPlan::ShowRecordId { as_field: true, input: Box::new(plan) };
    }
    Ok(plan)
}
