//! Reading a pipeline: each stage by its name, then what must hold of their order.

use sheaf_document::{DocumentBuilder, RawDocument, ValueRef};

use super::{
    BucketAuto, Densify, GeoNear, Group, PIPELINE_DEPTH_MAX, Pipeline, PipelineContext, Place, Redact,
    ReplaceRoot, STAGES_MAX, Score, SetWindowFields, Stage, Unwind, bucket, documents, fill, fusion, join,
    limits, sample, write_stage,
};
use crate::expression::MetadataSet;
use crate::filter::Filter;
use crate::projection::{Projection, ProjectionKind};
use crate::sort::SortSpec;
use crate::{Error, ErrorCode, Result};

/// Reads a stage's argument into one or more stages.
type Parser = fn(ValueRef<'_>, &mut PipelineContext<'_>) -> Result<Vec<Stage>>;

/// The stages by name.
const STAGES: &[(&str, Parser)] = &[
    ("$addFields", |value, context| add_fields("$addFields", value, context)),
    ("$bucket", bucket::parse),
    ("$bucketAuto", |value, context| {
        one(BucketAuto::parse(value, context.scope).map(Box::new), Stage::BucketAuto)
    }),
    ("$count", count),
    ("$densify", |value, _| one(Densify::parse(value).map(Box::new), Stage::Densify)),
    ("$documents", documents::parse),
    ("$facet", facet),
    ("$fill", fill::parse),
    ("$geoNear", |value, context| one(GeoNear::parse(value, context.scope).map(Box::new), Stage::GeoNear)),
    ("$graphLookup", |value, context| {
        one(join::parse_graph_lookup(value, context).map(Box::new), Stage::GraphLookup)
    }),
    ("$group", |value, context| one(Group::parse(value, context.scope).map(Box::new), Stage::Group)),
    ("$limit", |value, _| one(limits::limit(value), Stage::Limit)),
    ("$lookup", |value, context| one(join::parse_lookup(value, context).map(Box::new), Stage::Lookup)),
    ("$match", matching),
    ("$merge", |value, context| one(write_stage::parse_merge(value, context).map(Box::new), Stage::Merge)),
    ("$out", |value, _| one(write_stage::parse_out(value), Stage::Out)),
    ("$project", project),
    ("$rankFusion", fusion::parse_rank_fusion),
    ("$redact", |value, context| one(Redact::parse(value, context.scope), Stage::Redact)),
    ("$replaceRoot", |value, context| one(ReplaceRoot::parse_root(value, context.scope), Stage::ReplaceRoot)),
    ("$replaceWith", |value, context| one(ReplaceRoot::parse_with(value, context.scope), Stage::ReplaceRoot)),
    ("$sample", |value, _| one(sample::parse(value), Stage::Sample)),
    ("$score", |value, context| Score::parse(value, context.scope)),
    ("$scoreFusion", fusion::parse_score_fusion),
    ("$set", |value, context| add_fields("$set", value, context)),
    ("$setWindowFields", |value, context| {
        one(SetWindowFields::parse(value, context.scope).map(Box::new), Stage::SetWindowFields)
    }),
    ("$skip", |value, _| one(limits::skip(value), Stage::Skip)),
    ("$sort", sort),
    ("$sortByCount", sort_by_count),
    ("$unionWith", |value, context| one(join::parse_union_with(value, context), Stage::UnionWith)),
    ("$unset", |value, _| one(Projection::parse_unset(value), Stage::Project)),
    ("$unwind", |value, _| one(Unwind::parse(value), Stage::Unwind)),
];

/// Stages that read the system.
const SYSTEM_STAGES: &[&str] = &[
    "$collStats",
    "$currentOp",
    "$indexStats",
    "$listCatalog",
    "$listClusterCatalog",
    "$listLocalSessions",
    "$listSessions",
    "$planCacheStats",
    "$querySettings",
];

/// Stages that cannot stand anywhere in a `$facet`, whether they are there otherwise or not.
const FACET_REFUSED: &[&str] = &[
    "$changeStream",
    "$changeStreamSplitLargeEvent",
    "$collStats",
    "$facet",
    "$geoNear",
    "$indexStats",
    "$listSampledQueries",
    "$listSearchIndexes",
    "$planCacheStats",
    "$queryStats",
    "$rankFusion",
    "$scoreFusion",
    "$search",
    "$searchBeta",
    "$searchMeta",
    "$shardedDataDistribution",
    "$vectorSearch",
];

/// Stages that the change of an update may have.
const UPDATE_STAGES: &[&str] =
    &["$addFields", "$fill", "$project", "$replaceRoot", "$replaceWith", "$set", "$unset"];

/// Whether a stage has this name, here or elsewhere.
pub(super) fn is_stage(name: &str) -> bool {
    STAGES.iter().any(|(known, _)| *known == name)
        || SYSTEM_STAGES.contains(&name)
        || FACET_REFUSED.contains(&name)
}

fn one<T>(parsed: Result<T>, stage: fn(T) -> Stage) -> Result<Vec<Stage>> {
    Ok(vec![stage(parsed?)])
}

impl Pipeline {
    /// Reads the stages of a pipeline.
    pub fn parse<'v>(
        stages: impl IntoIterator<Item = ValueRef<'v>>,
        context: &mut PipelineContext<'_>,
    ) -> Result<Self> {
        if context.depth > PIPELINE_DEPTH_MAX {
            let reason = format!("pipelines are nested more than {PIPELINE_DEPTH_MAX} deep");
            return Err(Error::new(ErrorCode::MAX_SUB_PIPELINE_DEPTH_EXCEEDED, reason));
        }
        let mut pipeline = Self::default();
        let mut count = 0usize;
        for value in stages {
            count += 1;
            if count > STAGES_MAX {
                let reason = format!("a pipeline has at most {STAGES_MAX} stages");
                return Err(Error::location(7_749_501, reason));
            }
            // What an expression asks of a document besides its fields comes from the stages before, or from outside.
            let outer = std::mem::take(&mut context.scope.metadata);
            let parsed = stage(value, context)?;
            let asked = std::mem::replace(&mut context.scope.metadata, outer);
            pipeline.note_metadata(asked, &parsed);
            pipeline.stages.extend(parsed);
        }
        pipeline.check_order(context)?;
        Ok(pipeline)
    }

    /// Keeps account of the metadata that the next stages ask for and give.
    fn note_metadata(&mut self, asked: MetadataSet, stages: &[Stage]) {
        self.asked.insert(asked.without(self.given));
        for stage in stages {
            match stage {
                Stage::Match(filter) if filter.text().is_some() => self.given.insert(MetadataSet::TEXT),
                Stage::GeoNear(_) => self.given.insert(MetadataSet::DISTANCE),
                Stage::Fusion(fusion) => self.given.insert(MetadataSet::score(fusion.details)),
                Stage::Score(score) => self.given.insert(MetadataSet::score(score.has_details())),
                // These make documents of their own. What they lack is missing, as it was never asked of the source.
                Stage::BucketAuto(_)
                | Stage::Densify(_)
                | Stage::Documents(_)
                | Stage::Facet(_)
                | Stage::Group(_)
                | Stage::System { .. } => self.given = MetadataSet::ALL,
                _ => {}
            }
        }
    }

    fn check_order(&self, context: &PipelineContext<'_>) -> Result<()> {
        for (position, stage) in self.stages.iter().enumerate() {
            let name = stage.name();
            if stage.is_source() && context.place == Place::Facet {
                return Err(Error::location(40_600, format!("{name} cannot stand in a $facet")));
            }
            if (stage.is_source() || matches!(stage, Stage::GeoNear(_))) && position > 0 {
                let code = if stage.is_source() { 40_602 } else { 40_603 };
                return Err(Error::location(
                    code,
                    format!("{name} can only be the first stage of a pipeline"),
                ));
            }
            if matches!(stage, Stage::Fusion(_)) && position > 0 {
                let reason = format!("{name} can only be the first stage of a pipeline");
                return Err(Error::location(10_170_100, reason));
            }
            if matches!(stage, Stage::Match(filter) if position > 0 && filter.text().is_some()) {
                let reason = "a $match with $text can only be the first stage of a pipeline";
                return Err(Error::location(17_313, reason));
            }
            let code = match context.place {
                Place::Join | Place::JoinInFacet => Some(51_047),
                Place::Union | Place::UnionInFacet => Some(31_441),
                Place::View => Some(ErrorCode::OPTION_NOT_SUPPORTED_ON_VIEW.0),
                _ => None,
            };
            if let (true, Some(code)) = (stage.is_sink(), code) {
                let reason = format!("{name} cannot stand in a pipeline inside another");
                return Err(Error::location(code, reason));
            }
            if stage.is_sink() && position + 1 < self.stages.len() {
                return Err(Error::location(
                    40_601,
                    format!("{name} can only be the last stage of a pipeline"),
                ));
            }
        }
        Ok(())
    }
}

fn stage(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Vec<Stage>> {
    let ValueRef::Document(document) = value else {
        let reason = format!("a pipeline stage is a document, not a value of type {}", value.kind().name());
        return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
    };
    let mut elements = document.iter();
    let (Some(element), None) = (elements.next(), elements.next()) else {
        return Err(Error::location(40_323, "a pipeline stage has exactly one field, the name of the stage"));
    };
    let name = element.key();
    if context.place == Place::Update && !UPDATE_STAGES.contains(&name) {
        let reason = format!("{name} is not a stage of an update");
        return Err(Error::new(ErrorCode::INVALID_OPTIONS, reason));
    }
    check_place(name, context.place)?;
    if let Some((_, parser)) = STAGES.iter().find(|(known, _)| *known == name) {
        return parser(element.value(), context);
    }
    if let Some(system) = SYSTEM_STAGES.iter().find(|known| **known == name) {
        return Ok(vec![Stage::System { name: system, argument: document.to_buf() }]);
    }
    Err(Error::location(40_324, format!("'{name}' is not the name of a pipeline stage")))
}

/// Refuses stages where they cannot stand. A pipeline inside a `$facet` is as restricted as the `$facet` itself; stages
/// that are for a whole database find a collection in front of them there.
fn check_place(name: &str, place: Place) -> Result<()> {
    let is_nested = !matches!(place, Place::Top | Place::Update | Place::View);
    let for_database = match name {
        "$listClusterCatalog" if is_nested && place != Place::Facet => 9_621_301,
        "$listSessions" if is_nested => ErrorCode::INVALID_NAMESPACE.0,
        "$currentOp" | "$listLocalSessions" | "$querySettings" if is_nested && place != Place::Facet => {
            ErrorCode::INVALID_NAMESPACE.0
        }
        _ => 0,
    };
    if for_database != 0 {
        return Err(Error::location(for_database, format!("{name} is for a database, not for a collection")));
    }
    let writes = matches!(name, "$out" | "$merge");
    let is_refused = FACET_REFUSED.contains(&name) && place.is_in_facet() || writes && place == Place::Facet;
    if is_refused {
        return Err(Error::location(40_600, format!("{name} cannot stand in a $facet")));
    }
    Ok(())
}

pub(super) fn document_argument<'a>(name: &str, code: i32, value: ValueRef<'a>) -> Result<RawDocument<'a>> {
    value.as_document().ok_or_else(|| {
        Error::location(code, format!("{name} needs a document, not a value of type {}", value.kind().name()))
    })
}

fn add_fields(name: &str, value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Vec<Stage>> {
    let document = document_argument(name, 40_272, value)?;
    one(Projection::parse_added_fields(document, context.scope), Stage::AddFields)
}

fn project(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Vec<Stage>> {
    let document = document_argument("$project", 15_969, value)?;
    one(Projection::parse(document, ProjectionKind::Aggregate, context.scope), Stage::Project)
}

fn matching(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Vec<Stage>> {
    let document = document_argument("$match", 15_959, value)?;
    one(Filter::parse_stage(document, context.scope), Stage::Match)
}

fn sort(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Vec<Stage>> {
    let document = document_argument("$sort", 15_973, value)?;
    if document.is_empty() {
        return Err(Error::location(15_976, "$sort needs at least one field"));
    }
    one(SortSpec::parse(document, context.scope), Stage::Sort)
}

/// `{$count: "n"}` is a group of everything, and a projection that drops its key.
fn count(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Vec<Stage>> {
    let wrong = |code, reason: &str| {
        Err(Error::location(code, format!("$count needs the name of a field: {reason}")))
    };
    let name = match value {
        ValueRef::String("") => return wrong(40_157, "it is empty"),
        ValueRef::String(name) => name,
        _ => return wrong(40_156, "it is not a string"),
    };
    if name.starts_with('$') {
        return wrong(40_158, "it starts with a dollar");
    }
    if name.contains('\0') {
        return wrong(40_159, "it contains a zero byte");
    }
    if name.contains('.') {
        return wrong(40_160, "it contains a dot");
    }
    if name == "_id" {
        return wrong(9_039_800, "it is '_id', which the group has already");
    }
    let mut group = DocumentBuilder::new();
    group.append("_id", sheaf_document::Value::Null).document(name, |sum| {
        sum.append("$sum", 1);
    });
    let mut projection = DocumentBuilder::new();
    projection.append("_id", 0);
    let group = Group::parse(ValueRef::Document(group.build().as_raw()), context.scope)?;
    let projection =
        Projection::parse(projection.build().as_raw(), ProjectionKind::Aggregate, context.scope)?;
    Ok(vec![Stage::Group(Box::new(group)), Stage::Project(projection)])
}

/// `{$sortByCount: e}` is a group by `e` with a count, sorted by it from high to low.
fn sort_by_count(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Vec<Stage>> {
    match value {
        ValueRef::String(text) if text.starts_with('$') => {}
        ValueRef::Document(document)
            if document.first().is_some_and(|first| first.key().starts_with('$')) => {}
        ValueRef::Document(_) => {
            return Err(Error::location(40_147, "$sortByCount needs a path or an expression"));
        }
        ValueRef::String(_) => {
            return Err(Error::location(40_148, "$sortByCount needs a path, which starts with a dollar"));
        }
        _ => return Err(Error::location(40_149, "$sortByCount needs a path or an expression")),
    }
    let mut group = DocumentBuilder::new();
    group.append_ref("_id", value).document("count", |sum| {
        sum.append("$sum", 1);
    });
    let mut order = DocumentBuilder::new();
    order.append("count", -1);
    let group = Group::parse(ValueRef::Document(group.build().as_raw()), context.scope)?;
    let order = SortSpec::parse(order.build().as_raw(), context.scope)?;
    Ok(vec![Stage::Group(Box::new(group)), Stage::Sort(order)])
}

fn facet(value: ValueRef<'_>, context: &mut PipelineContext<'_>) -> Result<Vec<Stage>> {
    let document = document_argument("$facet", 40_169, value)?;
    if document.is_empty() {
        return Err(Error::location(40_169, "$facet needs at least one pipeline"));
    }
    let mut facets = Vec::new();
    for element in document {
        let name = element.key();
        crate::expression::check_field_name(name)?;
        let ValueRef::Array(stages) = element.value() else {
            let kind = element.kind().name();
            return Err(Error::location(
                40_170,
                format!("the facet '{name}' is a pipeline, not a value of type {kind}"),
            ));
        };
        if let Some(other) = stages.iter().find(|stage| stage.as_document().is_none()) {
            let kind = other.kind().name();
            return Err(Error::location(
                40_171,
                format!("a stage of the facet '{name}' is a document, not of type {kind}"),
            ));
        }
        let mark = context.scope.mark();
        let mut inner =
            PipelineContext { scope: context.scope, depth: context.depth + 1, place: Place::Facet };
        let pipeline = Pipeline::parse(stages.iter(), &mut inner)?;
        context.scope.forget(mark);
        context.scope.metadata.insert(pipeline.asked);
        facets.push((name.into(), pipeline));
    }
    Ok(vec![Stage::Facet(facets)])
}
