//! `$score`: documents with a score that an expression computes.

use sheaf_document::{DocumentBuilder, RawDocument, Value, ValueRef};

use super::super::Stage;
use super::{Normalization, given, number_of};
use crate::expression::{Environment, Expression, Scope};
use crate::numeric::as_f64;
use crate::{Error, ErrorCode, Result};

/// How the score is computed.
#[derive(Clone)]
pub struct Score {
    score: Expression,
    /// The expression as it was written.
    written: Box<str>,
    /// How scores are brought into one range.
    pub normalization: Normalization,
    weight: f64,
    details: bool,
}

impl Score {
    /// Reads `{score: e, normalization: name, weight: n, scoreDetails: bool}`.
    pub(in super::super) fn parse(value: ValueRef<'_>, scope: &mut Scope) -> Result<Vec<Stage>> {
        let ValueRef::Document(document) = value else {
            let reason = format!("$score needs a document, not a value of type {}", value.kind().name());
            return Err(Error::new(ErrorCode::FAILED_TO_PARSE, reason));
        };
        let wrong_type = |field: &str, value: ValueRef<'_>, expected: &str| {
            let reason =
                format!("the '{field}' of $score is {expected}, not a value of type {}", value.kind().name());
            Error::new(ErrorCode::TYPE_MISMATCH, reason)
        };
        let mut score = None;
        let (mut normalization, mut weight, mut details) = (Normalization::None, 1.0, false);
        for element in document {
            if element.key() == "score" {
                let printed = format!("{:?}", element.value()).into_boxed_str();
                score = Some((Expression::parse(element.value(), scope)?, printed));
                continue;
            }
            let Some(value) = given(Some(element.value())) else { continue };
            match element.key() {
                "normalization" => {
                    let name =
                        value.as_str().ok_or_else(|| wrong_type("normalization", value, "a string"))?;
                    normalization = Normalization::parse(name).ok_or_else(|| {
                        Error::new(ErrorCode::BAD_VALUE, format!("'{name}' is no normalization of $score"))
                    })?;
                }
                "weight" => {
                    weight = as_f64(value).ok_or_else(|| wrong_type("weight", value, "a number"))?;
                    if !(0.0..=1.0).contains(&weight) {
                        let reason = format!("the 'weight' of $score is from 0 to 1, found {weight}");
                        return Err(Error::location(51_024, reason));
                    }
                }
                "scoreDetails" => match value {
                    ValueRef::Boolean(wanted) => details = wanted,
                    other => return Err(wrong_type("scoreDetails", other, "a boolean")),
                },
                other => {
                    return Err(Error::location(40_415, format!("$score has no argument '{other}'")));
                }
            }
        }
        let (score, written) =
            score.ok_or_else(|| Error::location(40_414, "$score needs the argument 'score'"))?;
        Ok(vec![Stage::Score(Box::new(Self { score, written, normalization, weight, details }))])
    }

    /// Whether documents get the metadata `scoreDetails`.
    pub const fn has_details(&self) -> bool {
        self.details
    }

    /// The score of a document, as the expression gives it.
    pub fn raw(&self, document: RawDocument<'_>, environment: &mut Environment) -> Result<f64> {
        let value = self.score.evaluate(document, environment)?;
        number_of(&value).ok_or_else(|| {
            let reason =
                format!("the 'score' of $score is a number, not a value of type {}", value.type_name());
            Error::new(ErrorCode::TYPE_MISMATCH, reason)
        })
    }

    /// The score that a document gets, from its normalized one.
    pub fn weighted(&self, normalized: f64) -> f64 {
        normalized * self.weight
    }

    /// The metadata `scoreDetails` of a document.
    pub fn score_details(&self, raw: f64, score: f64) -> Value<'static> {
        let mut out = DocumentBuilder::new();
        out.append("value", score)
            .append("description", "the score that the expression gives, normalized and weighted")
            .append("rawScore", raw)
            .append("normalization", self.normalization.name())
            .append("weight", self.weight)
            .append("expression", &*self.written)
            .array("details", |_| {});
        Value::from(out.build())
    }
}
