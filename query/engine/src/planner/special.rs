//! What text and wildcard indexes can do for a query.
//!
//! A wildcard index has no entry for what a document does not have, and for an embedded document the entries of its
//! fields instead of one of its own. So it serves conditions that no missing value fulfils: with the entries right at
//! the path if only plain values fulfil them, else with all entries at and below the path, whatever their values.

use std::sync::Arc;

use sheaf_document::{RawDocument, Value, ValueRef};
use sheaf_language::filter::{Condition, Predicate};
use sheaf_language::text::TextSearch;

use super::predicate_bounds::{Strings, predicate_bounds};
use crate::index::wildcard::{Coverage, WildcardScope};
use crate::index::{Index, IndexContent, KeyKind, text};
use crate::plan::{FieldBounds, Interval, bracket};

/// What a wildcard index is used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WildcardUse {
    pub(super) path: String,
    /// Whether values below the path are looked at too, and no value is left out.
    pub(super) with_below: bool,
}

/// Which entries of a wildcard index have the values within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WildcardReach {
    /// Not all of them have entries.
    Nothing,
    /// Those right at the path.
    Values,
    /// Those at and below the path.
    Below,
}

/// Which entries of a wildcard index have the values within these bounds.
pub(super) fn wildcard_reach(bounds: &FieldBounds, strings: Strings<'_>) -> WildcardReach {
    let has = |bracket: Interval| {
        let bracket = FieldBounds::of(vec![bracket], strings.collator);
        !bounds.intersect(&bracket, strings.collator).intervals.is_empty()
    };
    if has(Interval::new(Value::Undefined, true, Value::Null, true)) {
        WildcardReach::Nothing
    } else if has(bracket(ValueRef::Document(RawDocument::EMPTY))) {
        WildcardReach::Below
    } else {
        WildcardReach::Values
    }
}

/// Every use that the conditions allow of a wildcard index; none of its paths is one, for what stands beside it.
pub(super) fn wildcard_uses(
    index: &Index,
    scope: &WildcardScope,
    conjuncts: &[&Predicate],
    strings: Strings<'_>,
) -> Vec<Option<WildcardUse>> {
    let is_multikey =
        index.position_of(KeyKind::WildcardValue).is_some_and(|field| index.multikey.field(field));
    let mut uses = vec![None];
    let mut add = |path: &str, reach: WildcardReach| {
        let fits = match (reach, scope.coverage(path)) {
            (WildcardReach::Values, Coverage::Part | Coverage::Whole) => true,
            (WildcardReach::Below, coverage) => coverage == Coverage::Whole,
            _ => false,
        };
        let found = Some(WildcardUse { path: path.to_owned(), with_below: reach == WildcardReach::Below });
        if fits && !uses.contains(&found) {
            uses.push(found);
        }
    };
    for predicate in conjuncts {
        if let Predicate::Field { path, condition: Condition::Exists } = predicate {
            // A number may be a position in an array, which no path of the index has.
            if !path.is_here() && path.components().iter().all(|component| component.index().is_none()) {
                add(path.as_str(), WildcardReach::Below);
            }
            continue;
        }
        for found in predicate_bounds(predicate, strings) {
            if !(found.needs_no_array && is_multikey) {
                add(&found.path, wildcard_reach(&found.bounds, strings));
            }
        }
    }
    uses
}

/// The paths that a use looks at.
pub(super) fn wildcard_paths(wildcard: &WildcardUse) -> FieldBounds {
    let path = &wildcard.path;
    let mut intervals = vec![Interval::point(Value::from(path.clone()))];
    if wildcard.with_below {
        // '/' is the character behind '.'.
        let (first, behind) = (Value::from(format!("{path}.")), Value::from(format!("{path}/")));
        intervals.push(Interval::new(first, true, behind, false));
    }
    FieldBounds::of(intervals, None)
}

/// The terms of which a document that a search finds has one.
pub(super) fn term_bounds(index: &Index, search: &TextSearch) -> Option<FieldBounds> {
    let IndexContent::Terms(own) = &index.content else { return None };
    // Terms are folded; what stemming makes of capitals cannot be told from its folded form.
    if search.query().is_case_sensitive() {
        let every = Interval::new(Value::from(""), true, bracket(ValueRef::String("")).upper.value, false);
        return Some(FieldBounds::of(vec![every], None));
    }
    let stems = search.query().stems(own.default_language());
    let points = stems.iter().map(|stem| Interval::point(Value::from(text::term_key(stem).into_owned())));
    Some(FieldBounds::of(points.collect(), None))
}

/// A condition that holds for every place at a distance that a search wants.
pub(super) fn near_predicate(
    path: &sheaf_language::filter::path::FieldPath,
    near: &sheaf_language::geometry::Near,
) -> Predicate {
    let place = sheaf_language::filter::Place::Near(near.clone());
    Predicate::Field { path: path.clone(), condition: Condition::Place(Arc::new(place)) }
}
