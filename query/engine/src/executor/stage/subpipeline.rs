//! Running the inner pipeline of a stage over the collection it names, at the snapshot of the whole execution.

use sheaf_document::{RawDocument, RawDocumentBuf};
use sheaf_language::Filter;
use sheaf_language::expression::{MetadataSet, Scope};

use super::read_all;
use crate::Result;
use crate::executor::{ExecutionContext, Operator, Row};
use crate::plan::{PhysicalPlan, PreparedStage, Source};
use crate::planner::{self, HintChoice, QueryCollation};

/// The operators for the documents of the other collection that fulfil `filter`, behind the inner pipeline.
pub(super) fn operator(
    prepared: &PreparedStage,
    filter: Option<&Filter>,
    context: &ExecutionContext,
) -> Result<Operator> {
    operator_for(prepared, filter, context).map(|(operator, _)| operator)
}

/// What a plan reads of a collection.
pub(super) enum Access {
    /// It was known that nothing fits.
    Nothing,
    /// What an index leads to.
    Part,
    /// Every document.
    WholeCollection,
}

/// As [`operator`], and what that reads.
pub(super) fn operator_for(
    prepared: &PreparedStage,
    filter: Option<&Filter>,
    context: &ExecutionContext,
) -> Result<(Operator, Access)> {
    let stages = prepared.inner.first().map(AsRef::as_ref).unwrap_or_default();
    let plan = plan(prepared, filter, stages, context)?;
    plan.count_usage();
    Ok((Operator::build(&plan), access(&plan)))
}

/// The operators for all documents of the other collection, before the inner pipeline.
pub(super) fn source(prepared: &PreparedStage, context: &ExecutionContext) -> Result<Operator> {
    Ok(Operator::build(&plan(prepared, None, &[], context)?))
}

fn plan(
    prepared: &PreparedStage,
    filter: Option<&Filter>,
    stages: &[PreparedStage],
    context: &ExecutionContext,
) -> Result<PhysicalPlan> {
    let nowhere = Source::default();
    let source = prepared.foreign.as_deref().unwrap_or(&nowhere);
    let collation = QueryCollation {
        document: context.collation.clone(),
        collator: context.environment.collator.clone(),
    };
    // Planned by rule: what one document of the other side asks for is not tried out.
    let wanted = (HintChoice::None, MetadataSet::default());
    planner::plan_pipeline(source, filter, stages, &collation, wanted, &mut |_, _| Ok(()))
}

fn access(plan: &PhysicalPlan) -> Access {
    match (plan, plan.inputs()) {
        (PhysicalPlan::CollectionScan { range: None, .. }, _) => Access::WholeCollection,
        (PhysicalPlan::Empty, _) => Access::Nothing,
        (_, [input]) => access(input),
        _ => Access::Part,
    }
}

/// All rows of it.
pub(super) fn run(
    prepared: &PreparedStage,
    filter: Option<&Filter>,
    context: &mut ExecutionContext,
    stage: &str,
) -> Result<Vec<Row>> {
    read_all(&mut operator(prepared, filter, context)?, context, stage)
}

/// A filter that was made for one document.
pub(super) fn filter(document: RawDocument<'_>, context: &ExecutionContext) -> Result<Filter> {
    let mut scope = Scope::new();
    scope.set_collator(context.environment.collator.clone());
    Ok(Filter::parse(document, &mut scope)?)
}

/// The documents of rows as an array in bytes.
pub(super) fn array_of(rows: &[Row]) -> Result<RawDocumentBuf> {
    let mut array = sheaf_document::ArrayBuilder::new();
    for row in rows {
        array.push_ref(sheaf_document::ValueRef::Document(row.document()?));
    }
    Ok(array.build())
}
