//! Plans of pipelines: views are spelled out, then what a scan can do moves into it.
//!
//! `$match` stages at the front become the filter of the access path, a `$sort` behind them its order, a `$skip` and
//! `$limit` behind that cut it short. All other stages become operators in their order.

use std::sync::Arc;

use sheaf_document::{RawDocumentBuf, ValueRef};
use sheaf_language::Filter;
use sheaf_language::aggregate::{GeoNear, Pipeline, PipelineContext, Place, Stage};
use sheaf_language::expression::{MetadataSet, Scope};
use sheaf_language::filter::Predicate;
use sheaf_language::filter::path::FieldPath;
use sheaf_language::geometry::Distance;

use super::find::plan_documents;
use super::near as near_plan;
use super::query::{HintChoice, IndexRequest, Preferred, Query, QueryCollation, bind_text};
use super::time_series;
use crate::catalog::{CatalogState, Collection, IndexFieldKind, VIEW_DEPTH_MAX};
use crate::plan::{PhysicalPlan, PreparedStage, Source};
use crate::{Error, Namespace, Result, error_code};

/// Looks up what pipelines name.
pub(crate) struct Preparer<'a> {
    pub(crate) state: &'a CatalogState,
    /// The database that names without one belong to.
    pub(crate) database: &'a str,
    /// Shared by all pipelines of the operation, so that their variables stay apart.
    pub(crate) scope: &'a mut Scope,
    /// The operation's collation, which views must have too.
    pub(crate) collation: &'a QueryCollation,
}

impl Preparer<'_> {
    /// Where the documents of a collection or view come from.
    pub(crate) fn source(&mut self, namespace: &Namespace) -> Result<Source> {
        self.source_at(namespace, 0)
    }

    fn source_at(&mut self, namespace: &Namespace, depth: usize) -> Result<Source> {
        let Some(found) = self.state.find(namespace) else { return Ok(Source::default()) };
        let Some(view_on) = &found.options.view_on else {
            return Ok(Source { collection: Some(Arc::clone(found)), stages: Vec::new() });
        };
        if depth >= VIEW_DEPTH_MAX {
            return Err(Error::new(
                error_code::VIEW_DEPTH_LIMIT_EXCEEDED,
                format!("views lead to views more than {VIEW_DEPTH_MAX} times, the last is {namespace}"),
            ));
        }
        if !found.options.is_time_series() {
            self.check_collation(found)?;
        }
        let below = Namespace::new(namespace.database(), view_on)?;
        let mut source = self.source_at(&below, depth + 1)?;
        if let Some(series) = found.time_series()? {
            let stage = Arc::new(Stage::UnpackBucket(series.unpack()));
            source.stages.push(PreparedStage { stage, foreign: None, inner: Vec::new() });
            return Ok(source);
        }
        let documents: &[RawDocumentBuf] = found.options.pipeline.as_deref().unwrap_or_default();
        let stages = documents.iter().map(|document| ValueRef::Document(document.as_raw()));
        let mark = self.scope.mark();
        let mut context = PipelineContext { scope: self.scope, depth: 0, place: Place::View };
        let pipeline = Pipeline::parse(stages, &mut context)?;
        self.scope.forget(mark);
        source.stages.extend(self.prepare(pipeline)?);
        Ok(source)
    }

    fn check_collation(&self, view: &Collection) -> Result<()> {
        if self.collation.document == view.options.collation {
            return Ok(());
        }
        Err(Error::new(
            error_code::OPTION_NOT_SUPPORTED_ON_VIEW,
            format!("the collation of the operation is not that of the view {}", view.namespace),
        ))
    }

    /// Looks up what the stages of a pipeline name.
    pub(crate) fn prepare(&mut self, pipeline: Pipeline) -> Result<Vec<PreparedStage>> {
        pipeline.stages.into_iter().map(|stage| self.stage(stage)).collect()
    }

    fn stage(&mut self, stage: Stage) -> Result<PreparedStage> {
        let from = match &stage {
            Stage::Lookup(lookup) => lookup.from.as_deref(),
            Stage::GraphLookup(lookup) => Some(lookup.from.as_str()),
            Stage::UnionWith(union) => union.from.as_deref(),
            _ => None,
        };
        // A name that no collection can have names none, which is no error: there is nothing to join.
        let foreign = match from.map(|name| Namespace::new(self.database, name)) {
            Some(Ok(namespace)) => Some(Arc::new(self.source(&namespace)?)),
            Some(Err(_)) => Some(Arc::new(Source::default())),
            None => None,
        };
        let pipelines: Vec<Pipeline> = match &stage {
            Stage::Fusion(fusion) => fusion.inputs.iter().map(|input| input.pipeline.clone()).collect(),
            Stage::Facet(facets) => facets.iter().map(|(_, pipeline)| pipeline.clone()).collect(),
            Stage::Lookup(lookup) => lookup.pipeline.iter().cloned().collect(),
            Stage::UnionWith(union) => vec![union.pipeline.clone()],
            _ => Vec::new(),
        };
        let inner = pipelines
            .into_iter()
            .map(|pipeline| self.prepare(pipeline).map(Arc::from))
            .collect::<Result<Vec<_>>>()?;
        Ok(PreparedStage { stage: Arc::new(stage), foreign, inner })
    }
}

/// Who is asked for the index of the query that a pipeline begins with.
pub(crate) type Chooser<'a> = dyn FnMut(&Arc<Collection>, &mut Query) -> Result<()> + 'a;

/// The plan of a pipeline over a source. `extra` is a filter in front of the pipeline's own stages; `asked` is the metadata
/// that its expressions want of the source.
pub(crate) fn plan_pipeline(
    source: &Source,
    extra: Option<&Filter>,
    stages: &[PreparedStage],
    collation: &QueryCollation,
    (hint, asked): (HintChoice, MetadataSet),
    choose: &mut Chooser<'_>,
) -> Result<PhysicalPlan> {
    let own_filter = extra.map(|filter| PreparedStage {
        stage: Arc::new(Stage::Match(filter.clone())),
        foreign: None,
        inner: Vec::new(),
    });
    // Stages that make their own documents stand in front of a filter on them.
    let makes = usize::from(stages.first().is_some_and(|first| first.stage.is_source()));
    let (makers, stages) = stages.split_at_checked(makes).unwrap_or((&[], stages));
    let chain: Vec<&PreparedStage> =
        source.stages.iter().chain(makers).chain(&own_filter).chain(stages).collect();
    if let Some(first) = chain.first()
        && first.stage.is_source()
    {
        let plan = source_stage(&first.stage)?;
        return add_stages(plan, chain.get(1..).unwrap_or_default());
    }
    let fusion_at = chain.iter().position(|prepared| matches!(prepared.stage.as_ref(), Stage::Fusion(_)));
    if let Some((below, [fusion, behind @ ..])) = fusion_at.and_then(|at| chain.split_at_checked(at)) {
        let plan = plan_fusion(source.collection.as_ref(), below, fusion, (collation, (hint, asked)))?;
        return add_stages(plan, behind);
    }
    if let Some(Stage::GeoNear(near)) = chain.first().map(|first| first.stage.as_ref()) {
        let plan = plan_geo_near(source.collection.as_ref(), near, collation, &hint)?;
        return add_stages(plan, &chain);
    }
    if let (Some(Stage::UnpackBucket(_)), Some(buckets)) =
        (chain.first().map(|first| first.stage.as_ref()), &source.collection)
        && let Some(series) = buckets.time_series()?
    {
        let behind = chain.get(1..).unwrap_or_default();
        if behind.iter().any(|prepared| matches!(prepared.stage.as_ref(), Stage::GeoNear(_))) {
            return Err(Error::not_supported("$geoNear on a time series"));
        }
        let query = time_series::absorb_matches(&series, behind, collation, hint);
        return add_stages(plan_documents(Some(buckets), &query)?, &chain);
    }
    let (mut query, used) = absorb(&chain, collation, hint);
    // The entries of a text index are words, which are no key of a document.
    query.index.needs_key = asked.intersects(MetadataSet::INDEX_KEY) && query.filter.text().is_none();
    if let Some(filter) = Arc::get_mut(&mut query.filter) {
        bind_text(filter, source.collection.as_deref())?;
    }
    if let Some(collection) = &source.collection {
        query.consult_filters(collection, None);
        choose(collection, &mut query)?;
    }
    let mut plan = plan_documents(source.collection.as_ref(), &query)?;
    if asked.intersects(MetadataSet::RECORD_ID) {
        plan = PhysicalPlan::ShowRecordId { as_field: false, input: Box::new(plan) };
    }
    add_stages(plan, chain.get(used..).unwrap_or_default())
}

/// The inputs of a fusion, each behind the same stages: those of a view, or a filter.
fn plan_fusion(
    collection: Option<&Arc<Collection>>,
    below: &[&PreparedStage],
    prepared: &PreparedStage,
    (collation, wanted): (&QueryCollation, (HintChoice, MetadataSet)),
) -> Result<PhysicalPlan> {
    let Stage::Fusion(fusion) = prepared.stage.as_ref() else {
        return Err(Error::internal("the plan of a fusion was asked of another stage"));
    };
    let buckets = below.iter().any(|stage| matches!(stage.stage.as_ref(), Stage::UnpackBucket(_)));
    if buckets {
        return Err(Error::location(10_557_301, format!("{} cannot search a time series", fusion.name())));
    }
    let below = below.iter().map(|stage| (*stage).clone()).collect();
    let source = Source { collection: collection.cloned(), stages: below };
    // Planned by rule: several queries of one operation are not tried out against each other.
    let inputs = prepared
        .inner
        .iter()
        .map(|inner| plan_pipeline(&source, None, inner, collation, wanted.clone(), &mut |_, _| Ok(())));
    Ok(PhysicalPlan::Fusion { fusion: Arc::new((**fusion).clone()), inputs: inputs.collect::<Result<_>>()? })
}

/// The documents that a `$geoNear` measures, nearest first.
fn plan_geo_near(
    collection: Option<&Arc<Collection>>,
    near: &GeoNear,
    collation: &QueryCollation,
    hint: &HintChoice,
) -> Result<PhysicalPlan> {
    near_plan::refuse_hint(hint)?;
    let Some(collection) = collection else { return Ok(PhysicalPlan::Empty) };
    let path = geo_path(collection, near)?;
    let filter = Arc::new(near.query.clone());
    let query = Query {
        filter,
        sort: None,
        projection: None,
        skip: 0,
        limit: None,
        hint: hint.clone(),
        collation: collation.clone(),
        index: IndexRequest::default(),
        allowed: None,
        preferred: Preferred::default(),
        written: None,
        scope: Scope::new(),
    };
    near_plan::plan(collection, &query, &FieldPath::parse(&path), &near.near)
}

/// The path of a `$geoNear`: the given one, which must have a geo index, or that of the one geo index there is.
fn geo_path(collection: &Collection, near: &GeoNear) -> Result<String> {
    let paths = |kind: IndexFieldKind| -> Vec<&str> {
        let indexes = collection.indexes.iter().filter(|index| !index.specification.hidden);
        let fields = indexes.flat_map(|index| index.specification.key.fields());
        fields.filter(|field| field.kind == kind).map(|field| field.path.as_str()).collect()
    };
    let (sphere, plane) = (paths(IndexFieldKind::Sphere2d), paths(IndexFieldKind::Plane2d));
    let none =
        |code, what: &str| Err(Error::new(code, format!("{} has no geo index {what}", collection.namespace)));
    if let Some(key) = &near.key {
        if sphere.contains(&key.as_str()) || plane.contains(&key.as_str()) {
            return Ok(key.clone());
        }
        return none(error_code::NO_QUERY_EXECUTION_PLANS, &format!("on '{key}', which $geoNear names"));
    }
    let wanted = if near.near.distance == Distance::Planar && !plane.is_empty() || sphere.is_empty() {
        plane
    } else {
        sphere
    };
    match wanted.as_slice() {
        [] => none(error_code::INDEX_NOT_FOUND, "for $geoNear"),
        [only] => Ok((*only).to_owned()),
        _ => Err(Error::new(
            error_code::INDEX_NOT_FOUND,
            format!("{} has several geo indexes; the 'key' of $geoNear says which", collection.namespace),
        )),
    }
}

fn source_stage(stage: &Stage) -> Result<PhysicalPlan> {
    match stage {
        Stage::Documents(expression) => {
            Ok(PhysicalPlan::Documents { expression: Arc::new(expression.clone()) })
        }
        other => Err(Error::not_supported(format_args!("the stage {}", other.name()))),
    }
}

/// The query that the first stages make, and how many they are.
fn absorb(chain: &[&PreparedStage], collation: &QueryCollation, hint: HintChoice) -> (Query, usize) {
    let mut filters: Vec<Predicate> = Vec::new();
    let mut used = 0;
    while let Some(Stage::Match(filter)) = chain.get(used).map(|prepared| prepared.stage.as_ref()) {
        filters.push(filter.predicate().clone());
        used += 1;
    }
    let filter = match filters.pop() {
        None => Filter::everything(),
        Some(only) if filters.is_empty() => Filter::from_predicate(only),
        Some(last) => {
            filters.push(last);
            Filter::from_predicate(Predicate::And(filters))
        }
    };
    let mut query = Query {
        filter: Arc::new(filter),
        sort: None,
        projection: None,
        skip: 0,
        limit: None,
        hint,
        collation: collation.clone(),
        index: IndexRequest::default(),
        allowed: None,
        preferred: Preferred::default(),
        written: None,
        scope: Scope::new(),
    };
    let at = |position: usize| chain.get(position).map(|prepared| prepared.stage.as_ref());
    if let Some(Stage::Sort(sort)) = at(used) {
        query.sort = Some(Arc::new(sort.clone()));
        used += 1;
    }
    if let (Some(Stage::Skip(skip)), Some(Stage::Limit(_))) = (at(used), at(used + 1)) {
        query.skip = *skip;
        used += 1;
    }
    if let Some(Stage::Limit(limit)) = at(used) {
        query.limit = Some(*limit);
        used += 1;
    }
    (query, used)
}

/// Puts operators for stages on top of a plan.
pub(crate) fn add_stages(mut plan: PhysicalPlan, stages: &[&PreparedStage]) -> Result<PhysicalPlan> {
    for (position, prepared) in stages.iter().enumerate() {
        let input = Box::new(plan);
        plan = match prepared.stage.as_ref() {
            Stage::Match(filter) => PhysicalPlan::Filter { filter: Arc::new(filter.clone()), input },
            Stage::Limit(limit) => PhysicalPlan::Limit { limit: *limit, input },
            Stage::Skip(skip) => PhysicalPlan::Skip { skip: *skip, input },
            Stage::Sort(sort) => {
                let limit = limit_behind(stages.get(position + 1..).unwrap_or_default());
                PhysicalPlan::Sort { sort: Arc::new(sort.clone()), limit, input }
            }
            Stage::AddFields(projection) | Stage::Project(projection) => {
                PhysicalPlan::Project { projection: Arc::new(projection.clone()), filter: None, input }
            }
            stage @ (Stage::Documents(_)
            | Stage::Fusion(_)
            | Stage::System { .. }
            | Stage::Out(_)
            | Stage::Merge(_)) => {
                return Err(Error::internal(format!("the stage {} has no operator", stage.name())));
            }
            _ => PhysicalPlan::Stage { prepared: (*prepared).clone(), input },
        };
    }
    Ok(plan)
}

/// How many rows of a sort the stages behind it look at.
fn limit_behind(stages: &[&PreparedStage]) -> Option<u64> {
    let mut skipped = 0u64;
    for prepared in stages {
        match prepared.stage.as_ref() {
            Stage::Skip(skip) => skipped = skipped.saturating_add(*skip),
            Stage::Limit(limit) => return Some(limit.saturating_add(skipped)),
            _ => return None,
        }
    }
    None
}
