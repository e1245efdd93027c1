//! The operators under one name, and building them from a plan.

use super::collection_scan::CollectionScan;
use super::fetch::Fetch;
use super::filter::FilterRows;
use super::id_lookup::IdLookup;
use super::index_scan::IndexScan;
use super::limit::Limit;
use super::project::Project;
use super::skip::Skip;
use super::sort::Sort;
use super::union::Union;
use super::{ExecutionContext, Row};
use crate::Result;
use crate::plan::PhysicalPlan;

/// What an operator looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Examined {
    /// Index entries.
    pub(crate) keys: u64,
    /// Stored documents.
    pub(crate) documents: u64,
}

/// An operator with the count of the rows it returned.
pub(crate) struct Operator {
    kind: Kind,
    /// Rows returned so far.
    pub(crate) returned: u64,
}

enum Kind {
    CollectionScan(CollectionScan),
    Empty,
    Fetch(Fetch),
    Filter(FilterRows),
    IdLookup(IdLookup),
    IndexScan(IndexScan),
    Limit(Limit),
    Project(Project),
    Skip(Skip),
    Sort(Sort),
    Union(Union),
}

impl Operator {
    /// The operators of a plan.
    pub(crate) fn build(plan: &PhysicalPlan) -> Self {
        let input = |input: &PhysicalPlan| Box::new(Self::build(input));
        let kind = match plan {
            PhysicalPlan::CollectionScan { collection, direction, range, filter } => Kind::CollectionScan(
                CollectionScan::new(collection, *direction, range.clone(), filter.clone()),
            ),
            PhysicalPlan::Empty => Kind::Empty,
            PhysicalPlan::Fetch { collection, filter, input: inner } => {
                Kind::Fetch(Fetch::new(collection.id, filter.clone(), input(inner)))
            }
            PhysicalPlan::Filter { filter, input: inner } => {
                Kind::Filter(FilterRows::new(filter.clone(), input(inner)))
            }
            PhysicalPlan::IdLookup { collection, document_key, filter, .. } => {
                Kind::IdLookup(IdLookup::new(collection.id, document_key.clone(), filter.clone()))
            }
            PhysicalPlan::IndexScan(scan) => Kind::IndexScan(IndexScan::new(scan)),
            PhysicalPlan::Limit { limit, input: inner } => Kind::Limit(Limit::new(*limit, input(inner))),
            PhysicalPlan::Project { projection, filter, input: inner } => {
                Kind::Project(Project::new(projection.clone(), filter.clone(), input(inner)))
            }
            PhysicalPlan::Skip { skip, input: inner } => Kind::Skip(Skip::new(*skip, input(inner))),
            PhysicalPlan::Sort { sort, limit, input: inner } => {
                Kind::Sort(Sort::new(sort.clone(), *limit, input(inner)))
            }
            PhysicalPlan::Union { inputs } => {
                Kind::Union(Union::new(inputs.iter().map(Self::build).collect()))
            }
        };
        Self { kind, returned: 0 }
    }

    /// Appends up to `wanted` rows; appends none only at the end.
    pub(crate) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let before = rows.len();
        match &mut self.kind {
            Kind::CollectionScan(scan) => scan.pull(context, wanted, rows),
            Kind::Empty => Ok(()),
            Kind::Fetch(fetch) => fetch.pull(context, wanted, rows),
            Kind::Filter(filter) => filter.pull(context, wanted, rows),
            Kind::IdLookup(lookup) => lookup.pull(context, rows),
            Kind::IndexScan(scan) => scan.pull(context, wanted, rows),
            Kind::Limit(limit) => limit.pull(context, wanted, rows),
            Kind::Project(project) => project.pull(context, wanted, rows),
            Kind::Skip(skip) => skip.pull(context, wanted, rows),
            Kind::Sort(sort) => sort.pull(context, wanted, rows),
            Kind::Union(union) => union.pull(context, wanted, rows),
        }?;
        self.returned += u64::try_from(rows.len() - before).unwrap_or(0);
        Ok(())
    }

    /// Whether it is known, without asking for more, that nothing will follow.
    pub(crate) fn is_finished(&self) -> bool {
        match &self.kind {
            Kind::CollectionScan(_) | Kind::IndexScan(_) | Kind::Union(_) => false,
            Kind::Empty => true,
            Kind::Fetch(fetch) => fetch.input.is_finished(),
            Kind::Filter(filter) => filter.input.is_finished(),
            Kind::IdLookup(lookup) => lookup.is_finished(),
            Kind::Limit(limit) => limit.is_finished(),
            Kind::Project(project) => project.input.is_finished(),
            Kind::Skip(skip) => skip.input.is_finished(),
            Kind::Sort(sort) => sort.is_finished(),
        }
    }

    /// What it looked at itself, inputs not counted.
    pub(crate) fn examined(&self) -> Examined {
        match &self.kind {
            Kind::CollectionScan(scan) => scan.examined,
            Kind::Fetch(fetch) => fetch.examined,
            Kind::IdLookup(lookup) => lookup.examined,
            Kind::IndexScan(scan) => scan.examined,
            _ => Examined::default(),
        }
    }

    /// Its inputs.
    pub(crate) fn inputs(&self) -> &[Operator] {
        match &self.kind {
            Kind::CollectionScan(_) | Kind::Empty | Kind::IdLookup(_) | Kind::IndexScan(_) => &[],
            Kind::Fetch(fetch) => std::slice::from_ref(&fetch.input),
            Kind::Filter(filter) => std::slice::from_ref(&filter.input),
            Kind::Limit(limit) => std::slice::from_ref(&limit.input),
            Kind::Project(project) => std::slice::from_ref(&project.input),
            Kind::Skip(skip) => std::slice::from_ref(&skip.input),
            Kind::Sort(sort) => std::slice::from_ref(&sort.input),
            Kind::Union(union) => &union.inputs,
        }
    }
}
