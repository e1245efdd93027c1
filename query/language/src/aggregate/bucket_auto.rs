//! `$bucketAuto`: buckets of about the same number of documents.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef, compare};

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
        // Unlike $bucket, it counts where an output of nothing is asked for.
        let is_something =
            |output: &ValueRef<'_>| output.as_document().is_none_or(|fields| !fields.is_empty());
        let fields =
            output(document.get("output").filter(is_something), 40_244, "$bucketAuto", &mut context)?;
        let granularity = document.get("granularity").map(granularity).transpose()?;
        let (Some(group_by), Some(buckets)) = (group_by, buckets) else {
            return Err(Error::location(40_246, "$bucketAuto needs 'groupBy' and 'buckets'"));
        };
        Ok(Self { group_by: Expression::parse(group_by, scope)?, buckets, fields, granularity })
    }

    /// What a document is sorted by.
    pub fn key(&self, document: RawDocument<'_>, environment: &mut Environment) -> Result<Value<'static>> {
        let key = match self.group_by.evaluate(document, environment)? {
            Value::Missing => Value::Null,
            key => key.to_bytes_form().into_owned(),
        };
        if self.granularity.is_some() {
            check_granular(&key)?;
        }
        Ok(key)
    }

    /// Starts on so many documents, which will be shown in the order of their keys.
    pub fn start(&self, documents: u64) -> Buckets {
        #[expect(clippy::cast_precision_loss, reason = "a share of very many documents need not be exact")]
        let share = (documents as f64 / self.buckets as f64).round().max(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most `documents`")]
        Buckets { share: share as u64, finished: 0, current: None }
    }

    /// Adds the next document; returns the bucket that ends before it, if one does.
    pub fn add(
        &self,
        buckets: &mut Buckets,
        key: Value<'static>,
        document: RawDocument<'_>,
        environment: &mut Environment,
    ) -> Result<Option<RawDocumentBuf>> {
        let is_full = match &mut buckets.current {
            None => false,
            Some(bucket) => self.is_full(buckets.finished, buckets.share, bucket, &key, environment),
        };
        let ended = if is_full { buckets.current.take() } else { None };
        let mut low = None;
        let ended = ended.map(|bucket| {
            let high = bucket.bound.map_or_else(|| key.clone(), Value::Double);
            low = Some(high.clone());
            buckets.finished += 1;
            self.finish_bucket(bucket, &high)
        });
        let bucket = match &mut buckets.current {
            Some(bucket) => bucket,
            empty => empty.insert(self.start_bucket(low, &key, environment)?),
        };
        bucket.count += 1;
        for ((_, spec), state) in self.fields.iter().zip(&mut bucket.states) {
            state.add(spec, document, environment)?;
        }
        bucket.last = key;
        Ok(ended)
    }

    /// The last bucket.
    pub fn finish(&self, buckets: Buckets) -> Option<RawDocumentBuf> {
        let mut bucket = buckets.current?;
        let high = match (self.granularity, bucket.bound.take()) {
            (None, _) => bucket.last.clone(),
            (Some(_), Some(bound)) => Value::Double(bound),
            (Some(granularity), None) => Value::Double(granularity.round_up(key_number(&bucket.last))),
        };
        Some(self.finish_bucket(bucket, &high))
    }

    /// Whether the next key begins another bucket: this one has its share, is not the last, and the key is no longer
    /// among the equals (or, with a granularity, below the bound) of the key the share ended with.
    fn is_full(
        &self,
        finished: usize,
        share: u64,
        bucket: &mut Bucket,
        key: &Value<'static>,
        environment: &Environment,
    ) -> bool {
        if finished + 1 == self.buckets || bucket.count < share {
            return false;
        }
        match self.granularity {
            None => compare(key, &bucket.last, environment.collate()).is_ne(),
            Some(granularity) => {
                let last = key_number(&bucket.last);
                key_number(key) >= *bucket.bound.get_or_insert_with(|| granularity.round_up(last))
            }
        }
    }

    fn start_bucket(
        &self,
        low: Option<Value<'static>>,
        first: &Value<'static>,
        environment: &mut Environment,
    ) -> Result<Bucket> {
        let low = low.unwrap_or_else(|| match self.granularity {
            Some(granularity) => Value::Double(granularity.round_down(key_number(first))),
            None => first.clone(),
        });
        let states = self.fields.iter().map(|(_, spec)| spec.start(&Value::Null, environment));
        Ok(Bucket { low, last: first.clone(), bound: None, count: 0, states: states.collect::<Result<_>>()? })
    }

    fn finish_bucket(&self, bucket: Bucket, high: &Value<'static>) -> RawDocumentBuf {
        let mut builder = DocumentBuilder::new();
        builder.document("_id", |id| {
            id.append_value("min", &bucket.low).append_value("max", high);
        });
        for ((name, spec), state) in self.fields.iter().zip(bucket.states) {
            builder.append_value(name, &state.finish(spec));
        }
        builder.build()
    }
}

/// Buckets that are being filled, from documents in order.
pub struct Buckets {
    /// Documents that a bucket should have.
    share: u64,
    /// Buckets that have ended.
    finished: usize,
    current: Option<Bucket>,
}

/// A bucket that is being filled.
struct Bucket {
    low: Value<'static>,
    /// The key of its last document.
    last: Value<'static>,
    /// With a granularity, once the share is reached: keys below this still belong to it.
    bound: Option<f64>,
    count: u64,
    states: Vec<Accumulator>,
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
