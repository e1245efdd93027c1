//! `$bucketAuto`: buckets of about the same number of documents.

use sheaf_document::{DocumentBuilder, RawDocumentBuf, Value, ValueRef, compare};

use super::bucket::{check_group_by, output};
use super::parse::document_argument;
use super::{PipelineContext, Place};
use crate::accumulator::{Accumulator, AccumulatorSpec};
use crate::expression::{Environment, Expression, Scope};
use crate::numeric::{as_f64, as_whole};
use crate::{Error, Result};

/// A key, how many buckets, what is accumulated, and which numbers bounds are rounded to.
#[derive(Clone)]
pub struct BucketAuto {
    group_by: Expression,
    buckets: usize,
    fields: Vec<(Box<str>, AccumulatorSpec)>,
    granularity: Option<Granularity>,
}

/// A series of preferred numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Granularity {
    /// A series per power of ten (Renard, E, 1-2-5), from 1 up to but not including 10.
    Decade(&'static [f64]),
    /// Powers of two.
    PowersOfTwo,
}

const R5: &[f64] = &[1.0, 1.6, 2.5, 4.0, 6.3];
const R10: &[f64] = &[1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0];
const R20: &[f64] = &[
    1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0, 2.24, 2.5, 2.8, 3.15, 3.55, 4.0, 4.5, 5.0, 5.6, 6.3, 7.1, 8.0, 9.0,
];
const E6: &[f64] = &[1.0, 1.5, 2.2, 3.3, 4.7, 6.8];
const E12: &[f64] = &[1.0, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 3.9, 4.7, 5.6, 6.8, 8.2];
const E24: &[f64] = &[
    1.0, 1.1, 1.2, 1.3, 1.5, 1.6, 1.8, 2.0, 2.2, 2.4, 2.7, 3.0, 3.3, 3.6, 3.9, 4.3, 4.7, 5.1, 5.6, 6.2, 6.8,
    7.5, 8.2, 9.1,
];
const ONE_TWO_FIVE: &[f64] = &[1.0, 2.0, 5.0];

impl Granularity {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "R5" => Self::Decade(R5),
            "R10" => Self::Decade(R10),
            "R20" => Self::Decade(R20),
            "E6" => Self::Decade(E6),
            "E12" => Self::Decade(E12),
            "E24" => Self::Decade(E24),
            "1-2-5" => Self::Decade(ONE_TWO_FIVE),
            "POWERSOF2" => Self::PowersOfTwo,
            _ => return None,
        })
    }

    /// The smallest number of the series above `number`.
    pub fn round_up(self, number: f64) -> f64 {
        if number <= 0.0 {
            return 0.0;
        }
        match self {
            Self::PowersOfTwo => (number.log2().floor() + 1.0).exp2(),
            Self::Decade(series) => {
                let mut scale = 10f64.powf(number.log10().floor());
                loop {
                    if let Some(found) = series.iter().map(|step| step * scale).find(|step| *step > number) {
                        return found;
                    }
                    scale *= 10.0;
                }
            }
        }
    }

    /// The largest number of the series below `number`.
    pub fn round_down(self, number: f64) -> f64 {
        if number <= 0.0 {
            return 0.0;
        }
        match self {
            Self::PowersOfTwo => (number.log2().ceil() - 1.0).exp2(),
            Self::Decade(series) => {
                let mut scale = 10f64.powf(number.log10().floor());
                loop {
                    if let Some(found) =
                        series.iter().rev().map(|step| step * scale).find(|step| *step < number)
                    {
                        return found;
                    }
                    scale /= 10.0;
                    if scale == 0.0 {
                        return 0.0;
                    }
                }
            }
        }
    }
}

impl BucketAuto {
    /// Reads `{groupBy, buckets, output, granularity}`.
    pub fn parse(value: ValueRef<'_>, scope: &mut Scope) -> Result<Self> {
        let document = document_argument("$bucketAuto", 40_240, value)?;
        for element in document {
            if !matches!(element.key(), "groupBy" | "buckets" | "output" | "granularity") {
                return Err(Error::location(
                    40_245,
                    format!("$bucketAuto has no argument '{}'", element.key()),
                ));
            }
        }
        let group_by = document.get("groupBy");
        if let Some(group_by) = group_by {
            check_group_by(group_by, 40_239, "$bucketAuto")?;
        }
        let buckets = document.get("buckets").map(bucket_count).transpose()?;
        let mut context = PipelineContext { scope, depth: 0, place: Place::Top };
        let fields = output(document.get("output"), 40_244, "$bucketAuto", &mut context)?;
        let granularity = document.get("granularity").map(granularity).transpose()?;
        let (Some(group_by), Some(buckets)) = (group_by, buckets) else {
            return Err(Error::location(40_246, "$bucketAuto needs 'groupBy' and 'buckets'"));
        };
        Ok(Self { group_by: Expression::parse(group_by, scope)?, buckets, fields, granularity })
    }

    /// The buckets of all documents, in order. The documents are held meanwhile.
    pub fn run(
        &self,
        documents: Vec<RawDocumentBuf>,
        environment: &mut Environment,
    ) -> Result<Vec<RawDocumentBuf>> {
        let mut rows = Vec::with_capacity(documents.len());
        for document in documents {
            let key = match self.group_by.evaluate(document.as_raw(), environment)? {
                Value::Missing => Value::Null,
                key => key.to_bytes_form().into_owned(),
            };
            if self.granularity.is_some() {
                check_granular(&key)?;
            }
            rows.push((key, document));
        }
        rows.sort_by(|(left, _), (right, _)| compare(left, right, environment.collate()));
        let share = (rows.len() as f64 / self.buckets as f64).round().max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the number of rows"
        )]
        let share = share as usize;
        self.fill(&rows, share, environment)
    }

    /// Cuts the sorted rows into buckets of `share`, never between equal keys; the last takes the rest.
    fn fill(
        &self,
        rows: &[(Value<'static>, RawDocumentBuf)],
        share: usize,
        environment: &mut Environment,
    ) -> Result<Vec<RawDocumentBuf>> {
        let mut result = Vec::new();
        let mut start = 0;
        let mut low: Option<Value<'static>> = None;
        while let Some((first, _)) = rows.get(start) {
            let mut end =
                if result.len() + 1 == self.buckets { rows.len() } else { (start + share).min(rows.len()) };
            let last = rows.get(end.saturating_sub(1)).map_or(first, |(key, _)| key);
            let mut high = None;
            if let Some(granularity) = self.granularity {
                let bound = granularity.round_up(last.as_ref().and_then(as_f64).unwrap_or_default());
                end += rows.iter().skip(end).take_while(|(key, _)| key_number(key) < bound).count();
                high = Some(Value::Double(bound));
            } else {
                end += rows
                    .iter()
                    .skip(end)
                    .take_while(|(key, _)| compare(key, last, environment.collate()).is_eq())
                    .count();
            }
            let from = low.take().unwrap_or_else(|| match self.granularity {
                Some(granularity) => Value::Double(granularity.round_down(key_number(first))),
                None => first.clone(),
            });
            let to =
                high.unwrap_or_else(|| rows.get(end).map_or_else(|| last.clone(), |(next, _)| next.clone()));
            low = Some(to.clone());
            result.push(self.bucket(rows.get(start..end).unwrap_or_default(), &from, &to, environment)?);
            start = end;
        }
        Ok(result)
    }

    fn bucket(
        &self,
        rows: &[(Value<'static>, RawDocumentBuf)],
        from: &Value<'static>,
        to: &Value<'static>,
        environment: &mut Environment,
    ) -> Result<RawDocumentBuf> {
        let mut builder = DocumentBuilder::new();
        builder.document("_id", |id| {
            id.append_value("min", from).append_value("max", to);
        });
        let mut states: Vec<Accumulator> = self
            .fields
            .iter()
            .map(|(_, spec)| spec.start(&Value::Null, environment))
            .collect::<Result<_>>()?;
        for (_, document) in rows {
            for ((_, spec), state) in self.fields.iter().zip(&mut states) {
                state.add(spec, document.as_raw(), environment)?;
            }
        }
        for ((name, spec), state) in self.fields.iter().zip(states) {
            builder.append_value(name, &state.finish(spec));
        }
        Ok(builder.build())
    }
}

fn key_number(key: &Value<'_>) -> f64 {
    key.as_ref().and_then(as_f64).unwrap_or_default()
}

fn check_granular(key: &Value<'_>) -> Result<()> {
    match key.as_ref().and_then(as_f64) {
        None => {
            let reason = format!("$bucketAuto with a granularity needs numbers, found {}", key.type_name());
            Err(Error::location(40_258, reason))
        }
        Some(number) if number.is_nan() => {
            Err(Error::location(40_259, "$bucketAuto with a granularity found NaN"))
        }
        Some(number) if number < 0.0 => Err(Error::location(
            40_260,
            format!("$bucketAuto with a granularity needs numbers from 0 up, found {number}"),
        )),
        Some(_) => Ok(()),
    }
}

fn bucket_count(value: ValueRef<'_>) -> Result<usize> {
    if as_f64(value).is_none() {
        let kind = value.kind().name();
        return Err(Error::location(
            40_241,
            format!("the 'buckets' of $bucketAuto is a number, not of type {kind}"),
        ));
    }
    let number = as_whole(value).filter(|number| i32::try_from(*number).is_ok()).ok_or_else(|| {
        Error::location(40_242, format!("the 'buckets' of $bucketAuto is a 32-bit integer, not {value:?}"))
    })?;
    usize::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| {
        Error::location(40_243, format!("the 'buckets' of $bucketAuto is positive, not {number}"))
    })
}

fn granularity(value: ValueRef<'_>) -> Result<Granularity> {
    let ValueRef::String(name) = value else {
        let kind = value.kind().name();
        return Err(Error::location(
            40_261,
            format!("the 'granularity' of $bucketAuto is a string, not of type {kind}"),
        ));
    };
    Granularity::parse(name)
        .ok_or_else(|| Error::location(40_257, format!("'{name}' is not a series of preferred numbers")))
}
