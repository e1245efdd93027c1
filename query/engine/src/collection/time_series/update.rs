//! Updating measurements: only what all measurements of a bucket share, and only of all that match.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};

use super::{Series, refused};
use crate::catalog::TimeSeries;
use crate::collection::change::Change;
use crate::operation::{UpdateOperation, UpdateOutcome};
use crate::planner::{Query, QueryOptions};
use crate::session::Session;
use crate::{Error, Result};

impl Session {
    /// Updates the meta field of measurements, bucket by bucket.
    pub(in crate::collection) fn update_measurements(
        &self,
        operation: &UpdateOperation<'_>,
        series: &Series,
    ) -> Result<UpdateOutcome> {
        let no = |what: &str| Err(refused(&series.view.namespace, what));
        let ValueRef::Document(update) = operation.update else {
            return no("an update by a pipeline is not supported");
        };
        if operation.upsert {
            return no("an update cannot insert");
        }
        if !operation.multi {
            return no("an update is for all measurements that match, not for one");
        }
        if series.options.meta_field.is_none() {
            return no("it has no meta field, which is all that an update can change");
        }
        let filter = translate_filter(series, operation.filter)?;
        let update = translate_update(series, update)?;
        let options = QueryOptions::new(filter.as_raw(), operation.hint, operation.common);
        let query = Query::parse(&options, Some(&series.buckets))?;
        let change = Change::parse(
            ValueRef::Document(update.as_raw()),
            &operation.array_filters,
            &query,
            operation.bypass_document_validation,
        )?;
        self.update_all(operation, series.buckets.clone(), &query, &change, measurements)
    }
}

/// How many measurements a bucket has.
fn measurements(bucket: RawDocument<'_>) -> u64 {
    let control = bucket.get("control").and_then(ValueRef::as_document);
    match control.and_then(|control| control.get("count")) {
        Some(ValueRef::Int32(count)) => u64::try_from(count).unwrap_or(1),
        _ => 1,
    }
}

fn meta_path(series: &TimeSeries, path: &str) -> Option<String> {
    series.meta_path(path)
}

fn not_meta(series: &Series, what: &str, path: &str) -> Error {
    let meta = series.options.meta_field.as_deref().unwrap_or_default();
    refused(
        &series.view.namespace,
        &format!("the {what} of an update may name its meta field \"{meta}\" only, not \"{path}\""),
    )
}

/// The filter over buckets for a filter over measurements that names the meta field only.
fn translate_filter(series: &Series, filter: RawDocument<'_>) -> Result<RawDocumentBuf> {
    let mut out = DocumentBuilder::new();
    for element in filter {
        let path = element.key();
        match (path, element.value()) {
            ("$and" | "$or" | "$nor", ValueRef::Array(branches)) => {
                out.try_array(path, |array| {
                    for branch in branches.iter() {
                        match branch.as_document() {
                            Some(branch) => {
                                let branch = translate_filter(series, branch)?;
                                array.push_ref(ValueRef::Document(branch.as_raw()));
                            }
                            None => {
                                array.push_ref(branch);
                            }
                        }
                    }
                    Ok::<(), Error>(())
                })?;
            }
            ("$comment", _) => {
                out.append_element(element);
            }
            _ => {
                let path =
                    meta_path(&series.options, path).ok_or_else(|| not_meta(series, "filter", path))?;
                out.append_element_as(&path, element);
            }
        }
    }
    Ok(out.build())
}

/// The update of buckets for an update of measurements that changes the meta field only.
fn translate_update(series: &Series, update: RawDocument<'_>) -> Result<RawDocumentBuf> {
    let mut out = DocumentBuilder::new();
    for element in update {
        let operator = element.key();
        let ValueRef::Document(paths) = element.value() else {
            return Err(refused(&series.view.namespace, "a document cannot be replaced"));
        };
        if !operator.starts_with('$') {
            return Err(refused(&series.view.namespace, "a document cannot be replaced"));
        }
        out.try_document(operator, |inner| {
            for element in paths {
                let path = element.key();
                let translated =
                    meta_path(&series.options, path).ok_or_else(|| not_meta(series, "changes", path))?;
                match (operator, element.value()) {
                    ("$rename", ValueRef::String(to)) => {
                        let is_whole = translated == "meta";
                        let to = meta_path(&series.options, to)
                            .filter(|to| !is_whole && to != "meta")
                            .ok_or_else(|| not_meta(series, "changes", to))?;
                        inner.append(&translated, to);
                    }
                    _ => {
                        inner.append_element_as(&translated, element);
                    }
                }
            }
            Ok::<(), Error>(())
        })?;
    }
    Ok(out.build())
}
