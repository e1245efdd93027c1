//! From bounds to ranges of keys.

use sheaf_document::{Value, ValueRef};

use crate::index::{Index, KeyKind, KeyPath, entry};
use crate::key_layout::{KeyRange, prefix_range, successor};
use crate::plan::{FieldBounds, Interval};

/// Most ranges that leading single values are multiplied out to.
const RANGES_MAX: usize = 4_096;

/// Ranges of keys with what they stand for.
pub(crate) struct Ranges {
    /// In the order of the index, disjoint.
    pub(crate) ranges: Vec<KeyRange>,
    /// How many fields of the key they take into account; the bounds of the others are not looked at.
    pub(crate) fields: usize,
}

/// The ranges of keys that begin with `prefix` and fulfil the bounds: leading fields with single values are multiplied
/// out, the first field with intervals ends them.
pub(crate) fn key_ranges(
    index: &Index,
    paths: &[KeyPath],
    prefix: Vec<u8>,
    bounds: &[FieldBounds],
) -> Ranges {
    let mut prefixes = vec![prefix];
    for (position, (bounds, path)) in bounds.iter().zip(paths).enumerate() {
        if bounds.is_all() {
            return whole(prefixes, position);
        }
        let points = bounds.is_points(index.collate());
        if points && prefixes.len().saturating_mul(bounds.intervals.len()) <= RANGES_MAX {
            let ordered = in_key_order(bounds, path);
            prefixes = prefixes
                .iter()
                .flat_map(|prefix| {
                    ordered.iter().map(|interval| {
                        let mut longer = prefix.clone();
                        encode(index, path, &interval.lower.value, &mut longer);
                        longer
                    })
                })
                .collect();
            // Hashes are not in the order of the values.
            if path.kind == KeyKind::Hashed {
                prefixes.sort();
                prefixes.dedup();
            }
            continue;
        }
        if path.kind == KeyKind::Hashed {
            return whole(prefixes, position);
        }
        let ordered = in_key_order(bounds, path);
        let ranges = prefixes
            .iter()
            .flat_map(|prefix| ordered.iter().map(|interval| interval_range(index, path, prefix, interval)))
            .collect();
        return Ranges { ranges, fields: position + 1 };
    }
    whole(prefixes, bounds.len())
}

fn whole(prefixes: Vec<Vec<u8>>, fields: usize) -> Ranges {
    Ranges { ranges: prefixes.into_iter().map(prefix_range).collect(), fields }
}

fn in_key_order<'b>(bounds: &'b FieldBounds, path: &KeyPath) -> Vec<&'b Interval> {
    let mut ordered: Vec<_> = bounds.intervals.iter().collect();
    if path.descending {
        ordered.reverse();
    }
    ordered
}

fn interval_range(index: &Index, path: &KeyPath, prefix: &[u8], interval: &Interval) -> KeyRange {
    let (first, last) =
        if path.descending { (&interval.upper, &interval.lower) } else { (&interval.lower, &interval.upper) };
    let mut lower = prefix.to_vec();
    encode(index, path, &first.value, &mut lower);
    if !first.is_inclusive {
        lower = successor(&lower);
    }
    let mut upper = prefix.to_vec();
    encode(index, path, &last.value, &mut upper);
    if last.is_inclusive {
        upper = successor(&upper);
    }
    KeyRange { lower, upper }
}

pub(super) fn encode(index: &Index, path: &KeyPath, value: &Value<'_>, out: &mut Vec<u8>) {
    // Bounds hold no missing values, and arrays in bytes form.
    let value = value.as_ref().unwrap_or(ValueRef::Null);
    match path.kind {
        KeyKind::Hashed => {
            let hashed = ValueRef::Int64(entry::hash(value, index.collate()));
            sheaf_document::key::encode(hashed, path.descending, None, out);
        }
        KeyKind::Value | KeyKind::WildcardValue => {
            sheaf_document::key::encode(value, path.descending, index.collate(), out);
        }
        KeyKind::WildcardPath | KeyKind::Term | KeyKind::PlaneCell | KeyKind::SphereCell => {
            sheaf_document::key::encode(value, path.descending, None, out);
        }
    }
}
