//! `min` and `max`: a scan of the hinted index between two keys.

use std::sync::Arc;

use sheaf_document::{RawDocument, ValueRef};

use super::access::Access;
use super::query::{HintChoice, Query};
use super::ranges::encode;
use crate::catalog::Collection;
use crate::index::{Index, KeyKind};
use crate::key_layout::{self, KeyRange, successor};
use crate::plan::{FieldBounds, IndexScanPlan, Interval, PhysicalPlan, ScanDirection};
use crate::{Error, Result};

/// Code of bounds without a hint.
const NEEDS_HINT: i32 = 51_173;

/// Code of bounds that are not over the fields of the index.
const DOES_NOT_FIT: i32 = 51_174;

/// Code of bounds with nothing in between.
const WRONG_ORDER: i32 = 51_175;

/// The scan between the bounds that a query gives.
pub(super) fn plan(collection: &Arc<Collection>, query: &Query) -> Result<Access> {
    let HintChoice::Index(name) = &query.hint else {
        return Err(Error::location(NEEDS_HINT, "min and max need a hint that names their index"));
    };
    let Some(index) = collection.index_named(name) else {
        return Err(Error::location(NEEDS_HINT, format!("there is no index {name:?} for min and max")));
    };
    let request = &query.index;
    let prefix = match index.is_primary() {
        true => key_layout::documents_prefix(collection.id),
        false => key_layout::entries_prefix(index.id),
    };
    let end = |bound: &Option<sheaf_document::RawDocumentBuf>| match bound {
        Some(bound) => key(index, query, &prefix, bound.as_raw()).map(Some),
        None => Ok(None),
    };
    let (lower, upper) = (end(&request.min)?, end(&request.max)?);
    let range = KeyRange {
        lower: lower.unwrap_or_else(|| prefix.clone()),
        upper: upper.unwrap_or_else(|| successor(&prefix)),
    };
    if range.lower >= range.upper {
        return Err(Error::location(WRONG_ORDER, "min does not come before max in the order of the index"));
    }
    let scan = IndexScanPlan {
        index: Arc::clone(index),
        paths: index.paths.clone(),
        bounds: shown_bounds(index, query),
        ranges: vec![range],
        direction: ScanDirection::Forward,
        is_multikey: index.multikey.any(),
        with_entries: request.needs_key,
    };
    let plan = PhysicalPlan::Fetch {
        collection: Arc::clone(collection),
        filter: (!query.filter.is_everything()).then(|| Arc::clone(&query.filter)),
        key_of: request.needs_key.then(|| Arc::clone(index)),
        input: Box::new(PhysicalPlan::IndexScan(scan)),
    };
    Ok(Access { plan, is_sorted: query.sort.is_none() })
}

/// The key that a bound stands for: it must have the fields of the index, in their order, and strings that are compared
/// as the index compares them.
fn key(index: &Index, query: &Query, prefix: &[u8], bound: RawDocument<'_>) -> Result<Vec<u8>> {
    let refused = |why: &str| {
        Err(Error::location(
            DOES_NOT_FIT,
            format!("min and max do not fit the index \"{}\": {why}", index.specification.name),
        ))
    };
    if index.paths.iter().any(|path| !matches!(path.kind, KeyKind::Value | KeyKind::Hashed)) {
        return refused("its keys are not values of fields");
    }
    let names = index.paths.iter().map(|path| path.path.as_str());
    if !bound.iter().map(|element| element.key()).eq(names) {
        return refused("they need a value for each of its fields, in their order");
    }
    let same_collation = index.specification.collation == query.collation.document;
    let mut key = prefix.to_vec();
    for (path, element) in index.paths.iter().zip(bound) {
        let by_collation = has_strings(element.value());
        if by_collation && !same_collation {
            return refused("it compares strings otherwise than the query");
        }
        encode(index, path, &element.value().into(), &mut key);
    }
    Ok(key)
}

/// Whether a value is, or may have in it, a string.
fn has_strings(value: ValueRef<'_>) -> bool {
    matches!(value, ValueRef::String(_) | ValueRef::Symbol(_) | ValueRef::Document(_) | ValueRef::Array(_))
}

/// What plans show: the interval of a key of one field, else everything.
fn shown_bounds(index: &Index, query: &Query) -> Vec<FieldBounds> {
    let mut bounds = vec![FieldBounds::all(); index.paths.len()];
    if let ([path], [slot]) = (index.paths.as_slice(), bounds.as_mut_slice()) {
        let mut interval = Interval::all();
        let first = |bound: &Option<sheaf_document::RawDocumentBuf>| {
            let value = bound.as_ref()?.as_raw().first()?.value();
            Some(sheaf_document::Value::from(value).into_owned())
        };
        let (min, max) = (first(&query.index.min), first(&query.index.max));
        if path.descending {
            // The scan begins at the larger value.
            interval.upper.value = min.unwrap_or(interval.upper.value);
            if let Some(max) = max {
                interval.lower = crate::plan::Bound { value: max, is_inclusive: false };
            }
        } else {
            interval.lower.value = min.unwrap_or(interval.lower.value);
            if let Some(max) = max {
                interval.upper = crate::plan::Bound { value: max, is_inclusive: false };
            }
        }
        *slot = FieldBounds { intervals: vec![interval] };
    }
    bounds
}
