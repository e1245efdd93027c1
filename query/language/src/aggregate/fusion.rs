//! `$rankFusion` and `$scoreFusion`: several searches of one collection, whose results become one list.
//!
//! Each input is a pipeline that selects documents as they are and orders or scores them. A document counts once
//! however many inputs find it. `$rankFusion` adds `weight / (60 + rank)` of every input that found it (reciprocal
//! rank fusion; equal sort keys share a rank and the next rank is left out). `$scoreFusion` brings the inputs' scores
//! into one range and takes their weighted average, or what an expression makes of them; an input that did not find the
//! document counts as 0.
//!
//! Here is what the stages say and the arithmetic; running the inputs is the executor's.

mod parse;
mod score_stage;

use std::cmp::Ordering;

use sheaf_document::{DocumentBuilder, RawDocument, Value, ValueRef};

use super::{Pipeline, Stage};
use crate::expression::{Environment, Expression, Metadata, VariableId};
use crate::filter::Filter;
use crate::numeric::as_f64;
use crate::sort::{SortKey, SortSpec};
use crate::{Error, ErrorCode, Result};

pub(super) use parse::{parse_rank_fusion, parse_score_fusion};
pub use score_stage::Score;

/// What is added to a rank, so that the first ranks do not outweigh everything.
const RANK_OFFSET: f64 = 60.0;

/// The inputs and how they are combined.
#[derive(Clone)]
pub struct Fusion {
    /// The inputs, in the order they were written.
    pub inputs: Vec<FusionInput>,
    /// What is combined.
    pub method: FusionMethod,
    /// Whether documents get the metadata `scoreDetails`.
    pub details: bool,
}

/// One input of a fusion.
#[derive(Clone)]
pub struct FusionInput {
    /// Its name.
    pub name: Box<str>,
    /// Which documents it finds.
    pub pipeline: Pipeline,
    /// How much it counts.
    pub weight: f64,
}

/// What is combined.
#[derive(Clone)]
pub enum FusionMethod {
    /// The places of documents in the inputs.
    Ranks,
    /// Their scores.
    Scores {
        /// How scores are brought into one range.
        normalization: Normalization,
        /// What is made of them; their average if absent. The variables are the inputs' scores, in their order.
        expression: Option<(Expression, Vec<VariableId>)>,
        /// The expression as it was written, for `scoreDetails`.
        written: Option<Box<str>>,
    },
}

/// How scores are brought into one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalization {
    /// Left as they are.
    None,
    /// `1 / (1 + e^-score)`.
    Sigmoid,
    /// `(score - least) / (greatest - least)` of the input.
    MinMaxScaler,
}

/// What an input says of one document that it found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its place, from 1; only where ranks are combined.
    pub rank: i64,
    /// The score as the input gave it; none if it only orders.
    pub raw_score: Option<f64>,
    /// The score in the common range.
    pub score: f64,
    /// What the input itself said about the score.
    pub details: Option<Value<'static>>,
}

impl Normalization {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "sigmoid" => Some(Self::Sigmoid),
            "minMaxScaler" => Some(Self::MinMaxScaler),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sigmoid => "sigmoid",
            Self::MinMaxScaler => "minMaxScaler",
        }
    }

    /// Brings all scores of one input into the common range. Where all are equal, the scaler gives 0.
    pub fn apply(self, scores: &mut [f64]) {
        match self {
            Self::None => {}
            Self::Sigmoid => scores.iter_mut().for_each(|score| *score = 1.0 / (1.0 + (-*score).exp())),
            Self::MinMaxScaler => {
                let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
                let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let range = greatest - least;
                for score in scores {
                    *score = if range > 0.0 { (*score - least) / range } else { 0.0 };
                }
            }
        }
    }
}

impl FusionInput {
    /// Where a document that the input found stands: the key of its last `$sort`, else its distance or text score.
    pub fn order_key(&self, document: RawDocument<'_>, environment: &mut Environment) -> Result<SortKey> {
        let number = |number: Option<f64>| vec![number.map_or(Value::Null, Value::Double)];
        match self.order() {
            InputOrder::Sort(sort) => sort.key(document, environment),
            InputOrder::Distance => Ok(number(environment.metadata.geo_distance)),
            InputOrder::Score => Ok(number(raw_score(&environment.metadata))),
        }
    }

    /// The order of two such keys.
    pub fn compare(&self, left: &SortKey, right: &SortKey, environment: &Environment) -> Ordering {
        let collator = environment.collate();
        let numbers = |left: &SortKey, right: &SortKey| {
            let first = |key: &SortKey| key.first().cloned().unwrap_or(Value::Null);
            sheaf_document::compare(&first(left), &first(right), None)
        };
        match self.order() {
            InputOrder::Sort(sort) => sort.compare(left, right, collator),
            InputOrder::Distance => numbers(left, right),
            InputOrder::Score => numbers(right, left),
        }
    }

    fn order(&self) -> InputOrder<'_> {
        let sorts = self.pipeline.stages.iter().rev().find_map(|stage| match stage {
            Stage::Sort(sort) => Some(InputOrder::Sort(sort)),
            _ => None,
        });
        sorts.unwrap_or(match self.pipeline.stages.first() {
            Some(Stage::GeoNear(_)) => InputOrder::Distance,
            _ => InputOrder::Score,
        })
    }
}

/// What an input orders its documents by.
enum InputOrder<'p> {
    Sort(&'p SortSpec),
    Distance,
    Score,
}

/// The score that the stages of an input gave a document, if they gave one.
pub fn raw_score(metadata: &Metadata) -> Option<f64> {
    metadata.score.or(metadata.text_score).or(metadata.geo_distance)
}

impl Fusion {
    /// The name of the stage.
    pub fn name(&self) -> &'static str {
        match self.method {
            FusionMethod::Ranks => "$rankFusion",
            FusionMethod::Scores { .. } => "$scoreFusion",
        }
    }

    /// The score of a document from what each input says of it, in the order of the inputs.
    pub fn score(&self, findings: &[Option<Finding>], environment: &mut Environment) -> Result<f64> {
        let weighted =
            self.inputs.iter().zip(findings).map(|(input, finding)| match (finding, &self.method) {
                (None, _) => 0.0,
                #[expect(clippy::cast_precision_loss, reason = "a rank counts documents in memory")]
                (Some(finding), FusionMethod::Ranks) => {
                    input.weight * (1.0 / (RANK_OFFSET + finding.rank as f64))
                }
                (Some(finding), FusionMethod::Scores { .. }) => input.weight * finding.score,
            });
        let weighted: Vec<f64> = weighted.collect();
        match &self.method {
            FusionMethod::Ranks => Ok(sum(&weighted)),
            #[expect(clippy::cast_precision_loss, reason = "there are few inputs")]
            FusionMethod::Scores { expression: None, .. } => Ok(sum(&weighted) / weighted.len() as f64),
            FusionMethod::Scores { expression: Some((expression, variables)), .. } => {
                for (variable, score) in variables.iter().zip(&weighted) {
                    environment.set_variable(*variable, Value::Double(*score));
                }
                let value = expression.evaluate(RawDocument::EMPTY, environment)?.into_owned();
                number_of(&value).ok_or_else(|| {
                    let message = format!(
                        "the 'combination.expression' of $scoreFusion gives a number, not a value of type {}",
                        value.type_name()
                    );
                    Error::new(ErrorCode::TYPE_MISMATCH, message)
                })
            }
        }
    }

    /// The metadata `scoreDetails` of a document.
    pub fn score_details(&self, score: f64, findings: &[Option<Finding>]) -> Value<'static> {
        let mut out = DocumentBuilder::new();
        out.append("value", score).append("description", self.description());
        if let FusionMethod::Scores { normalization, written, .. } = &self.method {
            out.append("normalization", normalization.name()).document("combination", |combination| {
                match written {
                    None => combination.append("method", "average"),
                    Some(written) => {
                        combination.append("method", "custom expression").append("expression", &**written)
                    }
                };
            });
        }
        out.array("details", |details| {
            for (input, finding) in self.inputs.iter().zip(findings) {
                details.document(|detail| self.write_detail(input, finding.as_ref(), detail));
            }
        });
        Value::from(out.build())
    }

    fn description(&self) -> &'static str {
        match self.method {
            FusionMethod::Ranks => {
                "reciprocal rank fusion: the sum of weight * (1 / (60 + rank)) over the input pipelines that found \
                 the document"
            }
            FusionMethod::Scores { .. } => {
                "score fusion: the weighted and normalized scores of the input pipelines, combined"
            }
        }
    }

    fn write_detail(&self, input: &FusionInput, finding: Option<&Finding>, out: &mut DocumentBuilder) {
        out.append("inputPipelineName", &*input.name);
        let field = match self.method {
            FusionMethod::Ranks => "rank",
            FusionMethod::Scores { .. } => "inputPipelineRawScore",
        };
        let Some(finding) = finding else {
            out.append(field, "NA");
            return;
        };
        match self.method {
            FusionMethod::Ranks => {
                match i32::try_from(finding.rank) {
                    Ok(rank) => out.append(field, rank),
                    Err(_) => out.append(field, finding.rank),
                };
                out.append("weight", input.weight);
                if let Some(score) = finding.raw_score {
                    out.append("value", score);
                }
            }
            FusionMethod::Scores { .. } => {
                out.append(field, finding.raw_score.unwrap_or(0.0))
                    .append("weight", input.weight)
                    .append("value", input.weight * finding.score);
            }
        }
        // Details of an input stand in a list, as those of a search engine's parts do.
        let inner = finding.details.as_ref().and_then(details_of);
        match inner {
            Some(details) => out.append_value("details", &details),
            None => out.array("details", |_| {}),
        };
    }
}

/// The list `details` of a `scoreDetails`.
fn details_of(details: &Value<'static>) -> Option<Value<'static>> {
    let details = details.as_document()?.get("details")?;
    Some(Value::from(details).into_owned())
}

/// The sum; 0 is never negative.
fn sum(numbers: &[f64]) -> f64 {
    numbers.iter().fold(0.0, |sum, number| sum + number)
}

/// A number of any type as a double.
fn number_of(value: &Value<'_>) -> Option<f64> {
    value.as_ref().and_then(as_f64)
}

/// Whether a stage orders by the text search it makes.
fn is_text_search(filter: &Filter) -> bool {
    filter.text().is_some()
}

/// Whether a value is left out or null.
fn given(value: Option<ValueRef<'_>>) -> Option<ValueRef<'_>> {
    value.filter(|value| !value.is_nullish())
}
