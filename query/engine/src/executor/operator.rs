//! The operators under one name, and building them from a plan.

use super::collection_scan::CollectionScan;
use super::documents::Documents;
use super::fetch::Fetch;
use super::filter::FilterRows;
use super::fusion::FusionRows;
use super::geo_near::GeoNear;
use super::id_lookup::IdLookup;
use super::identity::{Identified, Identity};
use super::index_scan::IndexScan;
use super::limit::Limit;
use super::near::NearRows;
use super::project::Project;
use super::rows::Rows;
use super::skip::Skip;
use super::sort::Sort;
use super::spill::SpillReader;
use super::stage::StageRows;
use super::text_score::TextScore;
use super::union::Union;
use super::{ExecutionContext, Row, SpillUse};
use crate::Result;
use crate::plan::{PhysicalPlan, PreparedStage};

/// What an operator looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Examined {
    /// Index entries.
    pub(crate) keys: u64,
    /// Stored documents.
    pub(crate) documents: u64,
}

/// Where operators stand that need not see what is behind them again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Where the scan at the bottom stands.
    pub(crate) key: Vec<u8>,
    /// What operators above it have left to pass over or to return, from the top.
    pub(crate) counters: Vec<u64>,
}

/// An operator with the count of the rows it returned.
pub(crate) struct Operator {
    kind: Kind,
    /// Rows returned so far.
    pub(crate) returned: u64,
    /// Microseconds that it and its inputs took so far, if that is measured.
    pub(crate) micros: u64,
}

enum Kind {
    CollectionScan(CollectionScan),
    Documents(Documents),
    Empty,
    Fetch(Fetch),
    Filter(FilterRows),
    Fusion(FusionRows),
    GeoNear(Box<GeoNear>),
    IdLookup(IdLookup),
    Identity(Identity),
    IndexScan(IndexScan),
    Limit(Limit),
    Near(NearRows),
    Project(Project),
    Rows(Rows),
    Skip(Skip),
    Sort(Sort),
    Stage(StageRows),
    TextScore(TextScore),
    Union(Union),
}

impl Kind {
    /// Whether it makes of each row what it makes of it, whatever came before, and keeps none.
    fn is_row_by_row(&self) -> bool {
        matches!(self, Self::Fetch(_) | Self::Filter(_) | Self::Identity(_) | Self::Project(_))
    }
}

impl Operator {
    /// The operators of a plan.
    pub(crate) fn build(plan: &PhysicalPlan) -> Self {
        let input = |input: &PhysicalPlan| Box::new(Self::build(input));
        let kind = match plan {
            PhysicalPlan::CollectionScan { collection, direction, range, filter } => Kind::CollectionScan(
                CollectionScan::new(collection, *direction, range.clone(), filter.clone()),
            ),
            PhysicalPlan::Documents { expression } => Kind::Documents(Documents::new(expression.clone())),
            PhysicalPlan::Empty => Kind::Empty,
            PhysicalPlan::Fetch { collection, filter, key_of, input: inner } => {
                Kind::Fetch(Fetch::new(collection.id, filter.clone(), key_of.clone(), input(inner)))
            }
            PhysicalPlan::Filter { filter, input: inner } => {
                Kind::Filter(FilterRows::new(filter.clone(), input(inner)))
            }
            PhysicalPlan::Fusion { fusion, inputs } => {
                let inputs = inputs.iter().map(Self::build).collect();
                Kind::Fusion(FusionRows::new(fusion.clone(), inputs))
            }
            PhysicalPlan::GeoNear(near) => Kind::GeoNear(Box::new(GeoNear::new(near))),
            PhysicalPlan::IdLookup { collection, document_key, filter, .. } => {
                Kind::IdLookup(IdLookup::new(collection, document_key.clone(), filter.clone()))
            }
            PhysicalPlan::IndexScan(scan) => Kind::IndexScan(IndexScan::new(scan)),
            PhysicalPlan::Limit { limit, input: inner } => Kind::Limit(Limit::new(*limit, input(inner))),
            PhysicalPlan::Near { path, near, input: inner } => {
                Kind::Near(NearRows::new(path.clone(), near.clone(), input(inner)))
            }
            PhysicalPlan::TextScore { filter, input: inner } => {
                Kind::TextScore(TextScore::new(filter.clone(), input(inner)))
            }
            PhysicalPlan::Project { projection, filter, input: inner } => {
                Kind::Project(Project::new(projection.clone(), filter.clone(), input(inner)))
            }
            PhysicalPlan::Ready { documents, .. } => {
                Kind::Rows(Rows::new(documents.iter().cloned().map(Row::built).collect(), None))
            }
            PhysicalPlan::ReturnKey { input: inner } => {
                Kind::Identity(Identity::new(Identified::Key, input(inner)))
            }
            PhysicalPlan::ShowRecordId { as_field, input: inner } => {
                let what = if *as_field { Identified::RecordIdField } else { Identified::RecordId };
                Kind::Identity(Identity::new(what, input(inner)))
            }
            PhysicalPlan::Skip { skip, input: inner } => Kind::Skip(Skip::new(*skip, input(inner))),
            PhysicalPlan::Sort { sort, limit, input: inner } => {
                Kind::Sort(Sort::new(sort.clone(), *limit, input(inner)))
            }
            PhysicalPlan::Stage { prepared, input: inner } => {
                Kind::Stage(StageRows::new(prepared.clone(), input(inner)))
            }
            PhysicalPlan::Union { inputs } => {
                Kind::Union(Union::new(inputs.iter().map(Self::build).collect()))
            }
        };
        Self { kind, returned: 0, micros: 0 }
    }

    /// Rows that are there already, then those of a temporary file.
    pub(super) fn of_rows_and_file(rows: Vec<Row>, file: Option<SpillReader>) -> Self {
        Self { kind: Kind::Rows(Rows::new(rows, file)), returned: 0, micros: 0 }
    }

    /// The operators of stages on top of this one.
    pub(crate) fn with_stages(self, stages: &[PreparedStage]) -> Result<Self> {
        let stages: Vec<_> = stages.iter().collect();
        let plan = crate::planner::add_stages(PhysicalPlan::Empty, &stages)?;
        let mut input = Some(self);
        Ok(Self::build_over(&plan, &mut input))
    }

    /// As [`Operator::build`], with `bottom` in the place of the plan's empty source.
    fn build_over(plan: &PhysicalPlan, bottom: &mut Option<Self>) -> Self {
        match (plan.inputs(), bottom.take()) {
            ([], Some(bottom)) => bottom,
            ([input], taken) => {
                *bottom = taken;
                let input = Self::build_over(input, bottom);
                let mut operator = Self::build(plan);
                operator.set_input(input);
                operator
            }
            _ => Self::build(plan),
        }
    }

    fn set_input(&mut self, new: Self) {
        if let Some(input) = self.input_mut() {
            *input = new;
        }
    }

    /// The scan of a collection below operators that have one input each; none if there is something else.
    pub(crate) fn scan_mut(&mut self) -> Option<&mut CollectionScan> {
        let mut operator = self;
        while !matches!(operator.kind, Kind::CollectionScan(_)) {
            operator = operator.input_mut()?;
        }
        match &mut operator.kind {
            Kind::CollectionScan(scan) => Some(scan),
            _ => None,
        }
    }

    /// Where it and its inputs stand; none if they have not begun, or cannot go to a place without seeing their input again.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        let mut counters = Vec::new();
        let mut operator = self;
        let key = loop {
            match &operator.kind {
                Kind::CollectionScan(scan) => break scan.place()?,
                Kind::IndexScan(scan) => break scan.place()?,
                Kind::Limit(limit) => counters.push(limit.left),
                Kind::Skip(skip) => counters.push(skip.left),
                kind if kind.is_row_by_row() => {}
                _ => return None,
            }
            operator = operator.inputs().first()?;
        };
        Some(Checkpoint { key: key.to_vec(), counters })
    }

    /// Goes to a place where operators of the same plan stood; `false` if it is of another plan. Only before the first row.
    pub(crate) fn go_to(&mut self, place: &Checkpoint) -> bool {
        let mut counters = place.counters.iter();
        let mut operator = self;
        loop {
            let counter = match &mut operator.kind {
                Kind::CollectionScan(scan) => {
                    scan.go_to(&place.key);
                    return counters.next().is_none();
                }
                Kind::IndexScan(scan) => {
                    scan.go_to(&place.key);
                    return counters.next().is_none();
                }
                Kind::Limit(limit) => Some(&mut limit.left),
                Kind::Skip(skip) => Some(&mut skip.left),
                kind if kind.is_row_by_row() => None,
                _ => return false,
            };
            if let Some(counter) = counter {
                let Some(left) = counters.next() else { return false };
                *counter = *left;
            }
            let Some(input) = operator.input_mut() else { return false };
            operator = input;
        }
    }

    fn input_mut(&mut self) -> Option<&mut Self> {
        let input = match &mut self.kind {
            Kind::CollectionScan(_)
            | Kind::Documents(_)
            | Kind::Empty
            | Kind::Fusion(_)
            | Kind::GeoNear(_)
            | Kind::IdLookup(_)
            | Kind::IndexScan(_)
            | Kind::Rows(_)
            | Kind::Union(_) => return None,
            Kind::Fetch(fetch) => &mut fetch.input,
            Kind::Filter(filter) => &mut filter.input,
            Kind::Identity(identity) => &mut identity.input,
            Kind::Limit(limit) => &mut limit.input,
            Kind::Near(near) => &mut near.input,
            Kind::TextScore(text) => &mut text.input,
            Kind::Project(project) => &mut project.input,
            Kind::Skip(skip) => &mut skip.input,
            Kind::Sort(sort) => &mut sort.input,
            Kind::Stage(stage) => &mut stage.input,
        };
        Some(input)
    }

    /// Appends up to `wanted` rows; appends none only at the end.
    pub(crate) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let before = rows.len();
        let started = context.timer_micros();
        match &mut self.kind {
            Kind::CollectionScan(scan) => scan.pull(context, wanted, rows),
            Kind::Documents(documents) => documents.pull(context, wanted, rows),
            Kind::Empty => Ok(()),
            Kind::Fetch(fetch) => fetch.pull(context, wanted, rows),
            Kind::Filter(filter) => filter.pull(context, wanted, rows),
            Kind::Fusion(fusion) => fusion.pull(context, wanted, rows),
            Kind::GeoNear(near) => near.pull(context, wanted, rows),
            Kind::IdLookup(lookup) => lookup.pull(context, rows),
            Kind::Identity(identity) => identity.pull(context, wanted, rows),
            Kind::IndexScan(scan) => scan.pull(context, wanted, rows),
            Kind::Limit(limit) => limit.pull(context, wanted, rows),
            Kind::Near(near) => near.pull(context, wanted, rows),
            Kind::TextScore(text) => text.pull(context, wanted, rows),
            Kind::Project(project) => project.pull(context, wanted, rows),
            Kind::Rows(ready) => ready.pull(wanted, rows),
            Kind::Skip(skip) => skip.pull(context, wanted, rows),
            Kind::Sort(sort) => sort.pull(context, wanted, rows),
            Kind::Stage(stage) => stage.pull(context, wanted, rows),
            Kind::Union(union) => union.pull(context, wanted, rows),
        }?;
        if let (Some(started), Some(now)) = (started, context.timer_micros()) {
            self.micros += now.saturating_sub(started);
        }
        self.returned += u64::try_from(rows.len() - before).unwrap_or(0);
        Ok(())
    }

    /// Whether it is known, without asking for more, that nothing will follow.
    pub(crate) fn is_finished(&self) -> bool {
        match &self.kind {
            Kind::CollectionScan(_)
            | Kind::Documents(_)
            | Kind::Fusion(_)
            | Kind::GeoNear(_)
            | Kind::IndexScan(_)
            | Kind::Rows(_)
            | Kind::Stage(_)
            | Kind::Union(_) => false,
            Kind::Empty => true,
            Kind::Fetch(fetch) => fetch.input.is_finished(),
            Kind::Filter(filter) => filter.input.is_finished(),
            Kind::IdLookup(lookup) => lookup.is_finished(),
            Kind::Identity(identity) => identity.input.is_finished(),
            Kind::Limit(limit) => limit.is_finished(),
            Kind::Near(_) => false,
            Kind::TextScore(text) => text.input.is_finished(),
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
            Kind::GeoNear(near) => near.examined,
            Kind::IdLookup(lookup) => lookup.examined,
            Kind::IndexScan(scan) => scan.examined,
            _ => Examined::default(),
        }
    }

    /// What it wrote to disk, if it is one that may.
    pub(crate) fn spilled(&self) -> Option<SpillUse> {
        match &self.kind {
            Kind::Sort(sort) => Some(sort.used),
            Kind::Stage(stage) => stage.spilled(),
            _ => None,
        }
    }

    /// Its inputs.
    pub(crate) fn inputs(&self) -> &[Operator] {
        match &self.kind {
            Kind::CollectionScan(_)
            | Kind::Documents(_)
            | Kind::Empty
            | Kind::GeoNear(_)
            | Kind::IdLookup(_)
            | Kind::IndexScan(_)
            | Kind::Rows(_) => &[],
            Kind::Fetch(fetch) => std::slice::from_ref(&fetch.input),
            Kind::Filter(filter) => std::slice::from_ref(&filter.input),
            Kind::Identity(identity) => std::slice::from_ref(&identity.input),
            Kind::Limit(limit) => std::slice::from_ref(&limit.input),
            Kind::Near(near) => std::slice::from_ref(&near.input),
            Kind::TextScore(text) => std::slice::from_ref(&text.input),
            Kind::Project(project) => std::slice::from_ref(&project.input),
            Kind::Skip(skip) => std::slice::from_ref(&skip.input),
            Kind::Sort(sort) => std::slice::from_ref(&sort.input),
            Kind::Stage(stage) => std::slice::from_ref(&stage.input),
            Kind::Fusion(fusion) => &fusion.inputs,
            Kind::Union(union) => &union.inputs,
        }
    }
}
