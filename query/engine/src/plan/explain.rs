//! Plans as `explain` shows them: documents with the stage names and fields that MongoDB's clients know.

use sheaf_document::{DocumentBuilder, RawDocument, ValueRef};

use super::{IndexScanPlan, PhysicalPlan, ScanDirection};
use crate::executor::{Examined, Operator};
use crate::index::IndexContent;

/// Writes a plan node with its inputs. With operators, it says what they did.
pub(crate) fn write_stage(
    plan: &PhysicalPlan,
    operator: Option<&Operator>,
    filter: RawDocument<'_>,
    out: &mut DocumentBuilder,
) {
    if let Some((scan, own)) = clustered_scan(plan) {
        return write_clustered_scan(scan, own, operator, filter, out);
    }
    out.append("stage", plan.stage_name());
    if let Some(operator) = operator {
        write_counts(operator, out);
    }
    match plan {
        PhysicalPlan::CollectionScan { direction, filter: own, .. } => {
            if own.is_some() {
                out.append_ref("filter", ValueRef::Document(filter));
            }
            out.append("direction", direction_name(*direction));
        }
        PhysicalPlan::IdLookup { id, .. } => {
            out.append("indexName", "_id_").document("key", |key| {
                key.append_value("_id", id);
            });
        }
        PhysicalPlan::GeoNear(near) => {
            write_key_pattern(&near.scan, out);
            out.append("indexName", near.scan.index.specification.name.as_str()).append("indexVersion", 2);
        }
        PhysicalPlan::IndexScan(scan) => write_scan(scan, out),
        PhysicalPlan::Limit { limit, .. } => {
            out.append("limitAmount", i64::try_from(*limit).unwrap_or(i64::MAX));
        }
        PhysicalPlan::Skip { skip, .. } => {
            out.append("skipAmount", i64::try_from(*skip).unwrap_or(i64::MAX));
        }
        PhysicalPlan::Sort { sort, limit, .. } => {
            out.document("sortPattern", |pattern| {
                for part in sort.parts() {
                    if let sheaf_language::sort::SortBy::Path(path) = &part.by {
                        let is_ascending = part.direction == sheaf_language::sort::Direction::Ascending;
                        pattern.append(path.as_str(), if is_ascending { 1 } else { -1 });
                    }
                }
            });
            if let Some(limit) = limit {
                out.append("limitAmount", i64::try_from(*limit).unwrap_or(i64::MAX));
            }
            out.append("type", "default");
        }
        _ => {}
    }
    let operators = operator.map(Operator::inputs);
    match plan.inputs() {
        [] => {}
        [input] => {
            let operator = operators.and_then(<[Operator]>::first);
            out.document("inputStage", |nested| write_stage(input, operator, filter, nested));
        }
        inputs => {
            out.array("inputStages", |array| {
                for (position, input) in inputs.iter().enumerate() {
                    let operator = operators.and_then(|operators| operators.get(position));
                    array.document(|nested| write_stage(input, operator, filter, nested));
                }
            });
        }
    }
}

/// A scan of a clustered collection by its key, which is one stage to clients: fetching is part of it.
fn clustered_scan(plan: &PhysicalPlan) -> Option<(&IndexScanPlan, bool)> {
    let PhysicalPlan::Fetch { collection, filter, input, .. } = plan else { return None };
    let PhysicalPlan::IndexScan(scan) = input.as_ref() else { return None };
    (collection.options.is_clustered() && scan.index.is_primary()).then_some((scan, filter.is_some()))
}

fn write_clustered_scan(
    scan: &IndexScanPlan,
    has_filter: bool,
    operator: Option<&Operator>,
    filter: RawDocument<'_>,
    out: &mut DocumentBuilder,
) {
    out.append("stage", "CLUSTERED_IXSCAN");
    if let Some(operator) = operator {
        write_counts(operator, out);
    }
    if has_filter {
        out.append_ref("filter", ValueRef::Document(filter));
    }
    out.append("direction", direction_name(scan.direction));
    let intervals = scan.bounds.first().map(|bounds| bounds.intervals.as_slice()).unwrap_or_default();
    if let (Some(first), Some(last)) = (intervals.first(), intervals.last()) {
        out.append_value("minRecord", &first.lower.value).append_value("maxRecord", &last.upper.value);
    }
}

fn write_counts(operator: &Operator, out: &mut DocumentBuilder) {
    out.append("nReturned", number(operator.returned));
    out.append("executionTimeMillisEstimate", number(operator.micros / 1_000));
    let Examined { keys, documents } = operator.examined();
    if keys > 0 {
        out.append("keysExamined", number(keys));
    }
    if documents > 0 {
        out.append("docsExamined", number(documents));
    }
    write_spilled(operator, out);
}

/// What an operator that may spill wrote to disk.
pub(crate) fn write_spilled(operator: &Operator, out: &mut DocumentBuilder) {
    if let Some(used) = operator.spilled() {
        out.append("usedDisk", used.records > 0);
        out.append("spills", number(used.spills));
        out.append("spilledRecords", number(used.records));
        out.append("spilledBytes", number(used.bytes));
    }
}

fn write_scan(scan: &IndexScanPlan, out: &mut DocumentBuilder) {
    let specification = &scan.index.specification;
    write_key_pattern(scan, out);
    out.append("indexName", specification.name.as_str())
        .append("isMultiKey", scan.is_multikey)
        .append("isUnique", specification.unique || specification.key.is_id())
        .append("isSparse", specification.sparse)
        .append("isPartial", specification.partial_filter.is_some())
        .append("indexVersion", 2)
        .append("direction", direction_name(scan.direction));
    out.document("indexBounds", |bounds| {
        for (path, own) in scan.paths.iter().zip(&scan.bounds) {
            bounds.array(path.path.as_str(), |intervals| {
                for interval in &own.intervals {
                    intervals.push(interval.to_string());
                }
            });
        }
    });
}

/// The key pattern; that of a wildcard index with the path it is used for.
fn write_key_pattern(scan: &IndexScanPlan, out: &mut DocumentBuilder) {
    let specification = &scan.index.specification;
    if !matches!(scan.index.content, IndexContent::Paths(_)) {
        out.append_ref("keyPattern", ValueRef::Document(specification.key.document()));
        return;
    }
    out.document("keyPattern", |pattern| {
        for path in &scan.paths {
            pattern.append(path.path.as_str(), if path.descending { -1 } else { 1 });
        }
    });
}

const fn direction_name(direction: ScanDirection) -> &'static str {
    match direction {
        ScanDirection::Forward => "forward",
        ScanDirection::Backward => "backward",
    }
}

/// A count as MongoDB shows it: 32 bits where it fits.
pub(crate) fn number(count: u64) -> sheaf_document::Value<'static> {
    match i32::try_from(count) {
        Ok(small) => small.into(),
        Err(_) => i64::try_from(count).unwrap_or(i64::MAX).into(),
    }
}

/// What all operators of a tree looked at.
pub(crate) fn total(operator: &Operator) -> Examined {
    let own = operator.examined();
    operator.inputs().iter().map(total).fold(own, |sum, below| Examined {
        keys: sum.keys + below.keys,
        documents: sum.documents + below.documents,
    })
}
