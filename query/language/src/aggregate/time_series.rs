//! The options of a time series collection, as `$out` takes them.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};

use crate::{Error, ErrorCode, Result};

/// The longest span of a bucket: a year.
const BUCKET_SECONDS_MAX: i64 = 31_536_000;

/// Checks the options and gives those that are not null.
pub(super) fn check(options: RawDocument<'_>) -> Result<RawDocumentBuf> {
    let mut kept = DocumentBuilder::new();
    let (mut span, mut rounding, mut granularity) = (None, None, None);
    for element in options {
        let (key, value) = (element.key(), element.value());
        if value.is_nullish() {
            continue;
        }
        match (key, value) {
            ("timeField" | "metaField", ValueRef::String(_)) => {}
            ("granularity", ValueRef::String(name @ ("seconds" | "minutes" | "hours"))) => {
                granularity = Some(name);
            }
            ("granularity", ValueRef::String(name)) => {
                let reason = format!("granularity is seconds, minutes or hours, not '{name}'");
                return Err(Error::new(ErrorCode::BAD_VALUE, reason));
            }
            ("bucketMaxSpanSeconds", value) if value.kind().is_number() => span = Some(seconds(key, value)?),
            ("bucketRoundingSeconds", value) if value.kind().is_number() => {
                rounding = Some(seconds(key, value)?);
            }
            (
                "timeField" | "metaField" | "granularity" | "bucketMaxSpanSeconds" | "bucketRoundingSeconds",
                _,
            ) => {
                let kind = value.kind().name();
                let reason = format!("the '{key}' of a time series cannot be of type {kind}");
                return Err(Error::new(ErrorCode::TYPE_MISMATCH, reason));
            }
            (other, _) => {
                return Err(Error::location(40_415, format!("a time series has no option '{other}'")));
            }
        }
        match (key, span, rounding) {
            ("bucketMaxSpanSeconds", Some(seconds), _) | ("bucketRoundingSeconds", _, Some(seconds)) => {
                kept.append(key, i32::try_from(seconds).unwrap_or(i32::MAX));
            }
            _ => {
                kept.append_element(element);
            }
        }
    }
    let kept = kept.build();
    if kept.as_raw().get("timeField").is_none() {
        return Err(Error::location(40_414, "a time series needs 'timeField'"));
    }
    let together = match (span, rounding) {
        (None, None) => true,
        (Some(span), Some(rounding)) => granularity.is_none() && span == rounding,
        _ => false,
    };
    if !together {
        return Err(Error::new(
            ErrorCode::INVALID_OPTIONS,
            "bucketMaxSpanSeconds and bucketRoundingSeconds must be the same, and without a granularity",
        ));
    }
    Ok(kept)
}

/// A span: a double is cut towards zero, a decimal is rounded.
fn seconds(key: &str, value: ValueRef<'_>) -> Result<i64> {
    let number = match value {
        ValueRef::Decimal128(number) => number.to_i64(sheaf_document::decimal::Rounding::HalfEven),
        #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates, NaN becomes 0")]
        ValueRef::Double(number) => Some(number as i64),
        other => crate::numeric::as_whole(other),
    };
    match number {
        Some(number @ 1..=BUCKET_SECONDS_MAX) => Ok(number),
        _ => Err(Error::new(
            ErrorCode::BAD_VALUE,
            format!("the '{key}' of a time series is from 1 to {BUCKET_SECONDS_MAX} seconds, not {value:?}"),
        )),
    }
}
