//! Running pipelines.

use std::sync::Arc;

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_language::aggregate::{Pipeline, PipelineContext, Place, Stage};
use sheaf_language::expression::MetadataSet;

use super::Session;
use super::reading::{Fingerprint, ReadOptions};
use crate::catalog::{CatalogState, VIEW_DEPTH_MAX, buckets_of};
use crate::cursor::{Cursor, Execution, Position};
use crate::operation::{AggregateOperation, AggregateTarget};
use crate::plan::{PhysicalPlan, PreparedStage, Source};
use crate::planner::{self, Chooser, Preparer, Query, QueryCollation, QueryOptions};
use crate::{Error, Namespace, Result, error_code};

/// The collection that pipelines without one are said to read.
const NO_COLLECTION: &str = "$cmd.aggregate";

/// A planned pipeline.
pub(super) struct PlannedPipeline {
    pub(super) plan: PhysicalPlan,
    pub(super) collation: QueryCollation,
    /// The last stage, if it writes.
    pub(super) sink: Option<PreparedStage>,
    pub(super) namespace: Namespace,
}

impl Session {
    /// Runs a pipeline. One that writes (`$out`, `$merge`) has run when this returns, and the cursor is empty.
    pub fn aggregate(&self, operation: &AggregateOperation<'_>) -> Result<Cursor> {
        let fingerprint = fingerprint(operation);
        let position =
            operation.resume_after.map(|bytes| Position::decode(bytes, fingerprint)).transpose()?;
        let read_timestamp =
            position.as_ref().map(|position| position.read_timestamp).or(operation.read_timestamp);
        let snapshot = self.snapshot(read_timestamp)?;
        let mut state = self.catalog_state();
        if read_timestamp.is_some() {
            state = Arc::new(state.as_of(&snapshot)?);
        }
        let options =
            ReadOptions { max_time: operation.common.max_time, allow_disk_use: operation.allow_disk_use };
        let mut watch = None;
        let planned = match &position {
            None => self.plan_pipeline(operation, &state, &mut |collection, query| {
                query.written = planner::may_compete(collection).then(|| written(operation, &state));
                watch = self.choose_index(Some(collection), query, &snapshot, options)?;
                Ok(())
            })?,
            Some(position) => self.plan_again(operation, &state, position)?,
        };
        let execution = self.start(&planned.plan, snapshot, &planned.collation, options).watched(watch);
        if let Some(sink) = &planned.sink {
            self.write_out(operation, &planned, sink, execution)?;
            return Ok(Cursor::from_documents(planned.namespace, []));
        }
        Cursor::from_plan(planned.namespace, planned.plan, execution, fingerprint, position)
    }

    /// Parses and plans a pipeline under a catalog. The snapshot it will read must be older.
    pub(super) fn plan_pipeline(
        &self,
        operation: &AggregateOperation<'_>,
        state: &CatalogState,
        choose: &mut Chooser<'_>,
    ) -> Result<PlannedPipeline> {
        let (namespace, is_collection) = match &operation.target {
            AggregateTarget::Collection(namespace) => (namespace.clone(), true),
            AggregateTarget::Database(database) => (Namespace::new(database, NO_COLLECTION)?, false),
        };
        let collection = if is_collection { state.find(&namespace).cloned() } else { None };
        let base = base_collection(state, &namespace, is_collection);
        // Parses collation, variables and hint; the filter is everything.
        let options = QueryOptions::new(RawDocument::EMPTY, operation.hint, operation.common);
        let mut query = Query::parse(&options, base.as_deref())?;
        if operation.common.collation.is_none()
            && let Some(view) = &collection
        {
            query.collation = QueryCollation::parse(None, Some(view))?;
            query.scope.set_collator(query.collation.collator.clone());
        }
        let mut context = PipelineContext { scope: &mut query.scope, depth: 0, place: Place::Top };
        let pipeline = Pipeline::parse(operation.pipeline.iter().copied(), &mut context)?;
        check_target(&pipeline, is_collection)?;
        // The stages of a view may give what the pipeline asks for.
        if collection.as_ref().is_none_or(|found| found.options.view_on.is_none()) {
            pipeline.asked.check_given(MetadataSet::default())?;
        }
        let asked = pipeline.asked;
        let mut preparer = Preparer {
            state,
            database: namespace.database(),
            scope: &mut query.scope,
            collation: &query.collation,
        };
        let source = if is_collection { preparer.source(&namespace)? } else { Source::default() };
        let mut stages = preparer.prepare(pipeline)?;
        let sink = stages.pop_if(|last| last.stage.is_sink());
        // What the system says of a time series, it says of its buckets.
        let is_series = collection.as_ref().is_some_and(|found| found.options.is_time_series());
        let view_stage = source.stages.first().filter(|_| !is_series);
        let plan = match (view_stage, stages.first().map(|first| first.stage.as_ref())) {
            (None, Some(Stage::System { name, argument })) => {
                let asked = if is_series { buckets_of(&namespace)? } else { namespace.clone() };
                let documents = self.system_documents(
                    name,
                    argument.as_raw(),
                    (&asked, is_collection),
                    operation.system,
                )?;
                let plan = PhysicalPlan::Ready { name, documents: documents.into() };
                planner::add_stages(plan, &stages.iter().skip(1).collect::<Vec<_>>())?
            }
            _ => {
                let wanted = (query.hint, asked);
                planner::plan_pipeline(&source, None, &stages, &query.collation, wanted, choose)?
            }
        };
        Ok(PlannedPipeline { plan, collation: query.collation, sink, namespace })
    }

    /// The plan of a pipeline that is gone on with: with the index it used, whatever would be chosen now.
    fn plan_again(
        &self,
        operation: &AggregateOperation<'_>,
        state: &CatalogState,
        position: &Position,
    ) -> Result<PlannedPipeline> {
        let mut attempt = 0;
        loop {
            let mut is_last = true;
            let planned = self.plan_pipeline(operation, state, &mut |collection, query| {
                let competing = planner::competing(collection, query);
                query.preferred.set(competing.get(attempt).cloned());
                is_last = attempt >= competing.len();
                Ok(())
            })?;
            if is_last || position.is_of(&planned.plan) {
                return Ok(planned);
            }
            attempt += 1;
        }
    }

    fn write_out(
        &self,
        operation: &AggregateOperation<'_>,
        planned: &PlannedPipeline,
        sink: &PreparedStage,
        execution: Execution,
    ) -> Result<()> {
        let namespace = &planned.namespace;
        match sink.stage.as_ref() {
            Stage::Out(out) => self.run_out(operation, namespace, out, execution),
            Stage::Merge(merge) => {
                let collation = planned.collation.document.as_ref();
                self.run_merge(operation, namespace, merge, collation, execution)
            }
            other => Err(Error::internal(format!("{} does not write", other.name()))),
        }
    }
}

/// The query that a pipeline begins with as it was written: the `$match` stages at the beginning, those of views first, and
/// a `$sort` behind them.
fn written(operation: &AggregateOperation<'_>, state: &CatalogState) -> RawDocumentBuf {
    let mut views = Vec::new();
    if let AggregateTarget::Collection(namespace) = &operation.target {
        let mut found = state.find(namespace);
        while let Some(view) = found
            && let Some(view_on) = &view.options.view_on
            && views.len() < VIEW_DEPTH_MAX
        {
            views.push(view.options.pipeline.as_deref().unwrap_or_default());
            let below = Namespace::new(namespace.database(), view_on).ok();
            found = below.and_then(|below| state.find(&below));
        }
    }
    let own = operation.pipeline.iter().filter_map(|stage| stage.as_document());
    let mut stages = views.into_iter().rev().flatten().map(RawDocumentBuf::as_raw).chain(own).peekable();
    let mut matches = Vec::new();
    while let Some(filter) = stages.peek().and_then(|stage| argument(*stage, "$match")) {
        matches.push(filter);
        stages.next();
    }
    let sort = stages.peek().and_then(|stage| argument(*stage, "$sort"));
    let filter = match matches.as_slice() {
        [] => RawDocumentBuf::default(),
        [only] => only.to_buf(),
        several => {
            let mut all = DocumentBuilder::new();
            all.array("$and", |list| {
                for filter in several {
                    list.push(*filter);
                }
            });
            all.build()
        }
    };
    planner::written(filter.as_raw(), sort, None, operation.common.collation)
}

fn argument<'a>(stage: RawDocument<'a>, name: &str) -> Option<RawDocument<'a>> {
    stage.get(name).and_then(ValueRef::as_document)
}

/// The collection under a name, behind any views: hints name its indexes.
pub(super) fn base_collection(
    state: &crate::catalog::CatalogState,
    namespace: &Namespace,
    is_collection: bool,
) -> Option<std::sync::Arc<crate::catalog::Collection>> {
    if !is_collection {
        return None;
    }
    let mut current = state.find(namespace)?;
    // A cycle of views ends the walk; the preparation reports it.
    for _ in 0..64 {
        let Some(view_on) = &current.options.view_on else { return Some(std::sync::Arc::clone(current)) };
        let below = Namespace::new(namespace.database(), view_on).ok()?;
        current = state.find(&below)?;
    }
    None
}

/// A pipeline on a database makes its own documents; one on a collection must not start with `$documents`.
fn check_target(pipeline: &Pipeline, is_collection: bool) -> Result<()> {
    let first = pipeline.stages.first();
    let makes_documents = first.is_some_and(Stage::is_source);
    let refused = |message: String| Err(Error::new(error_code::INVALID_NAMESPACE, message));
    match first {
        None if !is_collection => {
            refused("a pipeline on a database needs a stage that makes documents".to_owned())
        }
        Some(stage) if !is_collection && !makes_documents => {
            refused(format!("{} needs a collection; this pipeline is on a database", stage.name()))
        }
        Some(stage @ Stage::Documents(_)) if is_collection => {
            refused(format!("{} makes its own documents and cannot be used with a collection", stage.name()))
        }
        _ => Ok(()),
    }
}

fn fingerprint(operation: &AggregateOperation<'_>) -> u64 {
    let mut fingerprint = Fingerprint::new("aggregate", None);
    match &operation.target {
        AggregateTarget::Collection(namespace) => fingerprint.add(namespace.to_string().as_bytes()),
        AggregateTarget::Database(database) => fingerprint.add(database.as_bytes()),
    };
    for stage in &operation.pipeline {
        match stage {
            ValueRef::Document(document) => fingerprint.add_document(Some(*document)),
            _ => fingerprint.add_document(None),
        };
    }
    fingerprint
        .add_hint(operation.hint)
        .add_document(operation.common.let_variables)
        .add_document(operation.common.collation);
    fingerprint.finish()
}
