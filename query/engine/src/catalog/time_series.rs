//! How a time series is bucketed: the options of `create`, checked and completed.
//!
//! A time series `NAME` is a view over the collection `system.buckets.NAME`. A bucket holds measurements that share
//! their meta field and lie within a span of time; the begin of a bucket is its first measurement's time, rounded down.

use sheaf_document::decimal::Rounding;
use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_language::ErrorCode;
use sheaf_language::aggregate::UnpackBucket;

use crate::{Error, Namespace, Result, error_code};

/// What the names of collections with buckets begin with.
pub const BUCKETS_PREFIX: &str = "system.buckets.";

/// Longest span of a bucket in seconds: a year, as in MongoDB.
pub const BUCKET_SPAN_SECONDS_MAX: i64 = 31_536_000;

/// Granularities from fine to coarse, each with the span of its buckets and what their begin is rounded down to, in
/// seconds.
const GRANULARITIES: [(&str, i64, i64); 3] =
    [("seconds", 3_600, 60), ("minutes", 86_400, 3_600), ("hours", 2_592_000, 86_400)];

/// A field is missing that is required.
const MISSING_FIELD: ErrorCode = ErrorCode(40_414);
/// A document has a field that nobody knows.
const UNKNOWN_FIELD: ErrorCode = ErrorCode(40_415);

/// How measurements are bucketed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeSeries {
    /// The field with the time.
    pub time_field: String,
    /// The field with what measurements of a bucket share.
    pub meta_field: Option<String>,
    /// The granularity; none if span and rounding were given instead.
    pub granularity: Option<&'static str>,
    /// From the begin of a bucket to behind its last measurement.
    pub span_seconds: i64,
    /// What the begin of a bucket is rounded down to.
    pub rounding_seconds: i64,
}

/// The collection with the buckets of a time series.
pub(crate) fn buckets_of(series: &Namespace) -> Result<Namespace> {
    Namespace::new(series.database(), &format!("{BUCKETS_PREFIX}{}", series.collection()))
}

/// The time series whose buckets a collection holds, if it holds some.
pub(crate) fn series_of(buckets: &Namespace) -> Option<Namespace> {
    let name = buckets.collection().strip_prefix(BUCKETS_PREFIX)?;
    Namespace::new(buckets.database(), name).ok()
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(error_code::INVALID_OPTIONS, message)
}

fn wrong_type(field: &str, value: ValueRef<'_>, expected: &str) -> Error {
    Error::new(
        error_code::TYPE_MISMATCH,
        format!("timeseries.{field} must be {expected}, not of type {}", value.kind().name()),
    )
}

fn text<'a>(field: &str, value: ValueRef<'a>) -> Result<&'a str> {
    value.as_str().ok_or_else(|| wrong_type(field, value, "a string"))
}

/// Seconds from 1 to a year. A double is cut, a decimal rounded.
fn seconds(field: &str, value: ValueRef<'_>) -> Result<i64> {
    let number = match value {
        ValueRef::Int32(number) => i64::from(number),
        ValueRef::Int64(number) => number,
        #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates, NaN becomes 0")]
        ValueRef::Double(number) => number as i64,
        ValueRef::Decimal128(number) => number.to_i64(Rounding::HalfEven).unwrap_or(0),
        other => return Err(wrong_type(field, other, "a number")),
    };
    if (1..=BUCKET_SPAN_SECONDS_MAX).contains(&number) {
        return Ok(number);
    }
    Err(Error::new(
        error_code::BAD_VALUE,
        format!("timeseries.{field} must be from 1 to {BUCKET_SPAN_SECONDS_MAX}, but is {number}"),
    ))
}

fn granularity(name: &str) -> Result<&'static (&'static str, i64, i64)> {
    GRANULARITIES.iter().find(|(known, ..)| *known == name).ok_or_else(|| {
        let message = format!("timeseries.granularity is seconds, minutes or hours, not {name:?}");
        Error::new(error_code::BAD_VALUE, message)
    })
}

/// The options as they were given.
#[derive(Default)]
struct Given {
    time_field: Option<String>,
    meta_field: Option<String>,
    granularity: Option<&'static (&'static str, i64, i64)>,
    span: Option<i64>,
    rounding: Option<i64>,
}

impl Given {
    fn read(document: RawDocument<'_>) -> Result<Self> {
        let mut given = Self::default();
        for element in document {
            let (name, value) = (element.key(), element.value());
            let is_null = value.is_nullish();
            match name {
                "timeField"
                | "metaField"
                | "granularity"
                | "bucketMaxSpanSeconds"
                | "bucketRoundingSeconds"
                    if is_null => {}
                "timeField" => given.time_field = Some(text(name, value)?.to_owned()),
                "metaField" => given.meta_field = Some(text(name, value)?.to_owned()),
                "granularity" => given.granularity = Some(granularity(text(name, value)?)?),
                "bucketMaxSpanSeconds" => given.span = Some(seconds(name, value)?),
                "bucketRoundingSeconds" => given.rounding = Some(seconds(name, value)?),
                _ => {
                    return Err(Error::new(UNKNOWN_FIELD, format!("timeseries has no field {name:?}")));
                }
            }
        }
        Ok(given)
    }
}

impl TimeSeries {
    /// Reads and checks the options of `create`, of `$out`, or of the catalog.
    pub fn parse(document: RawDocument<'_>) -> Result<Self> {
        let given = Given::read(document)?;
        let Some(time_field) = given.time_field else {
            return Err(Error::new(MISSING_FIELD, "timeseries needs the field \"timeField\""));
        };
        check_names(&time_field, given.meta_field.as_deref())?;
        let (granularity, span_seconds, rounding_seconds) = match (
            given.granularity,
            given.span,
            given.rounding,
        ) {
            (None, None, None) => default_granularity(),
            (None, Some(span), Some(rounding)) if span == rounding => (None, span, rounding),
            (Some((name, span, rounding)), given_span, None)
                if given_span.is_none_or(|given| given == *span) =>
            {
                (Some(*name), *span, *rounding)
            }
            (None, Some(span), None) if span == default_granularity().1 => default_granularity(),
            (None, ..) => {
                return Err(refused(
                    "timeseries.bucketMaxSpanSeconds and bucketRoundingSeconds must both be given, and the same",
                ));
            }
            (Some(_), ..) => {
                return Err(refused("a granularity and the span of buckets do not go together"));
            }
        };
        Ok(Self { time_field, meta_field: given.meta_field, granularity, span_seconds, rounding_seconds })
    }

    /// The options after `collMod`: buckets may only grow.
    pub fn changed(&self, change: RawDocument<'_>) -> Result<Self> {
        let given = Given::read(change)?;
        if given.time_field.is_some() || given.meta_field.is_some() {
            return Err(Error::new(UNKNOWN_FIELD, "collMod.timeseries changes the buckets only"));
        }
        let (granularity, span_seconds, rounding_seconds) =
            match (given.granularity, given.span, given.rounding) {
                (None, None, None) => return Ok(self.clone()),
                (Some((name, span, rounding)), None, None) => (Some(*name), *span, *rounding),
                (None, Some(span), Some(rounding)) if span == rounding => (None, span, rounding),
                (None, ..) => {
                    return Err(refused("bucketMaxSpanSeconds and bucketRoundingSeconds must be the same"));
                }
                (Some(_), ..) => {
                    return Err(refused("a granularity and the span of buckets do not go together"));
                }
            };
        if span_seconds < self.span_seconds || rounding_seconds < self.rounding_seconds {
            return Err(refused("the granularity of a time series may only become coarser"));
        }
        Ok(Self { granularity, span_seconds, rounding_seconds, ..self.clone() })
    }

    /// The options with what was left out filled in, as `listCollections` shows them and the catalog keeps them.
    pub fn to_document(&self) -> RawDocumentBuf {
        let number = |seconds: i64| i32::try_from(seconds).map_or(Value::Int64(seconds), Value::Int32);
        let mut out = DocumentBuilder::new();
        out.append("timeField", self.time_field.as_str());
        if let Some(meta) = &self.meta_field {
            out.append("metaField", meta.as_str());
        }
        match self.granularity {
            Some(name) => {
                out.append("granularity", name);
                out.append_value("bucketMaxSpanSeconds", &number(self.span_seconds));
            }
            None => {
                out.append_value("bucketMaxSpanSeconds", &number(self.span_seconds));
                out.append_value("bucketRoundingSeconds", &number(self.rounding_seconds));
            }
        }
        out.build()
    }

    /// The begin of a bucket whose first measurement is of this time, in milliseconds.
    pub(crate) fn bucket_begin(&self, time_millis: i64) -> i64 {
        let rounding = self.rounding_seconds.saturating_mul(1_000).max(1);
        time_millis.div_euclid(rounding).saturating_mul(rounding)
    }

    /// Whether a bucket that begins so takes a measurement of this time.
    pub(crate) fn spans(&self, begin_millis: i64, time_millis: i64) -> bool {
        let end = begin_millis.saturating_add(self.span_seconds.saturating_mul(1_000));
        (begin_millis..end).contains(&time_millis)
    }

    /// The stage that makes measurements of buckets.
    pub(crate) fn unpack(&self) -> UnpackBucket {
        UnpackBucket { time_field: self.time_field.clone(), meta_field: self.meta_field.clone() }
    }

    /// The path in buckets of a path in measurements, if it is the meta field or leads into it.
    pub(crate) fn meta_path(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(self.meta_field.as_deref()?)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| format!("meta{rest}"))
    }
}

fn default_granularity() -> (Option<&'static str>, i64, i64) {
    let [(name, span, rounding), ..] = GRANULARITIES;
    (Some(name), span, rounding)
}

fn check_names(time_field: &str, meta_field: Option<&str>) -> Result<()> {
    if time_field.contains('.') || meta_field.is_some_and(|meta| meta.contains('.')) {
        return Err(refused("timeField and metaField are names of fields, without dots"));
    }
    match meta_field {
        Some("_id") => Err(refused("metaField cannot be _id")),
        Some(meta) if meta == time_field => Err(refused("timeField and metaField cannot be the same")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(span: i64, rounding: i64) -> TimeSeries {
        TimeSeries {
            time_field: "t".to_owned(),
            meta_field: Some("m".to_owned()),
            granularity: None,
            span_seconds: span,
            rounding_seconds: rounding,
        }
    }

    #[test]
    fn buckets_begin_rounded_down_before_1970_too() {
        let series = series(3_600, 60);
        assert_eq!(series.bucket_begin(61_500), 60_000);
        assert_eq!(series.bucket_begin(-1), -60_000);
        assert!(series.spans(60_000, 60_000));
        assert!(series.spans(60_000, 3_659_999));
        assert!(!series.spans(60_000, 3_660_000));
        assert!(!series.spans(60_000, 59_999));
        assert_eq!(series.bucket_begin(i64::MIN), i64::MIN);
    }

    #[test]
    fn only_the_meta_field_itself_leads_into_it() {
        let series = series(1, 1);
        assert_eq!(series.meta_path("m").as_deref(), Some("meta"));
        assert_eq!(series.meta_path("m.a.b").as_deref(), Some("meta.a.b"));
        assert_eq!(series.meta_path("ma"), None);
        assert_eq!(series.meta_path("t"), None);
    }
}
