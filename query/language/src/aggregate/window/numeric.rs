//! Functions over frames of numbers: `$covariancePop`, `$covarianceSamp`, `$derivative`, `$integral`.

use std::ops::Range;

use sheaf_document::{Decimal128, Value, ValueRef};

use super::Partition;
use super::frame::{Frame, parse_unit};
use super::function::Written;
use super::positional::decimal;
use crate::expression::date::unit::Unit;
use crate::expression::number::Number;
use crate::expression::{Expression, Scope};
use crate::sort::SortSpec;
use crate::{Error, ErrorCode, Result};

/// A number and where it lies along the sort.
#[derive(Clone, Copy)]
struct Point {
    position: f64,
    value: Number,
}

/// `$derivative` or `$integral`.
#[derive(Clone)]
pub(super) struct Slope {
    integral: bool,
    input: Expression,
    /// What a date is counted in, in milliseconds.
    unit_millis: Option<f64>,
    frame: Frame,
}

fn refused(reason: impl Into<String>) -> Error {
    Error::new(ErrorCode::FAILED_TO_PARSE, reason)
}

/// The value that a document is sorted by, as a number; dates in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "positions along a line are doubles")]
pub(super) fn sort_position(partition: &Partition<'_>, place: usize, code: i32) -> Result<f64> {
    let value = partition.keys.get(place).and_then(|key| key.first()).unwrap_or(&Value::Missing);
    match (value, Number::of(value)) {
        (Value::DateTime(millis), _) => Ok(*millis as f64),
        (_, Some(number)) => Ok(number.to_f64()),
        (other, None) => {
            let reason =
                format!("the value sorted by must be a number or a date, found {}", other.type_name());
            Err(Error::location(code, reason))
        }
    }
}

impl Slope {
    pub(super) fn parse(
        written: &Written<'_>,
        frame: Frame,
        sort_by: Option<&SortSpec>,
        scope: &mut Scope,
    ) -> Result<Self> {
        let name = written.name;
        let ValueRef::Document(document) = written.argument else {
            return Err(refused(format!("{name} takes a document of arguments")));
        };
        if sort_by.is_none_or(|sort| sort.parts().len() != 1) {
            return Err(refused(format!("{name} needs a 'sortBy' of one field")));
        }
        if written.window.is_none() && name == "$derivative" {
            return Err(refused("$derivative needs a window"));
        }
        let (mut input, mut unit_millis) = (None, None);
        for element in document {
            match element.key() {
                "input" => input = Some(Expression::parse(element.value(), scope)?),
                "unit" => unit_millis = Some(unit_in_millis(name, parse_unit(element.value())?)?),
                other => return Err(refused(format!("{name} has no argument '{other}'"))),
            }
        }
        let input = input.ok_or_else(|| refused(format!("{name} needs the argument 'input'")))?;
        Ok(Self { integral: name == "$integral", input, unit_millis, frame })
    }

    fn name(&self) -> &'static str {
        if self.integral { "$integral" } else { "$derivative" }
    }

    /// What is taken of each document.
    pub(super) const fn input(&self) -> &Expression {
        &self.input
    }

    pub(super) fn evaluate(
        &self,
        inputs: &[Value<'static>],
        partition: &Partition<'_>,
    ) -> Result<Vec<Value<'static>>> {
        let frames = self.frame.positions(partition)?;
        frames.into_iter().map(|frame| self.over(frame, inputs, partition)).collect()
    }

    /// Where a document lies along the sort; dates in milliseconds.
    fn position(&self, partition: &Partition<'_>, place: usize) -> Result<f64> {
        let value = partition.keys.get(place).and_then(|key| key.first()).unwrap_or(&Value::Missing);
        let is_date = matches!(value, Value::DateTime(_));
        if is_date != self.unit_millis.is_some() {
            let expected = if is_date { "a unit, for it sorts by dates" } else { "dates, for it has a unit" };
            return Err(Error::location(5_624_901, format!("{} needs {expected}", self.name())));
        }
        sort_position(partition, place, 5_624_902)
    }

    /// The change of value by the change of position between two points; nothing if they are at one position.
    fn slope(&self, first: Point, last: Point) -> Option<Number> {
        let (unit, distance) = (self.unit_millis.unwrap_or(1.0), last.position - first.position);
        if distance == 0.0 {
            return None;
        }
        Some(match minus(last.value, first.value) {
            Number::Decimal(rise) => Number::Decimal(rise * decimal(unit) / decimal(distance)),
            rise => Number::Double(rise.to_f64() / (distance / unit)),
        })
    }

    /// The area between the positions of two points, under the line between their values.
    fn area(&self, first: Point, last: Point) -> Number {
        let (unit, distance) = (self.unit_millis.unwrap_or(1.0), last.position - first.position);
        match plus(first.value, last.value) {
            Number::Decimal(sides) => {
                Number::Decimal(sides * decimal(distance) / (decimal(unit) * Decimal128::from(2)))
            }
            sides => Number::Double(distance / unit * sides.to_f64() / 2.0),
        }
    }

    fn over(
        &self,
        frame: Range<usize>,
        inputs: &[Value<'static>],
        partition: &Partition<'_>,
    ) -> Result<Value<'static>> {
        let mut points = Vec::new();
        for place in frame {
            let value = inputs.get(place).unwrap_or(&Value::Missing);
            match Number::of(value) {
                Some(value) => points.push(Point { position: self.position(partition, place)?, value }),
                None if value.is_nullish() => {}
                None => {
                    let reason = format!("{} takes numbers, found {}", self.name(), value.type_name());
                    return Err(Error::location(5_624_900, reason));
                }
            }
        }
        if self.integral {
            if points.is_empty() {
                return Ok(Value::Null);
            }
            let pairs = points.iter().zip(points.iter().skip(1));
            let areas = pairs.map(|(first, last)| self.area(*first, *last));
            return Ok(areas.reduce(plus).unwrap_or(Number::Double(0.0)).into());
        }
        let slope = points.first().zip(points.last()).and_then(|(first, last)| self.slope(*first, *last));
        Ok(slope.map_or(Value::Null, Value::from))
    }
}

#[expect(clippy::cast_precision_loss, reason = "units are small")]
fn unit_in_millis(name: &str, unit: Unit) -> Result<f64> {
    let millis = match unit {
        Unit::Week => Some(7 * 86_400_000),
        Unit::Day => Some(86_400_000),
        unit => unit.fixed_millis(),
    };
    let millis = millis
        .ok_or_else(|| Error::location(5_490_704, format!("the 'unit' of {name} is a week or shorter")))?;
    Ok(millis as f64)
}

/// The covariance of the pairs of numbers in each frame; other pairs are passed over.
pub(super) fn covariance(
    xs: &[Value<'static>],
    ys: &[Value<'static>],
    sample: bool,
    frame: &Frame,
    partition: &Partition<'_>,
) -> Result<Vec<Value<'static>>> {
    let pairs: Vec<Option<(Number, Number)>> =
        xs.iter().zip(ys).map(|(x, y)| Some((Number::of(x)?, Number::of(y)?))).collect();
    let pair = |place: usize| pairs.get(place).copied().flatten();
    let mut state = Covariance::default();
    // The frame slides: what it leaves behind is taken out again.
    let (mut start, mut end) = (0, 0);
    let mut results = Vec::with_capacity(pairs.len());
    for range in frame.positions(partition)? {
        while end < range.end {
            pair(end).iter().for_each(|(x, y)| state.add(*x, *y));
            end += 1;
        }
        while start < range.start.min(end) {
            pair(start).iter().for_each(|(x, y)| state.remove(*x, *y));
            start += 1;
        }
        results.push(state.result(sample));
    }
    Ok(results)
}

/// Sums from which means and the products of deviations follow. Pairs that are not finite are counted apart, so that
/// they can leave the frame again.
struct Covariance {
    count: i32,
    sum_x: Number,
    sum_y: Number,
    /// The sum of the products of deviations.
    products: Number,
    infinite: [u64; 2],
    not_a_number: u64,
}

impl Default for Covariance {
    fn default() -> Self {
        let zero = Number::Double(0.0);
        Self { count: 0, sum_x: zero, sum_y: zero, products: zero, infinite: [0; 2], not_a_number: 0 }
    }
}

/// Arithmetic on doubles, or on decimals if one operand is one.
fn combine(
    left: Number,
    right: Number,
    double: fn(f64, f64) -> f64,
    decimal: fn(Decimal128, Decimal128) -> Decimal128,
) -> Number {
    match (left, right) {
        (Number::Decimal(_), _) | (_, Number::Decimal(_)) => {
            Number::Decimal(decimal(left.to_decimal(), right.to_decimal()))
        }
        _ => Number::Double(double(left.to_f64(), right.to_f64())),
    }
}

fn plus(left: Number, right: Number) -> Number {
    combine(left, right, |a, b| a + b, |a, b| a + b)
}

fn minus(left: Number, right: Number) -> Number {
    combine(left, right, |a, b| a - b, |a, b| a - b)
}

fn times(left: Number, right: Number) -> Number {
    combine(left, right, |a, b| a * b, |a, b| a * b)
}

fn mean(sum: Number, count: i32) -> Number {
    if count == 0 {
        Number::Double(0.0)
    } else {
        combine(sum, Number::Int32(count), |a, b| a / b, |a, b| a / b)
    }
}

/// The sum of a pair that is not finite; nothing if it is finite.
fn not_finite(x: Number, y: Number) -> Option<f64> {
    let outside = |number: Number| match number {
        Number::Decimal(number) if number.is_nan() => Some(f64::NAN),
        Number::Decimal(number) if number.is_infinite() => Some(number.to_f64()),
        Number::Double(number) if !number.is_finite() => Some(number),
        _ => None,
    };
    match (outside(x), outside(y)) {
        (None, None) => None,
        (x, y) => Some(x.unwrap_or(0.0) + y.unwrap_or(0.0)),
    }
}

impl Covariance {
    fn count_not_finite(&mut self, sum: f64, by: i64) {
        let [negative, positive] = &mut self.infinite;
        let counter = if sum.is_nan() {
            &mut self.not_a_number
        } else if sum > 0.0 {
            positive
        } else {
            negative
        };
        *counter = counter.saturating_add_signed(by);
    }

    fn add(&mut self, x: Number, y: Number) {
        if let Some(sum) = not_finite(x, y) {
            return self.count_not_finite(sum, 1);
        }
        let mean_x = mean(self.sum_x, self.count);
        self.count += 1;
        self.sum_x = plus(self.sum_x, x);
        self.sum_y = plus(self.sum_y, y);
        let mean_y = mean(self.sum_y, self.count);
        self.products = plus(self.products, times(minus(x, mean_x), minus(y, mean_y)));
    }

    fn remove(&mut self, x: Number, y: Number) {
        if let Some(sum) = not_finite(x, y) {
            return self.count_not_finite(sum, -1);
        }
        let mean_y = mean(self.sum_y, self.count);
        self.count -= 1;
        self.sum_x = minus(self.sum_x, x);
        self.sum_y = minus(self.sum_y, y);
        let mean_x = mean(self.sum_x, self.count);
        self.products = minus(self.products, times(minus(x, mean_x), minus(y, mean_y)));
        if self.count == 0 {
            let counts = (self.infinite, self.not_a_number);
            *self = Self { infinite: counts.0, not_a_number: counts.1, ..Self::default() };
        }
    }

    fn result(&self, sample: bool) -> Value<'static> {
        let divisor = self.count - i32::from(sample);
        if divisor <= 0 {
            return Value::Null;
        }
        if self.count == 1 {
            return Value::Double(0.0);
        }
        match (self.not_a_number, self.infinite) {
            (0, [0, 0]) => mean(self.products, divisor).into(),
            (0, [0, _]) => Value::Double(f64::INFINITY),
            (0, [_, 0]) => Value::Double(f64::NEG_INFINITY),
            _ => Value::Double(f64::NAN),
        }
    }
}
