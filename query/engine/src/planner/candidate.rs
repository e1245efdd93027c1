//! What one index can do for a query.

use std::sync::Arc;

use sheaf_document::Value;
use sheaf_language::filter::Predicate;
use sheaf_language::sort::{Direction, SortBy};

use super::partial::implies;
use super::predicate_bounds::{Strings, predicate_bounds};
use super::query::Query;
use super::ranges::{Ranges, key_ranges};
use crate::catalog::Collection;
use crate::index::Index;
use crate::key_layout;
use crate::plan::{FieldBounds, IndexScanPlan, ScanDirection};

/// What one index can do for a query.
pub(crate) struct Candidate {
    pub(crate) scan: IndexScanPlan,
    /// Which conjuncts need not be checked on the documents.
    pub(crate) settled: Vec<bool>,
    /// Leading fields that are looked up by single values.
    pub(crate) point_fields: usize,
    /// Fields, leading ones included, that the ranges of keys narrow.
    pub(crate) bounded_fields: usize,
    /// Of those, the fields whose bounds leave out more than single values in between.
    pub(crate) narrow_fields: usize,
    /// Whether the rows come in the order of the query's sort.
    pub(crate) provides_sort: bool,
}

impl Candidate {
    /// What an index can do; none if it must not be used (it lacks documents that the query asks for).
    pub(crate) fn of(
        collection: &Collection,
        index: &Arc<Index>,
        conjuncts: &[&Predicate],
        query: &Query,
        is_hinted: bool,
    ) -> Option<Self> {
        let strings = Strings {
            collator: index.collate(),
            same_as_query: index.specification.collation == query.collation.document,
        };
        if index.specification.hidden && !is_hinted || !index.specification.has_entries() {
            return None;
        }
        if let Some(partial) = &index.partial_filter
            && !implies(conjuncts, partial, strings)
        {
            return None;
        }
        let assigned = Assignment::make(index, conjuncts, strings);
        if index.specification.sparse && !is_hinted && !assigned.excludes_missing(strings) {
            return None;
        }
        let prefix = if index.is_primary() {
            key_layout::documents_prefix(collection.id)
        } else {
            key_layout::entries_prefix(index.id)
        };
        let Ranges { ranges, fields } = key_ranges(index, prefix, &assigned.bounds);
        let bounded_fields = assigned.bounds.iter().take(fields).filter(|bounds| !bounds.is_all()).count();
        let point_fields = assigned
            .bounds
            .iter()
            .take_while(|bounds| bounds.is_points(strings.collator))
            .count()
            .min(fields);
        let narrow_fields = assigned.bounds.iter().take(fields).filter(|bounds| !bounds.spans_all()).count();
        let settled = assigned.settled(conjuncts.len(), fields, index);
        let sort = sort_direction(index, &assigned.bounds, strings, query);
        let scan = IndexScanPlan {
            index: Arc::clone(index),
            bounds: assigned.bounds,
            ranges,
            direction: sort.unwrap_or(ScanDirection::Forward),
            is_multikey: index.multikey.any(),
        };
        Some(Self {
            scan,
            settled,
            point_fields,
            bounded_fields,
            narrow_fields,
            provides_sort: sort.is_some(),
        })
    }

    /// Larger is better: single values first, then a range behind them, then the order, then a short key.
    pub(crate) fn score(&self) -> (bool, usize, usize, bool, usize, std::cmp::Reverse<usize>) {
        let is_lookup = self.scan.index.specification.unique && self.point_fields == self.scan.bounds.len();
        let fields = std::cmp::Reverse(self.scan.bounds.len());
        (is_lookup, self.point_fields, self.narrow_fields, self.provides_sort, self.bounded_fields, fields)
    }
}

/// Which conjunct narrows which field.
struct Assignment {
    bounds: Vec<FieldBounds>,
    /// Conjunct, field, whether the field's bounds alone settle the conjunct.
    uses: Vec<(usize, usize, bool)>,
}

impl Assignment {
    fn make(index: &Index, conjuncts: &[&Predicate], strings: Strings<'_>) -> Self {
        let mut bounds = vec![FieldBounds::all(); index.paths.len()];
        let mut uses: Vec<(usize, usize, bool)> = Vec::new();
        for (number, predicate) in conjuncts.iter().enumerate() {
            for found in predicate_bounds(predicate, strings) {
                let Some(field) = index.paths.iter().position(|path| path.path.as_str() == found.path) else {
                    continue;
                };
                if found.needs_no_array && index.multikey.field(field) {
                    continue;
                }
                let Some(current) = bounds.get_mut(field) else { continue };
                if current.is_all() {
                    *current = found.bounds;
                    uses.push((number, field, found.is_exact));
                } else if !index.multikey.field(field) {
                    *current = current.intersect(&found.bounds, strings.collator);
                    uses.push((number, field, found.is_exact));
                } else if found.bounds.is_points(strings.collator) && !current.is_points(strings.collator) {
                    // Two conditions may be fulfilled by two elements of an array: only one can narrow the scan.
                    *current = found.bounds;
                    uses.retain(|(_, used, _)| *used != field);
                    uses.push((number, field, found.is_exact));
                }
            }
        }
        let mut assignment = Self { bounds, uses };
        assignment.separate_elements(index, strings);
        assignment
    }

    /// Two fields below the same array may be fulfilled by two of its elements, but one entry holds values of one
    /// element: only the first of them may be narrowed.
    fn separate_elements(&mut self, index: &Index, _strings: Strings<'_>) {
        let paths = index.multikey.paths();
        for second in 1..self.bounds.len() {
            let shares = (0..second).any(|first| {
                self.bounds.get(first).is_some_and(|bounds| !bounds.is_all())
                    && shares_array(index, &paths, first, second)
            });
            if shares && let Some(bounds) = self.bounds.get_mut(second) {
                *bounds = FieldBounds::all();
                self.uses.retain(|(_, field, _)| *field != second);
            }
        }
    }

    fn excludes_missing(&self, strings: Strings<'_>) -> bool {
        let null = FieldBounds::of(vec![crate::plan::Interval::point(Value::Null)], strings.collator);
        self.bounds.iter().any(|bounds| !null.is_within(bounds, strings.collator))
    }

    fn settled(&self, conjuncts: usize, fields: usize, index: &Index) -> Vec<bool> {
        let mut settled = vec![false; conjuncts];
        for (conjunct, field, is_exact) in &self.uses {
            let hashed = index.paths.get(*field).is_some_and(|path| path.hashed);
            if let Some(slot) = settled.get_mut(*conjunct) {
                *slot = *is_exact && *field < fields && !hashed;
            }
        }
        settled
    }
}

/// Whether the paths of two fields lead through the same array.
fn shares_array(index: &Index, multikey: &[u64], first: usize, second: usize) -> bool {
    let (Some(left), Some(right)) = (index.paths.get(first), index.paths.get(second)) else { return false };
    let names = |position: usize| multikey.get(position).copied().unwrap_or(0);
    let common = left
        .path
        .components()
        .iter()
        .zip(right.path.components())
        .take_while(|(left, right)| left.name() == right.name())
        .count();
    let mask = 1u64.checked_shl(u32::try_from(common).unwrap_or(64)).map_or(u64::MAX, |bit| bit - 1);
    names(first) & names(second) & mask != 0
}

/// Which way the index has to be scanned for the query's sort; none if it does not give that order.
fn sort_direction(
    index: &Index,
    bounds: &[FieldBounds],
    strings: Strings<'_>,
    query: &Query,
) -> Option<ScanDirection> {
    let sort = query.sort.as_ref()?;
    if !strings.same_as_query {
        return None;
    }
    let is_fixed = |field: usize| bounds.get(field).is_some_and(|bounds| bounds.is_point(strings.collator));
    let mut field = 0;
    let mut direction: Option<ScanDirection> = None;
    for part in sort.parts() {
        let SortBy::Path(path) = &part.by else { return None };
        if path.components().iter().any(|component| component.index().is_some()) {
            return None;
        }
        while index.paths.get(field).is_some_and(|own| own.path != *path) && is_fixed(field) {
            field += 1;
        }
        let own = index.paths.get(field)?;
        if own.path != *path || own.hashed || index.multikey.field(field) {
            return None;
        }
        let same_way = (part.direction == Direction::Descending) == own.descending;
        let needed = if same_way { ScanDirection::Forward } else { ScanDirection::Backward };
        if !is_fixed(field) {
            if direction.is_some_and(|direction| direction != needed) {
                return None;
            }
            direction = Some(needed);
        }
        field += 1;
    }
    Some(direction.unwrap_or(ScanDirection::Forward))
}
