//! Indexes of a time series: their keys name fields of measurements, their entries are of buckets.
//!
//! ```text
//! measurements              buckets
//! {meta: 1}                 {meta: 1}
//! {meta.a: -1, time: 1}     {meta.a: -1, control.min.time: 1, control.max.time: 1}
//! {temp: -1}                {control.max.temp: -1, control.min.temp: -1}
//! ```

use sheaf_document::{DocumentBuilder, Element, RawDocument, RawDocumentBuf, Value, ValueRef};

use super::index_key::{IndexFieldKind, IndexKeyPattern};
use super::index_specification::IndexSpecification;
use super::time_series::TimeSeries;
use crate::{Error, Result, error_code};

fn refused(message: impl Into<String>) -> Error {
    Error::new(error_code::CANNOT_CREATE_INDEX, message)
}

/// The key of an index on buckets for one on measurements.
pub(crate) fn bucket_key(series: &TimeSeries, key: RawDocument<'_>) -> Result<RawDocumentBuf> {
    let mut out = DocumentBuilder::new();
    for element in key {
        let path = element.key();
        if let Some(meta) = series.meta_path(path) {
            out.append_element_as(&meta, element);
            continue;
        }
        match direction(element) {
            Some(true) => {
                out.append_element_as(&format!("control.min.{path}"), element);
                out.append_element_as(&format!("control.max.{path}"), element);
            }
            Some(false) => {
                out.append_element_as(&format!("control.max.{path}"), element);
                out.append_element_as(&format!("control.min.{path}"), element);
            }
            None => {
                return Err(refused(format!(
                    "an index of this kind on a time series is for its meta field, not for \"{path}\""
                )));
            }
        }
    }
    Ok(out.build())
}

/// Whether a field of a key is ascending; none if it is of a kind without direction.
fn direction(element: Element<'_>) -> Option<bool> {
    let zero = Value::Int32(0);
    element.value().kind().is_number().then(|| {
        sheaf_document::compare_refs(element.value(), zero.as_ref().unwrap_or(ValueRef::Null), None).is_gt()
    })
}

/// The index on buckets for one on measurements.
pub(crate) fn bucket_specification(
    series: &TimeSeries,
    specification: IndexSpecification,
) -> Result<IndexSpecification> {
    let key = specification.key.document();
    if specification.unique || specification.sparse {
        return Err(refused("an index on a time series cannot be unique or sparse"));
    }
    if specification.has_kind(IndexFieldKind::Text) || specification.is_wildcard() {
        return Err(refused("a time series has no text and no wildcard indexes"));
    }
    let is_time_alone = key.iter().count() == 1 && key.get(&series.time_field).is_some();
    if specification.expire_after_seconds.is_some() && !is_time_alone {
        return Err(refused("measurements expire by an index on their time alone"));
    }
    let key = IndexKeyPattern::parse(bucket_key(series, key)?.as_raw())?;
    let partial_filter = specification.partial_filter.as_ref();
    let partial_filter =
        partial_filter.map(|filter| bucket_filter(series, filter.as_raw()).unwrap_or_else(|| filter.clone()));
    Ok(IndexSpecification { key, partial_filter, ..specification })
}

/// A filter of plain conditions on the meta field, as buckets have it; none if it looks at anything else.
fn bucket_filter(series: &TimeSeries, filter: RawDocument<'_>) -> Option<RawDocumentBuf> {
    let mut out = DocumentBuilder::new();
    for element in filter {
        out.append_element_as(&series.meta_path(element.key())?, element);
    }
    Some(out.build())
}

/// An index on buckets as clients are told of it.
pub(crate) fn measurement_specification(
    series: &TimeSeries,
    specification: &IndexSpecification,
) -> RawDocumentBuf {
    let mut key = DocumentBuilder::new();
    let mut seen: Vec<&str> = Vec::new();
    for element in specification.key.document() {
        let path = element.key();
        let field = path.strip_prefix("control.min.").or_else(|| path.strip_prefix("control.max."));
        match (field, meta_name(series, path)) {
            (Some(field), _) if seen.contains(&field) => {}
            (Some(field), _) => {
                seen.push(field);
                key.append_element_as(field, element);
            }
            (None, Some(name)) => {
                key.append_element_as(&name, element);
            }
            (None, None) => {
                key.append_element(element);
            }
        }
    }
    let mut partial = None;
    if let Some(filter) = &specification.partial_filter {
        let mut out = DocumentBuilder::new();
        for element in filter.as_raw() {
            match meta_name(series, element.key()) {
                Some(name) => out.append_element_as(&name, element),
                None => out.append_element(element),
            };
        }
        partial = Some(out.build());
    }
    let mut out = DocumentBuilder::new();
    for element in specification.to_document().as_raw() {
        match (element.key(), &partial) {
            ("key", _) => out.append("key", key_of(&mut key)),
            ("partialFilterExpression", Some(filter)) => out.append(element.key(), filter.as_raw()),
            _ => out.append_element(element),
        };
    }
    out.build()
}

fn key_of(key: &mut DocumentBuilder) -> RawDocumentBuf {
    std::mem::take(key).build()
}

/// The path in measurements of a path into the buckets' meta field.
fn meta_name(series: &TimeSeries, path: &str) -> Option<String> {
    let rest = path.strip_prefix("meta")?;
    let meta = series.meta_field.as_deref()?;
    (rest.is_empty() || rest.starts_with('.')).then(|| format!("{meta}{rest}"))
}
