//! Which documents of a partition a window shows to a document.

use std::ops::Range;

use sheaf_document::{Value, ValueRef, compare};

use super::Partition;
use crate::expression::arithmetic::sum;
use crate::expression::date::arithmetic::add;
use crate::expression::date::unit::Unit;
use crate::expression::date::zone::Zone;
use crate::expression::number::Number;
use crate::numeric::as_whole;
use crate::sort::{Direction, SortSpec};
use crate::{Error, ErrorCode, Result};

/// One end of a frame.
#[derive(Clone, Debug)]
pub(super) enum Bound<T> {
    /// The document itself; in a range, its peers too.
    Current,
    /// The end of the partition.
    Unbounded,
    /// At a distance; negative is before.
    Distance(T),
}

/// The documents around a document.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    /// By position.
    Documents(Bound<i64>, Bound<i64>),
    /// By the value that is sorted by; of dates in a unit.
    Range { lower: Bound<Number>, upper: Bound<Number>, unit: Option<Unit> },
    /// The whole partition.
    Whole,
}

fn refused(reason: impl Into<String>) -> Error {
    Error::new(ErrorCode::FAILED_TO_PARSE, reason)
}

impl Frame {
    /// Reads `{documents: [lower, upper]}` or `{range: [lower, upper], unit: name}`.
    pub(super) fn parse(value: ValueRef<'_>, sort_by: Option<&SortSpec>) -> Result<Self> {
        let ValueRef::Document(document) = value else {
            let found = value.kind().name();
            return Err(refused(format!("a window is a document, not a value of type {found}")));
        };
        let (mut documents, mut range, mut unit) = (None, None, None);
        for element in document {
            match element.key() {
                "documents" => documents = Some(element.value()),
                "range" => range = Some(element.value()),
                "unit" => unit = Some(parse_unit(element.value())?),
                other => return Err(refused(format!("a window has no argument '{other}'"))),
            }
        }
        match (documents, range, unit) {
            (None, None, None) => Ok(Self::Whole),
            (Some(bounds), None, None) => Self::parse_documents(bounds, sort_by),
            (None, Some(bounds), unit) => Self::parse_range(bounds, unit, sort_by),
            (Some(_), Some(_), _) => Err(refused("a window has either 'documents' or 'range'")),
            (_, None, Some(_)) => Err(refused("the 'unit' of a window goes with its 'range'")),
        }
    }

    fn parse_documents(value: ValueRef<'_>, sort_by: Option<&SortSpec>) -> Result<Self> {
        let (lower, upper) = parse_bounds(value, as_whole)?;
        if let (Bound::Unbounded, Bound::Unbounded) = (&lower, &upper) {
            return Ok(Self::Whole);
        }
        if sort_by.is_none() {
            return Err(Error::location(5_339_901, "a window of documents with bounds needs a 'sortBy'"));
        }
        let place = |bound: &Bound<i64>, unbounded: i64| match bound {
            Bound::Current => 0,
            Bound::Unbounded => unbounded,
            Bound::Distance(distance) => *distance,
        };
        check_order(place(&lower, i64::MIN) <= place(&upper, i64::MAX))?;
        Ok(Self::Documents(lower, upper))
    }

    fn parse_range(value: ValueRef<'_>, unit: Option<Unit>, sort_by: Option<&SortSpec>) -> Result<Self> {
        let number = |value: ValueRef<'_>| {
            let number = Number::of(&Value::from(value));
            // Units of time are whole.
            number.filter(|number| unit.is_none() || number.to_i64_exact().is_some())
        };
        let (lower, upper) = parse_bounds(value, number)?;
        let Some([part]) = sort_by.map(SortSpec::parts) else {
            return Err(Error::location(5_339_902, "a window by range needs a 'sortBy' of one field"));
        };
        if part.direction == Direction::Descending {
            return Err(Error::location(8_947_401, "a window by range needs an ascending 'sortBy'"));
        }
        let place = |bound: &Bound<Number>, unbounded: f64| match bound {
            Bound::Current => 0.0,
            Bound::Unbounded => unbounded,
            Bound::Distance(distance) => distance.to_f64(),
        };
        check_order(place(&lower, f64::NEG_INFINITY) <= place(&upper, f64::INFINITY))?;
        Ok(Self::Range { lower, upper, unit })
    }

    /// Whether the frame of every document begins with the partition, so that frames only grow.
    pub(super) const fn begins_with_partition(&self) -> bool {
        matches!(
            self,
            Self::Documents(Bound::Unbounded, _) | Self::Range { lower: Bound::Unbounded, .. } | Self::Whole
        )
    }

    /// The frame of each document of a partition, as positions.
    pub(super) fn positions(&self, partition: &Partition<'_>) -> Result<Vec<Range<usize>>> {
        let count = partition.keys.len();
        match self {
            Self::Whole => Ok(vec![0..count; count]),
            Self::Documents(lower, upper) => {
                Ok((0..count).map(|place| document_range(place, count, lower, upper)).collect())
            }
            Self::Range { lower, upper, unit } => value_ranges(partition, lower, upper, *unit),
        }
    }
}

fn check_order(in_order: bool) -> Result<()> {
    if in_order {
        Ok(())
    } else {
        Err(Error::location(5_339_900, "the lower bound of a window is above its upper bound"))
    }
}

pub(super) fn parse_unit(value: ValueRef<'_>) -> Result<Unit> {
    let unit = value.as_str().and_then(Unit::from_name);
    unit.ok_or_else(|| refused("the 'unit' of a window is the name of a unit of time"))
}

fn parse_bounds<T>(
    value: ValueRef<'_>,
    distance: impl Fn(ValueRef<'_>) -> Option<T>,
) -> Result<(Bound<T>, Bound<T>)> {
    let bound = |value: ValueRef<'_>| match value {
        ValueRef::String("current") => Some(Bound::Current),
        ValueRef::String("unbounded") => Some(Bound::Unbounded),
        other => distance(other).map(Bound::Distance),
    };
    let bounds: Option<Vec<Bound<T>>> = value.as_array().map(|array| array.iter().map_while(bound).collect());
    let given = value.as_array().map_or(0, |array| array.count());
    let mut bounds = bounds.unwrap_or_default().into_iter();
    match (bounds.next(), bounds.next(), given) {
        (Some(lower), Some(upper), 2) => Ok((lower, upper)),
        _ => Err(refused("a window has two bounds, each 'unbounded', 'current' or a number")),
    }
}

fn document_range(place: usize, count: usize, lower: &Bound<i64>, upper: &Bound<i64>) -> Range<usize> {
    let at = |bound: &Bound<i64>, unbounded: usize, after: i64| match bound {
        Bound::Unbounded => unbounded,
        Bound::Current => clamp(place, after, count),
        Bound::Distance(distance) => clamp(place, distance.saturating_add(after), count),
    };
    let (start, end) = (at(lower, 0, 0), at(upper, count, 1));
    start..end.max(start)
}

/// A position moved by a distance, kept inside the partition.
fn clamp(place: usize, distance: i64, count: usize) -> usize {
    let place = i64::try_from(place).unwrap_or(i64::MAX).saturating_add(distance).max(0);
    usize::try_from(place).unwrap_or(usize::MAX).min(count)
}

fn value_ranges(
    partition: &Partition<'_>,
    lower: &Bound<Number>,
    upper: &Bound<Number>,
    unit: Option<Unit>,
) -> Result<Vec<Range<usize>>> {
    let values: Vec<&Value<'static>> =
        partition.keys.iter().map(|key| key.first().unwrap_or(&Value::Missing)).collect();
    for value in &values {
        check_value(value, unit)?;
    }
    let end = |value: &Value<'static>, bound: &Bound<Number>| match bound {
        Bound::Current => Some(value.clone()),
        Bound::Unbounded => None,
        Bound::Distance(distance) => Some(moved(value, *distance, unit)),
    };
    Ok(values
        .iter()
        .map(|value| {
            let start = end(value, lower)
                .map_or(0, |bound| values.partition_point(|other| compare(other, &bound, None).is_lt()));
            let stop = end(value, upper).map_or(values.len(), |bound| {
                values.partition_point(|other| compare(other, &bound, None).is_le())
            });
            start..stop.max(start)
        })
        .collect())
}

fn check_value(value: &Value<'_>, unit: Option<Unit>) -> Result<()> {
    let found = value.type_name();
    match unit {
        None if Number::of(value).is_none() => {
            Err(Error::location(5_429_414, format!("a window by range sorts by numbers, found {found}")))
        }
        Some(_) if !matches!(value, Value::DateTime(_)) => Err(Error::location(
            5_429_513,
            format!("a window by range with a unit sorts by dates, found {found}"),
        )),
        _ => Ok(()),
    }
}

/// A value at a distance from another; where it does not fit, the outermost there is.
fn moved(value: &Value<'_>, distance: Number, unit: Option<Unit>) -> Value<'static> {
    match (value, unit) {
        (Value::DateTime(millis), Some(unit)) => {
            let amount = distance.to_i64_exact().unwrap_or(0);
            let outermost = if amount < 0 { i64::MIN } else { i64::MAX };
            Value::DateTime(add(*millis, unit, amount, &Zone::UTC).unwrap_or(outermost))
        }
        (value, _) => Number::of(value).map_or(Value::Missing, |number| sum(number, distance)),
    }
}
