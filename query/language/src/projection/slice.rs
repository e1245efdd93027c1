//! `$slice` as a projection of `find`: some elements of an array, counted from either end.

use sheaf_document::{DocumentBuilder, RawArray, ValueRef};

/// Which elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// The first so many; the last so many if negative.
    Ends(i64),
    /// So many after skipping some; a negative skip counts from the end.
    Window {
        /// Elements passed over.
        skip: i64,
        /// Elements taken, at least 1.
        limit: i64,
    },
}

impl Slice {
    /// Reads the operand, if it is this `$slice` and not the expression of the same name.
    pub(super) fn parse(operand: ValueRef<'_>) -> Option<Self> {
        if let Some(count) = clamped(operand) {
            return Some(Self::Ends(count));
        }
        let list = operand.as_array()?;
        let (Some(skip), Some(limit), 2) = (list.get(0), list.get(1), list.count()) else { return None };
        let (skip, limit) = (clamped(skip)?, clamped(limit)?);
        (limit > 0).then_some(Self::Window { skip, limit })
    }

    /// First element and how many, of `count`.
    fn range(self, count: usize) -> (usize, usize) {
        let size = |number: i64| usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
        match self {
            Self::Ends(limit) if limit >= 0 => (0, size(limit)),
            Self::Ends(limit) => (count.saturating_sub(size(limit)), count),
            Self::Window { skip, limit } if skip >= 0 => (size(skip), size(limit)),
            Self::Window { skip, limit } => (count.saturating_sub(size(skip)), size(limit)),
        }
    }

    /// Appends the elements as an array.
    pub(super) fn write(self, key: &str, array: RawArray<'_>, out: &mut DocumentBuilder) {
        let (skip, limit) = self.range(array.count());
        out.array(key, |sliced| {
            for element in array.elements().skip(skip).take(limit) {
                sliced.push_element(element);
            }
        });
    }
}

/// A number cut to the range of an int; not a number counts as 0.
fn clamped(value: ValueRef<'_>) -> Option<i64> {
    let (low, high) = (f64::from(i32::MIN), f64::from(i32::MAX));
    let whole = match value {
        ValueRef::Double(number) if number.is_nan() => 0.0,
        ValueRef::Decimal128(number) if number.is_nan() => 0.0,
        ValueRef::Double(number) => number.clamp(low, high).trunc(),
        ValueRef::Decimal128(number) => number.to_f64().clamp(low, high).trunc(),
        ValueRef::Int32(number) => return Some(i64::from(number)),
        ValueRef::Int64(number) => return Some(number.clamp(i64::from(i32::MIN), i64::from(i32::MAX))),
        _ => return None,
    };
    crate::filter::modulo::double_to_long(whole)
}
