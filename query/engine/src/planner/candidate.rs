//! What one index can do for a query.

use std::sync::Arc;

use sheaf_document::Value;
use sheaf_language::filter::path::FieldPath;
use sheaf_language::filter::{Condition, Predicate};
use sheaf_language::sort::{Direction, SortBy};

use super::partial::implies;
use super::predicate_bounds::{PredicateBounds, Strings, predicate_bounds};
use super::query::Query;
use super::ranges::{Ranges, key_ranges};
use super::special::{
    WildcardReach, WildcardUse, term_bounds, wildcard_paths, wildcard_reach, wildcard_uses,
};
use crate::catalog::Collection;
use crate::index::{Index, IndexContent, KeyKind, KeyPath, geo};
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
    /// What an index can do: nothing if it must not be used (it lacks documents that the query asks for); several things
    /// if it is a wildcard index, one for every path.
    pub(crate) fn all(
        collection: &Collection,
        index: &Arc<Index>,
        conjuncts: &[&Predicate],
        query: &Query,
        is_hinted: bool,
    ) -> Vec<Self> {
        let strings = Strings {
            collator: index.collate(),
            same_as_query: index.specification.collation == query.collation.document,
        };
        // A search of text has one index and no other way.
        let is_text = matches!(index.content, IndexContent::Terms(_));
        if query.allowed.as_ref().is_some_and(|allowed| !is_text && !allowed.have(index)) {
            return Vec::new();
        }
        if index.specification.hidden && !is_hinted || !index.has_entries() {
            return Vec::new();
        }
        // Whoever names an index takes what it has.
        if let (Some(partial), false) = (&index.partial_filter, is_hinted)
            && !implies(conjuncts, partial, strings)
        {
            return Vec::new();
        }
        let uses = match &index.content {
            IndexContent::Paths(scope) => wildcard_uses(index, scope, conjuncts, strings),
            _ => vec![None],
        };
        uses.iter()
            .filter_map(|wildcard| {
                Self::of(collection, index, conjuncts, query, is_hinted, strings, wildcard.as_ref())
            })
            .collect()
    }

    fn of(
        collection: &Collection,
        index: &Arc<Index>,
        conjuncts: &[&Predicate],
        query: &Query,
        is_hinted: bool,
        strings: Strings<'_>,
        wildcard: Option<&WildcardUse>,
    ) -> Option<Self> {
        let mut paths = index.paths.clone();
        if let Some(wildcard) = wildcard {
            for path in paths.iter_mut().filter(|path| path.kind == KeyKind::WildcardValue) {
                path.path = FieldPath::parse(&wildcard.path);
            }
        }
        let assigned = Assignment::make(index, &paths, conjuncts, strings, wildcard);
        if !assigned.has_what_it_needs(index, &paths, is_hinted, strings) {
            return None;
        }
        let prefix = if index.is_primary() {
            key_layout::documents_prefix(collection.id)
        } else {
            key_layout::entries_prefix(index.id)
        };
        let Ranges { ranges, fields } = key_ranges(index, &paths, prefix, &assigned.bounds);
        let bounded_fields = assigned.bounds.iter().take(fields).filter(|bounds| !bounds.is_all()).count();
        let point_fields = assigned
            .bounds
            .iter()
            .take_while(|bounds| bounds.is_points(strings.collator))
            .count()
            .min(fields);
        let narrow_fields = assigned.bounds.iter().take(fields).filter(|bounds| !bounds.spans_all()).count();
        let settled = assigned.settled(conjuncts.len(), fields, &paths);
        let sort = sort_direction(index, &paths, &assigned.bounds, strings, query);
        let has_one_path = wildcard.is_some_and(|wildcard| !wildcard.with_below);
        let scan = IndexScanPlan {
            index: Arc::clone(index),
            paths,
            bounds: assigned.bounds,
            ranges,
            direction: sort.unwrap_or(ScanDirection::Forward),
            with_entries: query.index.needs_key,
            is_multikey: index.multikey.any()
                || matches!(index.content, IndexContent::Paths(_)) && !has_one_path,
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

    /// Whether it finds one document at most for each value that is asked for.
    pub(crate) fn is_lookup(&self) -> bool {
        self.scan.index.specification.unique && self.point_fields == self.scan.bounds.len()
    }

    /// Larger is better: single values first, then a range behind them, then the order, then a short key.
    pub(crate) fn score(&self) -> (bool, usize, usize, bool, usize, std::cmp::Reverse<usize>) {
        let is_lookup = self.is_lookup();
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
    fn make(
        index: &Index,
        paths: &[KeyPath],
        conjuncts: &[&Predicate],
        strings: Strings<'_>,
        wildcard: Option<&WildcardUse>,
    ) -> Self {
        let mut assignment = Self { bounds: vec![FieldBounds::all(); paths.len()], uses: Vec::new() };
        for (number, predicate) in conjuncts.iter().enumerate() {
            assignment.take_special(index, paths, number, predicate);
            for found in predicate_bounds(predicate, strings) {
                let by_value = |path: &KeyPath| match path.kind {
                    KeyKind::Value | KeyKind::Hashed => path.path.as_str() == found.path,
                    KeyKind::WildcardValue => {
                        wildcard.is_some_and(|wildcard| !wildcard.with_below && wildcard.path == found.path)
                            && wildcard_reach(&found.bounds, strings) == WildcardReach::Values
                    }
                    _ => false,
                };
                let Some(field) = paths.iter().position(by_value) else { continue };
                if found.needs_no_array && index.multikey.field(field) {
                    continue;
                }
                // A name with a dot in it has the same path as a document in a document: look again.
                let is_wildcard = paths.get(field).is_some_and(|path| path.kind == KeyKind::WildcardValue);
                let is_exact = found.is_exact && !is_wildcard;
                assignment.narrow(index, number, field, PredicateBounds { is_exact, ..found }, strings);
            }
        }
        if let Some(wildcard) = wildcard
            && let Some(field) = paths.iter().position(|path| path.kind == KeyKind::WildcardPath)
            && let Some(bounds) = assignment.bounds.get_mut(field)
        {
            *bounds = wildcard_paths(wildcard);
        }
        assignment.separate_elements(index, paths);
        assignment
    }

    fn narrow(
        &mut self,
        index: &Index,
        number: usize,
        field: usize,
        found: PredicateBounds,
        strings: Strings<'_>,
    ) {
        let Some(current) = self.bounds.get_mut(field) else { return };
        if current.is_all() {
            *current = found.bounds;
            self.uses.push((number, field, found.is_exact));
        } else if !index.multikey.field(field) {
            *current = current.intersect(&found.bounds, strings.collator);
            self.uses.push((number, field, found.is_exact));
        } else if found.bounds.is_points(strings.collator) && !current.is_points(strings.collator) {
            // Two conditions may be fulfilled by two elements of an array: only one can narrow the scan.
            *current = found.bounds;
            self.uses.retain(|(_, used, _)| *used != field);
            self.uses.push((number, field, found.is_exact));
        }
    }

    /// Conditions on places and searches of text narrow the fields that are made for them. The first of several does:
    /// each may be fulfilled by another place.
    fn take_special(&mut self, index: &Index, paths: &[KeyPath], number: usize, predicate: &Predicate) {
        for (field, path) in paths.iter().enumerate() {
            let found = match predicate {
                Predicate::Field { path: wanted, condition: Condition::Place(place) }
                    if geo::is_field(path, wanted) =>
                {
                    index.place_bounds(path.kind, place)
                }
                Predicate::Text(search) if path.kind == KeyKind::Term => term_bounds(index, search),
                _ => None,
            };
            let Some(slot) = self.bounds.get_mut(field).filter(|bounds| bounds.is_all()) else { continue };
            if let Some(found) = found {
                *slot = found;
                self.uses.push((number, field, false));
            }
        }
    }

    /// Whether the scan meets every document that the query asks for, or at least one may want to meet.
    fn has_what_it_needs(
        &self,
        index: &Index,
        paths: &[KeyPath],
        is_hinted: bool,
        strings: Strings<'_>,
    ) -> bool {
        let is_narrowed = |kinds: &[KeyKind]| {
            let fields = paths.iter().zip(&self.bounds).enumerate();
            fields
                .filter(|(_, (path, _))| kinds.contains(&path.kind))
                .any(|(field, _)| self.uses.iter().any(|(_, used, _)| *used == field))
        };
        match &index.content {
            IndexContent::Values => {
                !index.specification.sparse || is_hinted || self.excludes_missing(strings)
            }
            IndexContent::Places => is_hinted || is_narrowed(&[KeyKind::PlaneCell, KeyKind::SphereCell]),
            IndexContent::Terms(_) => {
                let before = paths.iter().take_while(|path| path.kind != KeyKind::Term).count();
                is_narrowed(&[KeyKind::Term])
                    && self.bounds.iter().take(before).all(|bounds| bounds.is_points(strings.collator))
            }
            IndexContent::Paths(_) => {
                let has_path = paths
                    .iter()
                    .zip(&self.bounds)
                    .any(|(path, bounds)| path.kind == KeyKind::WildcardPath && !bounds.is_all());
                has_path || is_narrowed(&[KeyKind::Value])
            }
        }
    }

    /// Two fields below the same array may be fulfilled by two of its elements, but one entry holds values of one
    /// element: only the first of them may be narrowed.
    fn separate_elements(&mut self, index: &Index, paths: &[KeyPath]) {
        let multikey = index.multikey.paths();
        for second in 1..self.bounds.len() {
            let shares = (0..second).any(|first| {
                self.bounds.get(first).is_some_and(|bounds| !bounds.is_all())
                    && shares_array(paths, &multikey, first, second)
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

    fn settled(&self, conjuncts: usize, fields: usize, paths: &[KeyPath]) -> Vec<bool> {
        let mut settled = vec![false; conjuncts];
        for (conjunct, field, is_exact) in &self.uses {
            let hashed = paths.get(*field).is_some_and(|path| path.kind == KeyKind::Hashed);
            if let Some(slot) = settled.get_mut(*conjunct) {
                *slot = *is_exact && *field < fields && !hashed;
            }
        }
        settled
    }
}

/// Whether the paths of two fields lead through the same array.
fn shares_array(paths: &[KeyPath], multikey: &[u64], first: usize, second: usize) -> bool {
    let (Some(left), Some(right)) = (paths.get(first), paths.get(second)) else { return false };
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
    paths: &[KeyPath],
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
        while paths.get(field).is_some_and(|own| own.path != *path) && is_fixed(field) {
            field += 1;
        }
        let own = paths.get(field)?;
        let has_order = matches!(own.kind, KeyKind::Value | KeyKind::WildcardValue);
        if own.path != *path || !has_order || index.multikey.field(field) {
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
