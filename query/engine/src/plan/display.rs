//! The one printed form of plans.

use std::fmt;

use sheaf_language::sort::{Direction, SortBy};

use super::{IndexScanPlan, PhysicalPlan, ScanDirection};
use crate::index::KeyKind;

impl fmt::Display for PhysicalPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_tree(self, f, "", "")
    }
}

fn write_tree(plan: &PhysicalPlan, f: &mut fmt::Formatter<'_>, first: &str, rest: &str) -> fmt::Result {
    writeln!(f, "{first}{}", Line(plan))?;
    let inputs = plan.inputs();
    for (position, input) in inputs.iter().enumerate() {
        let is_last = position + 1 == inputs.len();
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        write_tree(input, f, &format!("{rest}{branch}"), &format!("{rest}{below}"))?;
    }
    Ok(())
}

/// One node without its inputs.
struct Line<'a>(&'a PhysicalPlan);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            PhysicalPlan::CollectionScan { collection, direction, range, filter } => {
                write!(f, "CollScan: {}", collection.namespace.collection())?;
                if range.is_some() {
                    f.write_str(" (range of _id)")?;
                }
                write_direction(f, *direction)?;
                if filter.is_some() {
                    f.write_str(", filtered")?;
                }
                Ok(())
            }
            PhysicalPlan::Documents { .. } => f.write_str("Documents"),
            PhysicalPlan::Empty => f.write_str("Empty"),
            PhysicalPlan::Fetch { filter, .. } => {
                f.write_str(if filter.is_some() { "Fetch: filtered" } else { "Fetch" })
            }
            PhysicalPlan::Filter { .. } => f.write_str("Filter"),
            PhysicalPlan::Fusion { fusion, .. } => f.write_str(fusion.name()),
            PhysicalPlan::GeoNear(near) => {
                write!(f, "GeoNear: {} by {}", near.path, near.scan.index.specification.name)?;
                f.write_str(if near.filter.is_some() { ", filtered" } else { "" })
            }
            PhysicalPlan::IdLookup { id, filter, .. } => {
                write!(f, "IdLookup: {}", crate::value_text::of_value(id))?;
                if filter.is_some() {
                    f.write_str(", filtered")?;
                }
                Ok(())
            }
            PhysicalPlan::IndexScan(scan) => write_scan(f, scan),
            PhysicalPlan::Limit { limit, .. } => write!(f, "Limit: {limit}"),
            PhysicalPlan::Near { path, .. } => write!(f, "Near: {path}"),
            PhysicalPlan::TextScore { .. } => f.write_str("TextScore"),
            PhysicalPlan::Project { projection, .. } => write!(f, "Project: {:?}", projection.mode()),
            PhysicalPlan::Ready { name, .. } => f.write_str(name),
            PhysicalPlan::ReturnKey { .. } => f.write_str("ReturnKey"),
            PhysicalPlan::ShowRecordId { .. } => f.write_str("ShowRecordId"),
            PhysicalPlan::Skip { skip, .. } => write!(f, "Skip: {skip}"),
            PhysicalPlan::Sort { sort, limit, .. } => {
                f.write_str("Sort:")?;
                for part in sort.parts() {
                    let name = match &part.by {
                        SortBy::Path(path) => path.as_str(),
                        SortBy::Meta(_) => "$meta",
                    };
                    let direction = if part.direction == Direction::Ascending { "asc" } else { "desc" };
                    write!(f, " {name} {direction}")?;
                }
                match limit {
                    Some(limit) => write!(f, ", first {limit}"),
                    None => Ok(()),
                }
            }
            PhysicalPlan::Stage { prepared, .. } => f.write_str(prepared.stage.name()),
            PhysicalPlan::Union { .. } => f.write_str("Union"),
        }
    }
}

fn write_scan(f: &mut fmt::Formatter<'_>, scan: &IndexScanPlan) -> fmt::Result {
    write!(f, "IxScan: {}", scan.index.specification.name)?;
    for (path, bounds) in scan.paths.iter().zip(&scan.bounds) {
        if matches!(path.kind, KeyKind::PlaneCell | KeyKind::SphereCell) && !bounds.is_all() {
            write!(f, " {}: {} ranges of cells", path.path, bounds.intervals.len())?;
            continue;
        }
        let intervals: Vec<_> = bounds.intervals.iter().map(ToString::to_string).collect();
        write!(f, " {}: {}", path.path, intervals.join(" "))?;
    }
    write_direction(f, scan.direction)?;
    if scan.is_multikey {
        f.write_str(", multikey")?;
    }
    Ok(())
}

fn write_direction(f: &mut fmt::Formatter<'_>, direction: ScanDirection) -> fmt::Result {
    match direction {
        ScanDirection::Forward => Ok(()),
        ScanDirection::Backward => f.write_str(", backward"),
    }
}
