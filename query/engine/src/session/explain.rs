//! Saying how an operation would run.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_language::aggregate::Stage;
use sheaf_storage::Snapshot;

use super::Session;
use super::choice::Choice;
use super::find::query_options;
use super::reading::{Fingerprint, ReadOptions};
use crate::cursor::Execution;
use crate::executor::Operator;
use crate::operation::{AggregateOperation, ExplainOperation, ExplainTarget, Modification, Verbosity};
use crate::plan::{PhysicalPlan, explain};
use crate::planner::{self, Query, QueryCollation, QueryOptions};
use crate::{Namespace, Result};

/// A plan to explain.
struct Explained {
    namespace: Namespace,
    filter: RawDocumentBuf,
    plan: PhysicalPlan,
    collation: QueryCollation,
    /// The stage that MongoDB shows on top of the plan, for operations that are more than a query.
    top: Option<&'static str>,
    /// Whether the operators above the access path are stages of a pipeline.
    is_pipeline: bool,
    /// Whether an index filter was consulted.
    has_index_filter: bool,
    /// The stage at the end that writes. It is named, not run.
    sink: Option<&'static str>,
    /// What it is known by in the plan cache, and the plans that lost against this one.
    choice: Option<Choice>,
}

impl Session {
    /// Says how an operation would run: a document with `queryPlanner` (or `stages`, for a pipeline with stages of its
    /// own) and, if it was run, `executionStats`. Writes are planned and their documents found, not changed.
    pub fn explain(&self, operation: &ExplainOperation<'_>) -> Result<RawDocumentBuf> {
        let snapshot = self.snapshot(None)?;
        let explained = self.plan_explained(&operation.target, &snapshot)?;
        let run = match operation.verbosity {
            Verbosity::QueryPlanner => None,
            Verbosity::ExecutionStats | Verbosity::AllPlansExecution => {
                Some(self.run_plan(&explained, snapshot)?)
            }
        };
        let mut out = DocumentBuilder::new();
        out.append("explainVersion", "1");
        let all_plans = operation.verbosity == Verbosity::AllPlansExecution;
        match pipeline_depth(&explained) {
            0 if explained.sink.is_none() => write_query(
                &explained,
                &explained.plan,
                run.as_ref().map(Execution::root),
                all_plans,
                &mut out,
            ),
            depth => {
                write_pipeline(&explained, depth, run.as_ref().map(Execution::root), all_plans, &mut out)
            }
        }
        let mut shape = Fingerprint::new("shape", None);
        shape.add(explained.plan.to_string().as_bytes()).add(explained.namespace.to_string().as_bytes());
        out.append("queryShapeHash", format!("{:016X}", shape.finish()));
        Ok(out.build())
    }

    /// The plan of an operation as a tree of text, for people: one line per operator, inputs below.
    pub fn explain_text(&self, target: &ExplainTarget<'_>) -> Result<String> {
        let snapshot = self.snapshot(None)?;
        Ok(self.plan_explained(target, &snapshot)?.plan.to_string())
    }

    fn run_plan(&self, explained: &Explained, snapshot: Snapshot) -> Result<Execution> {
        let options = ReadOptions::default();
        let mut execution = self.start_timed(&explained.plan, snapshot, &explained.collation, options);
        while execution.next_row()?.is_some() {}
        Ok(execution)
    }

    fn plan_explained(&self, target: &ExplainTarget<'_>, snapshot: &Snapshot) -> Result<Explained> {
        let (namespace, options, top) = match target {
            ExplainTarget::Aggregate(operation) => return self.plan_explained_pipeline(operation, snapshot),
            ExplainTarget::Find(operation) => (&operation.namespace, query_options(operation), None),
            ExplainTarget::Count(operation) => {
                (&operation.namespace, super::count::query_options(operation), Some("COUNT"))
            }
            ExplainTarget::Distinct(operation) => {
                let options = QueryOptions::new(operation.filter, operation.hint, operation.common);
                (&operation.namespace, options, None)
            }
            ExplainTarget::Update(operation) => {
                let options = QueryOptions {
                    sort: operation.sort,
                    limit: (!operation.multi).then_some(1),
                    ..QueryOptions::new(operation.filter, operation.hint, operation.common)
                };
                (&operation.namespace, options, Some("UPDATE"))
            }
            ExplainTarget::Delete(operation) => {
                let options = QueryOptions {
                    limit: (!operation.multi).then_some(1),
                    ..QueryOptions::new(operation.filter, operation.hint, operation.common)
                };
                (&operation.namespace, options, Some("DELETE"))
            }
            ExplainTarget::FindAndModify(operation) => {
                let options = QueryOptions {
                    sort: operation.sort,
                    limit: Some(1),
                    ..QueryOptions::new(operation.filter, operation.hint, operation.common)
                };
                let top = match operation.modification {
                    Modification::Remove => "DELETE",
                    Modification::Update { .. } => "UPDATE",
                };
                (&operation.namespace, options, Some(top))
            }
        };
        let collection = self.find_collection(namespace);
        if collection.as_ref().is_some_and(|found| found.options.view_on.is_some()) {
            return self.plan_explained_view(namespace, &options, snapshot);
        }
        let query = Query::parse(&options, collection.as_deref())?;
        let choice = self.choose_explained(collection.as_ref(), &query, snapshot)?;
        let plan = planner::plan_find(collection.as_ref(), &query)?;
        Ok(Explained {
            namespace: namespace.clone(),
            filter: options.filter.to_buf(),
            plan,
            collation: query.collation.clone(),
            top,
            is_pipeline: false,
            has_index_filter: query.allowed.is_some(),
            sink: None,
            choice,
        })
    }

    fn plan_explained_pipeline(
        &self,
        operation: &AggregateOperation<'_>,
        snapshot: &Snapshot,
    ) -> Result<Explained> {
        let mut choice = None;
        let planned = self.plan_pipeline(operation, &self.catalog_state(), &mut |collection, query| {
            choice = self.choose_explained(Some(collection), query, snapshot)?;
            Ok(())
        })?;
        if let Some(Stage::Merge(merge)) = planned.sink.as_ref().map(|sink| sink.stage.as_ref()) {
            self.check_merge(operation, &planned.namespace, merge, planned.collation.document.as_ref())?;
        }
        let filter = operation
            .pipeline
            .first()
            .and_then(|stage| stage.as_document())
            .and_then(|stage| stage.get("$match"))
            .and_then(ValueRef::as_document)
            .unwrap_or(RawDocument::EMPTY);
        Ok(Explained {
            namespace: planned.namespace,
            filter: filter.to_buf(),
            plan: planned.plan,
            collation: planned.collation,
            top: None,
            is_pipeline: true,
            has_index_filter: false,
            sink: planned.sink.as_ref().map(|sink| sink.stage.name()),
            choice,
        })
    }

    fn plan_explained_view(
        &self,
        namespace: &Namespace,
        options: &QueryOptions<'_>,
        snapshot: &Snapshot,
    ) -> Result<Explained> {
        let mut stage = DocumentBuilder::new();
        stage.append_ref("$match", ValueRef::Document(options.filter));
        let stage = stage.build();
        let target = crate::operation::AggregateTarget::Collection(namespace.clone());
        let mut operation = AggregateOperation::new(target, vec![ValueRef::Document(stage.as_raw())]);
        operation.common = options.common;
        self.plan_explained_pipeline(&operation, snapshot)
    }
}

/// How many nodes from the root are a pipeline's own stages: down to the lowest that a plain query does not have.
fn pipeline_depth(explained: &Explained) -> usize {
    if !explained.is_pipeline {
        return 0;
    }
    let mut depth = 0;
    let mut level = 0;
    let mut node = Some(&explained.plan);
    while let Some(plan) = node {
        level += 1;
        let is_stage = matches!(
            plan,
            PhysicalPlan::Stage { .. } | PhysicalPlan::Project { .. } | PhysicalPlan::Documents { .. }
        );
        if is_stage {
            depth = level;
        }
        node = match plan.inputs() {
            [only] => Some(only),
            _ => None,
        };
    }
    depth
}

fn write_query(
    explained: &Explained,
    plan: &PhysicalPlan,
    root: Option<&Operator>,
    all_plans: bool,
    out: &mut DocumentBuilder,
) {
    let filter = explained.filter.as_raw();
    out.document("queryPlanner", |planner| {
        planner.append("namespace", explained.namespace.to_string());
        planner.append_ref("parsedQuery", ValueRef::Document(filter));
        planner.append("indexFilterSet", explained.has_index_filter);
        if let Some(choice) = &explained.choice {
            choice.hashes.append(planner);
        }
        planner.append("optimizationTimeMillis", 0);
        planner.append("maxIndexedOrSolutionsReached", false);
        planner.append("maxIndexedAndSolutionsReached", false);
        planner.append("maxScansToExplodeReached", false);
        planner.document("winningPlan", |winning| {
            winning.append("isCached", explained.choice.as_ref().is_some_and(|choice| choice.is_cached));
            write_top(explained, plan, None, filter, winning);
        });
        planner.array("rejectedPlans", |list| {
            for (loser, is_cached) in explained.choice.iter().flat_map(|choice| &choice.rejected) {
                list.document(|shown| {
                    shown.append("isCached", *is_cached);
                    write_top(explained, loser, None, filter, shown);
                });
            }
        });
    });
    let Some(root) = root else { return };
    let examined = explain::total(root);
    out.document("executionStats", |stats| {
        stats.append("executionSuccess", true);
        stats.append("nReturned", explain::number(root.returned));
        stats.append("executionTimeMillis", explain::number(root.micros / 1_000));
        stats.append("totalKeysExamined", explain::number(examined.keys));
        stats.append("totalDocsExamined", explain::number(examined.documents));
        stats.document("executionStages", |stage| write_top(explained, plan, Some(root), filter, stage));
        if all_plans {
            stats.array("allPlansExecution", |_| {});
        }
    });
}

fn write_top(
    explained: &Explained,
    plan: &PhysicalPlan,
    root: Option<&Operator>,
    filter: RawDocument<'_>,
    out: &mut DocumentBuilder,
) {
    match explained.top {
        None => explain::write_stage(plan, root, filter, out),
        Some(top) => {
            out.append("stage", top);
            out.document("inputStage", |input| explain::write_stage(plan, root, filter, input));
        }
    }
}

fn write_pipeline(
    explained: &Explained,
    depth: usize,
    root: Option<&Operator>,
    all_plans: bool,
    out: &mut DocumentBuilder,
) {
    let mut own = Vec::new();
    let (mut plan, mut operator) = (&explained.plan, root);
    let mut below = (depth == 0).then_some((plan, operator));
    for _ in 0..depth {
        own.push((plan, operator));
        below = plan.inputs().first().map(|input| (input, operator.and_then(|own| own.inputs().first())));
        if let Some((next, next_operator)) = below {
            plan = next;
            operator = next_operator;
        }
    }
    out.array("stages", |stages| {
        if let Some((plan, operator)) = below {
            stages.document(|stage| {
                stage.document("$cursor", |cursor| write_query(explained, plan, operator, all_plans, cursor));
            });
        }
        for (plan, operator) in own.iter().rev() {
            stages.document(|stage| {
                stage.document(pipeline_name(plan), |_| {});
                if let Some(operator) = operator {
                    stage.append("nReturned", explain::number(operator.returned));
                    explain::write_spilled(operator, stage);
                }
            });
        }
        if let Some(sink) = explained.sink {
            stages.document(|stage| {
                stage.document(sink, |_| {});
            });
        }
    });
}

/// The stage that a node of a pipeline's plan was written as.
fn pipeline_name(plan: &PhysicalPlan) -> &'static str {
    match plan {
        PhysicalPlan::Filter { .. } => "$match",
        PhysicalPlan::Limit { .. } => "$limit",
        PhysicalPlan::Project { .. } => "$project",
        PhysicalPlan::Skip { .. } => "$skip",
        PhysicalPlan::Sort { .. } => "$sort",
        other => other.stage_name(),
    }
}
