//! Reading `$rankFusion` and `$scoreFusion`.

use sheaf_document::{RawArray, RawDocument, ValueRef};

use super::super::{Pipeline, PipelineContext, Place, STAGES_MAX, Stage};
use super::{Fusion, FusionInput, FusionMethod, Normalization, given, is_text_search};
use crate::expression::{Expression, check_field_name, check_user_variable};
use crate::numeric::as_f64;
use crate::{Error, ErrorCode, Result};

/// Stages that select documents without changing them.
const SELECTION_STAGES: &[&str] = &["$geoNear", "$limit", "$match", "$sample", "$score", "$skip", "$sort"];

/// Stages that combine searches themselves.
const FUSION_STAGES: &[&str] = &["$rankFusion", "$scoreFusion"];

/// Options of `$geoNear` that write into the document.
const GEO_NEAR_OUTPUTS: &[&str] = &["distanceField", "includeLocs"];

const NO_ORDER: i32 = 9_191_100;
const NOT_A_SELECTION: i32 = 9_191_103;
const WEIGHT_TYPE: i32 = 13_118;
const WEIGHT_NEGATIVE: i32 = 9_460_300;
const WEIGHTS_TOO_MANY: i32 = 9_460_301;
const WEIGHT_OF_NOTHING: i32 = 9_967_500;
const PIPELINE_EMPTY: i32 = 9_834_300;
const FUSION_IN_FUSION: i32 = 10_473_002;
const NOT_FIRST: i32 = 10_170_100;
const UNKNOWN_FIELD: i32 = 40_415;
const MISSING_FIELD: i32 = 40_414;
const STAGE_SHAPE: i32 = 40_323;
const STAGES_TOO_MANY: i32 = 7_749_501;

/// What both stages are made of, with the types checked.
struct Written<'a> {
    name: &'static str,
    pipelines: RawDocument<'a>,
    normalization: Option<ValueRef<'a>>,
    combination: Option<RawDocument<'a>>,
    details: bool,
}

/// Reads `{input: {pipelines: {name: [..]}}, combination: {weights: {name: n}}, scoreDetails: bool}`.
pub(in super::super) fn parse_rank_fusion(
    value: ValueRef<'_>,
    context: &mut PipelineContext<'_>,
) -> Result<Vec<Stage>> {
    let written = Written::read("$rankFusion", &["pipelines"], value)?;
    let mut weights = None;
    if let Some(combination) = written.combination {
        for element in combination {
            match element.key() {
                "weights" => weights = written.document("combination.weights", element.value())?,
                other => return Err(written.unknown(&format!("combination.{other}"))),
            }
        }
        if weights.is_none() {
            return Err(written.missing("combination.weights"));
        }
    }
    let inputs = written.inputs(weights, context)?;
    let fusion = Fusion { inputs, method: FusionMethod::Ranks, details: written.details };
    Ok(vec![Stage::Fusion(Box::new(fusion))])
}

/// Reads `{input: {pipelines: {name: [..]}, normalization: name}, combination: {weights: {..}, method: name,
/// expression: e}, scoreDetails: bool}`.
pub(in super::super) fn parse_score_fusion(
    value: ValueRef<'_>,
    context: &mut PipelineContext<'_>,
) -> Result<Vec<Stage>> {
    let written = Written::read("$scoreFusion", &["pipelines", "normalization"], value)?;
    let normalization = match given(written.normalization) {
        None => return Err(written.missing("input.normalization")),
        Some(value) => {
            let name = written.text("input.normalization", value)?;
            Normalization::parse(name)
                .ok_or_else(|| written.bad(format!("'{name}' is no normalization of {}", written.name)))?
        }
    };
    let (mut weights, mut method, mut expression) = (None, None, None);
    for element in written.combination.into_iter().flatten() {
        let Some(value) = given(Some(element.value())) else { continue };
        match element.key() {
            "weights" => weights = written.document("combination.weights", value)?,
            "method" => method = Some(written.text("combination.method", value)?),
            "expression" => expression = Some(value),
            other => return Err(written.unknown(&format!("combination.{other}"))),
        }
    }
    let refused = |reason: &str| Err(Error::new(ErrorCode::FAILED_TO_PARSE, reason));
    match (method, expression) {
        (None | Some("avg"), None) | (Some("expression"), Some(_)) => {}
        (Some("expression"), None) => {
            return refused("the method expression of $scoreFusion needs a 'combination.expression'");
        }
        (None | Some("avg"), Some(_)) => {
            return refused("the 'combination.expression' of $scoreFusion needs the method expression");
        }
        (Some(other), _) => {
            return Err(
                written.bad(format!("'{other}' is no method of $scoreFusion: avg and expression are"))
            );
        }
    }
    if expression.is_some() && weights.is_some() {
        return refused("$scoreFusion takes weights or an expression, not both");
    }
    let inputs = written.inputs(weights, context)?;
    let printed = expression.map(|value| format!("{value:?}").into_boxed_str());
    let expression = expression.map(|value| combination(value, &inputs, context)).transpose()?;
    let method = FusionMethod::Scores { normalization, expression, written: printed };
    Ok(vec![Stage::Fusion(Box::new(Fusion { inputs, method, details: written.details }))])
}

/// The expression over the scores, each a variable with the name of its pipeline.
fn combination(
    value: ValueRef<'_>,
    inputs: &[FusionInput],
    context: &mut PipelineContext<'_>,
) -> Result<(Expression, Vec<crate::expression::VariableId>)> {
    let mark = context.scope.mark();
    let mut variables = Vec::with_capacity(inputs.len());
    for input in inputs {
        check_user_variable(&input.name)?;
        variables.push(context.scope.define_variable(&input.name));
    }
    let expression = Expression::parse(value, context.scope);
    context.scope.forget(mark);
    Ok((expression?, variables))
}

impl<'a> Written<'a> {
    fn read(name: &'static str, input_fields: &[&str], value: ValueRef<'a>) -> Result<Self> {
        let ValueRef::Document(document) = value else {
            let reason = format!("{name} needs a document, not a value of type {}", value.kind().name());
            return Err(Error::new(ErrorCode::FAILED_TO_PARSE, reason));
        };
        let mut written = Self {
            name,
            pipelines: RawDocument::EMPTY,
            normalization: None,
            combination: None,
            details: false,
        };
        let mut pipelines = None;
        let mut has_input = false;
        for element in document {
            match (element.key(), element.value()) {
                ("input", value) => {
                    let Some(input) = written.document("input", value)? else { continue };
                    has_input = true;
                    for field in input {
                        match field.key() {
                            "pipelines" => pipelines = written.document("input.pipelines", field.value())?,
                            "normalization" if input_fields.contains(&"normalization") => {
                                written.normalization = Some(field.value());
                            }
                            other => return Err(written.unknown(&format!("input.{other}"))),
                        }
                    }
                }
                ("combination", value) => written.combination = written.document("combination", value)?,
                ("scoreDetails", ValueRef::Boolean(details)) => written.details = details,
                ("scoreDetails", value) if value.is_nullish() => {}
                ("scoreDetails", value) => {
                    return Err(written.wrong_type("scoreDetails", value, "a boolean"));
                }
                (other, _) => return Err(written.unknown(other)),
            }
        }
        if !has_input {
            return Err(written.missing("input"));
        }
        written.pipelines = pipelines.ok_or_else(|| written.missing("input.pipelines"))?;
        Ok(written)
    }

    fn unknown(&self, field: &str) -> Error {
        Error::location(UNKNOWN_FIELD, format!("{} has no argument '{field}'", self.name))
    }

    fn missing(&self, field: &str) -> Error {
        Error::location(MISSING_FIELD, format!("{} needs the argument '{field}'", self.name))
    }

    fn bad(&self, reason: String) -> Error {
        Error::new(ErrorCode::BAD_VALUE, reason)
    }

    fn wrong_type(&self, field: &str, value: ValueRef<'_>, expected: &str) -> Error {
        let found = value.kind().name();
        let reason = format!("the '{field}' of {} is {expected}, not a value of type {found}", self.name);
        Error::new(ErrorCode::TYPE_MISMATCH, reason)
    }

    /// A document; nothing if it is null.
    fn document(&self, field: &str, value: ValueRef<'a>) -> Result<Option<RawDocument<'a>>> {
        match value {
            ValueRef::Document(document) => Ok(Some(document)),
            value if value.is_nullish() => Ok(None),
            other => Err(self.wrong_type(field, other, "a document")),
        }
    }

    fn text(&self, field: &str, value: ValueRef<'a>) -> Result<&'a str> {
        value.as_str().ok_or_else(|| self.wrong_type(field, value, "a string"))
    }

    /// The inputs with their weights.
    fn inputs(
        &self,
        weights: Option<RawDocument<'_>>,
        context: &mut PipelineContext<'_>,
    ) -> Result<Vec<FusionInput>> {
        let mut pipelines: Vec<(&str, RawArray<'_>)> = Vec::new();
        for element in self.pipelines {
            let field = format!("input.pipelines.{}", element.key());
            let ValueRef::Array(stages) = element.value() else {
                return Err(self.wrong_type(&field, element.value(), "an array"));
            };
            if let Some(other) = stages.iter().find(|stage| stage.as_document().is_none()) {
                return Err(self.wrong_type(&format!("{field}.stage"), other, "a document"));
            }
            if pipelines.iter().any(|(known, _)| *known == element.key()) {
                return Err(self.bad(format!("{} has two pipelines '{}'", self.name, element.key())));
            }
            pipelines.push((element.key(), stages));
        }
        if pipelines.is_empty() {
            return Err(self.bad(format!("{} needs at least one pipeline", self.name)));
        }
        for (name, stages) in &pipelines {
            check_field_name(name)?;
            self.check_selection(name, *stages)?;
        }
        let mut inputs = Vec::with_capacity(pipelines.len());
        for (name, stages) in pipelines {
            let mut inner =
                PipelineContext { scope: context.scope, depth: context.depth + 1, place: Place::Fusion };
            let pipeline = Pipeline::parse(stages.iter(), &mut inner)?;
            inputs.push(FusionInput { name: name.into(), pipeline, weight: 1.0 });
        }
        for input in &inputs {
            self.check_order(input)?;
        }
        self.weigh(weights, &mut inputs)?;
        Ok(inputs)
    }

    /// Refuses pipelines that do anything but select documents, before anything in them is read.
    fn check_selection(&self, name: &str, stages: RawArray<'_>) -> Result<()> {
        let wrong = |code: i32, reason: &str| {
            Err(Error::location(code, format!("the pipeline '{name}' of {} {reason}", self.name)))
        };
        if stages.count() > STAGES_MAX {
            return wrong(STAGES_TOO_MANY, &format!("has more than {STAGES_MAX} stages"));
        }
        let mut elements = Vec::new();
        for stage in stages.iter().filter_map(ValueRef::as_document) {
            let mut fields = stage.iter();
            let (Some(element), None) = (fields.next(), fields.next()) else {
                return wrong(STAGE_SHAPE, "has a stage without exactly one field");
            };
            elements.push(element);
        }
        for (position, element) in elements.iter().enumerate() {
            if FUSION_STAGES.contains(&element.key()) {
                let (code, reason) = match position {
                    0 => (FUSION_IN_FUSION, "combines searches itself"),
                    _ => (NOT_FIRST, "combines searches behind its first stage"),
                };
                return wrong(code, reason);
            }
            if matches!(element.key(), "$search" | "$vectorSearch") {
                let reason =
                    format!("{} needs a search service, which is not part of this database", element.key());
                return Err(Error::location(31_082, reason));
            }
            if !super::super::parse::is_stage(element.key()) {
                let reason = format!("'{}' is not the name of a pipeline stage", element.key());
                return Err(Error::location(40_324, reason));
            }
        }
        let Some(first) = elements.first() else {
            return wrong(PIPELINE_EMPTY, "has no stages");
        };
        let is_text = |value: ValueRef<'_>| value.as_document().is_some_and(mentions_text);
        let orders = first.key() == "$geoNear"
            || first.key() == "$match" && is_text(first.value())
            || elements.iter().any(|element| element.key() == "$sort");
        if self.name == "$rankFusion" && !orders {
            return wrong(NO_ORDER, "neither begins with a search nor sorts");
        }
        for element in elements {
            let writes = element.key() == "$geoNear"
                && element
                    .value()
                    .as_document()
                    .is_some_and(|near| near.iter().any(|option| GEO_NEAR_OUTPUTS.contains(&option.key())));
            if writes || !SELECTION_STAGES.contains(&element.key()) {
                return wrong(NOT_A_SELECTION, &format!("changes documents: {}", element.key()));
            }
        }
        Ok(())
    }

    /// Refuses inputs without scores where scores are combined.
    fn check_order(&self, input: &FusionInput) -> Result<()> {
        let scores = input.pipeline.stages.iter().any(|stage| match stage {
            Stage::GeoNear(_) | Stage::Score(_) => true,
            Stage::Match(filter) => is_text_search(filter),
            _ => false,
        });
        if self.name == "$scoreFusion" && !scores {
            return Err(self.bad(format!(
                "the pipeline '{}' of $scoreFusion gives no score: it needs a $match with $text, a $geoNear or a \
                 $score",
                input.name
            )));
        }
        Ok(())
    }

    fn weigh(&self, weights: Option<RawDocument<'_>>, inputs: &mut [FusionInput]) -> Result<()> {
        let weights = weights.unwrap_or(RawDocument::EMPTY);
        if weights.iter().count() > inputs.len() {
            let reason = format!("{} has more weights than pipelines", self.name);
            return Err(Error::location(WEIGHTS_TOO_MANY, reason));
        }
        for element in weights {
            let name = element.key();
            let Some(input) = inputs.iter_mut().find(|input| *input.name == *name) else {
                let reason = format!("{} has no pipeline '{name}' that a weight could be for", self.name);
                return Err(Error::location(WEIGHT_OF_NOTHING, reason));
            };
            let weight = as_f64(element.value()).ok_or_else(|| {
                let found = element.kind().name();
                let reason = format!("the weight of the pipeline '{name}' is a number, not of type {found}");
                Error::location(WEIGHT_TYPE, reason)
            })?;
            if weight < 0.0 {
                let reason = format!("the weight of the pipeline '{name}' is not negative, found {weight}");
                return Err(Error::location(WEIGHT_NEGATIVE, reason));
            }
            input.weight = weight;
        }
        Ok(())
    }
}

/// Whether a filter has a `$text` in it.
fn mentions_text(filter: RawDocument<'_>) -> bool {
    filter.iter().any(|element| match element.value() {
        _ if element.key() == "$text" => true,
        ValueRef::Array(clauses) if matches!(element.key(), "$and" | "$or" | "$nor") => {
            clauses.iter().filter_map(ValueRef::as_document).any(mentions_text)
        }
        _ => false,
    })
}
