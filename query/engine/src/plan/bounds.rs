//! Bounds: the values of one index field that a scan looks at, as a sorted list of disjoint intervals.
//!
//! Comparisons of queries stay within a type bracket, so an open end becomes the end of the bracket: `{$gt: "b"}` is
//! `("b", {})`, because documents come right after strings in the order of types.

use std::cmp::Ordering;
use std::fmt;

use sheaf_document::{Collate, RawDocument, Value, ValueRef, compare};

/// An end of an interval.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) value: Value<'static>,
    pub(crate) is_inclusive: bool,
}

/// Values between two bounds.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    pub(crate) lower: Bound,
    pub(crate) upper: Bound,
}

/// A sorted list of disjoint intervals; empty: no value at all.
#[derive(Clone, Debug)]
pub(crate) struct FieldBounds {
    pub(crate) intervals: Vec<Interval>,
}

impl Interval {
    pub(crate) fn new(
        lower: Value<'static>,
        lower_inclusive: bool,
        upper: Value<'static>,
        upper_inclusive: bool,
    ) -> Self {
        Self {
            lower: Bound { value: lower, is_inclusive: lower_inclusive },
            upper: Bound { value: upper, is_inclusive: upper_inclusive },
        }
    }

    /// One value.
    pub(crate) fn point(value: Value<'static>) -> Self {
        Self::new(value.clone(), true, value, true)
    }

    /// Every value.
    pub(crate) fn all() -> Self {
        Self::new(Value::MinKey, true, Value::MaxKey, true)
    }

    fn is_empty(&self, collator: Option<&dyn Collate>) -> bool {
        match compare(&self.lower.value, &self.upper.value, collator) {
            Ordering::Less => false,
            Ordering::Equal => !(self.lower.is_inclusive && self.upper.is_inclusive),
            Ordering::Greater => true,
        }
    }

    /// Whether it is one value.
    pub(crate) fn is_point(&self, collator: Option<&dyn Collate>) -> bool {
        self.lower.is_inclusive
            && self.upper.is_inclusive
            && compare(&self.lower.value, &self.upper.value, collator).is_eq()
    }

    fn intersect(&self, other: &Self, collator: Option<&dyn Collate>) -> Self {
        let lower = match compare_lower(&self.lower, &other.lower, collator) {
            Ordering::Less => &other.lower,
            _ => &self.lower,
        };
        let upper = match compare_upper(&self.upper, &other.upper, collator) {
            Ordering::Greater => &other.upper,
            _ => &self.upper,
        };
        Self { lower: lower.clone(), upper: upper.clone() }
    }
}

/// Orders lower ends: an inclusive one comes before an exclusive one at the same value.
fn compare_lower(left: &Bound, right: &Bound, collator: Option<&dyn Collate>) -> Ordering {
    compare(&left.value, &right.value, collator).then(right.is_inclusive.cmp(&left.is_inclusive))
}

/// Orders upper ends: an exclusive one comes before an inclusive one at the same value.
fn compare_upper(left: &Bound, right: &Bound, collator: Option<&dyn Collate>) -> Ordering {
    compare(&left.value, &right.value, collator).then(left.is_inclusive.cmp(&right.is_inclusive))
}

impl FieldBounds {
    /// Every value.
    pub(crate) fn all() -> Self {
        Self { intervals: vec![Interval::all()] }
    }

    /// These intervals, sorted and with overlaps joined.
    pub(crate) fn of(mut intervals: Vec<Interval>, collator: Option<&dyn Collate>) -> Self {
        intervals.retain(|interval| !interval.is_empty(collator));
        intervals.sort_by(|left, right| compare_lower(&left.lower, &right.lower, collator));
        let mut joined: Vec<Interval> = Vec::with_capacity(intervals.len());
        for interval in intervals {
            match joined.last_mut() {
                Some(last) if touches(last, &interval, collator) => {
                    if compare_upper(&last.upper, &interval.upper, collator).is_lt() {
                        last.upper = interval.upper;
                    }
                }
                _ => joined.push(interval),
            }
        }
        Self { intervals: joined }
    }

    /// What is in both.
    pub(crate) fn intersect(&self, other: &Self, collator: Option<&dyn Collate>) -> Self {
        let mut found = Vec::new();
        for left in &self.intervals {
            found.extend(other.intervals.iter().map(|right| left.intersect(right, collator)));
        }
        Self::of(found, collator)
    }

    /// What is in neither.
    pub(crate) fn complement(&self, collator: Option<&dyn Collate>) -> Self {
        let mut found = Vec::with_capacity(self.intervals.len() + 1);
        let mut lower = Bound { value: Value::MinKey, is_inclusive: true };
        for interval in &self.intervals {
            let upper =
                Bound { value: interval.lower.value.clone(), is_inclusive: !interval.lower.is_inclusive };
            found.push(Interval { lower, upper });
            lower = Bound { value: interval.upper.value.clone(), is_inclusive: !interval.upper.is_inclusive };
        }
        found.push(Interval { lower, upper: Bound { value: Value::MaxKey, is_inclusive: true } });
        Self::of(found, collator)
    }

    /// Whether every value of `self` is in `other`.
    pub(crate) fn is_within(&self, other: &Self, collator: Option<&dyn Collate>) -> bool {
        self.intervals.iter().all(|inner| {
            other.intervals.iter().any(|outer| {
                compare_lower(&outer.lower, &inner.lower, collator).is_le()
                    && compare_upper(&outer.upper, &inner.upper, collator).is_ge()
            })
        })
    }

    /// Whether it is every value.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self.intervals.as_slice(), [only]
            if matches!((&only.lower.value, &only.upper.value), (Value::MinKey, Value::MaxKey))
                && only.lower.is_inclusive && only.upper.is_inclusive)
    }

    /// Whether it leaves something out but reaches from the lowest value to the highest, as a negation does.
    pub(crate) fn spans_all(&self) -> bool {
        matches!(
            (self.intervals.first(), self.intervals.last()),
            (Some(first), Some(last))
                if matches!((&first.lower.value, &last.upper.value), (Value::MinKey, Value::MaxKey))
        )
    }

    /// Whether it is exactly one value.
    pub(crate) fn is_point(&self, collator: Option<&dyn Collate>) -> bool {
        matches!(self.intervals.as_slice(), [only] if only.is_point(collator))
    }

    /// Whether it is a list of single values.
    pub(crate) fn is_points(&self, collator: Option<&dyn Collate>) -> bool {
        self.intervals.iter().all(|interval| interval.is_point(collator))
    }
}

/// Whether an interval that begins later overlaps the earlier one or follows it without a gap.
fn touches(earlier: &Interval, later: &Interval, collator: Option<&dyn Collate>) -> bool {
    match compare(&later.lower.value, &earlier.upper.value, collator) {
        Ordering::Less => true,
        Ordering::Equal => earlier.upper.is_inclusive || later.lower.is_inclusive,
        Ordering::Greater => false,
    }
}

/// The interval of all values that share a place in the order of types with `value`; without NaN for numbers, which is
/// below all others and which no comparison with another number finds.
pub(crate) fn bracket(value: ValueRef<'_>) -> Interval {
    let empty_document = || Value::from(RawDocument::EMPTY.to_buf());
    let string = || Value::from("");
    match value {
        ValueRef::Double(_) | ValueRef::Int32(_) | ValueRef::Int64(_) | ValueRef::Decimal128(_) => {
            Interval::new(Value::Double(f64::NEG_INFINITY), true, Value::Double(f64::INFINITY), true)
        }
        ValueRef::String(_) | ValueRef::Symbol(_) => Interval::new(string(), true, empty_document(), false),
        ValueRef::Document(_) => {
            Interval::new(empty_document(), true, Value::array(Vec::new()).to_bytes_form(), false)
        }
        ValueRef::Binary(_) => Interval::new(
            Value::Binary { subtype: 0, bytes: Vec::new().into() },
            true,
            Value::ObjectId(sheaf_document::ObjectId([0; 12])),
            false,
        ),
        ValueRef::ObjectId(_) => Interval::new(
            Value::ObjectId(sheaf_document::ObjectId([0; 12])),
            true,
            Value::ObjectId(sheaf_document::ObjectId([0xFF; 12])),
            true,
        ),
        ValueRef::Boolean(_) => Interval::new(Value::Boolean(false), true, Value::Boolean(true), true),
        ValueRef::DateTime(_) => {
            Interval::new(Value::DateTime(i64::MIN), true, Value::DateTime(i64::MAX), true)
        }
        ValueRef::Timestamp(_) => Interval::new(
            Value::Timestamp(sheaf_document::Timestamp::from_u64(0)),
            true,
            Value::Timestamp(sheaf_document::Timestamp::from_u64(u64::MAX)),
            true,
        ),
        ValueRef::Undefined | ValueRef::Null => Interval::new(Value::Undefined, true, Value::Null, true),
        ValueRef::Array(_)
        | ValueRef::Regex(_)
        | ValueRef::DbPointer { .. }
        | ValueRef::JavaScript(_)
        | ValueRef::JavaScriptWithScope { .. }
        | ValueRef::MinKey
        | ValueRef::MaxKey => Interval::all(),
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = crate::value_text::of_value;
        f.write_str(if self.lower.is_inclusive { "[" } else { "(" })?;
        write!(f, "{}, {}", show(&self.lower.value), show(&self.upper.value))?;
        f.write_str(if self.upper.is_inclusive { "]" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(lower: i32, lower_inclusive: bool, upper: i32, upper_inclusive: bool) -> Interval {
        Interval::new(Value::Int32(lower), lower_inclusive, Value::Int32(upper), upper_inclusive)
    }

    fn show(bounds: &FieldBounds) -> Vec<String> {
        let end = |bound: &Bound| format!("{:?}", bound.value);
        let one = |i: &Interval| {
            let (open, close) =
                (if i.lower.is_inclusive { '[' } else { '(' }, if i.upper.is_inclusive { ']' } else { ')' });
            format!("{open}{} {}{close}", end(&i.lower), end(&i.upper)).replace("Int32", "")
        };
        bounds.intervals.iter().map(one).collect()
    }

    #[test]
    fn overlaps_are_joined_and_gaps_kept() {
        let bounds = FieldBounds::of(
            vec![
                between(5, true, 6, true),
                between(1, true, 3, false),
                between(3, true, 4, false),
                between(9, false, 9, true),
            ],
            None,
        );
        assert_eq!(show(&bounds), ["[(1) (4))", "[(5) (6)]"]);
        let open = FieldBounds::of(vec![between(1, true, 3, false), between(3, false, 4, true)], None);
        assert_eq!(show(&open), ["[(1) (3))", "((3) (4)]"]);
    }

    #[test]
    fn intersection_and_complement() {
        let left = FieldBounds::of(vec![between(1, true, 5, true), between(7, true, 9, true)], None);
        let right = FieldBounds::of(vec![between(5, false, 8, false)], None);
        assert_eq!(show(&left.intersect(&right, None)), ["[(7) (8))"]);
        assert_eq!(show(&right.complement(None)), ["[MinKey (5)]", "[(8) MaxKey]"]);
        assert!(FieldBounds::all().complement(None).intervals.is_empty());
        assert!(right.is_within(&FieldBounds::all(), None) && !left.is_within(&right, None));
    }
}
