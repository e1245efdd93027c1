//! Functions over frames of numbers: `$covariancePop`, `$covarianceSamp`, `$derivative`, `$integral`.

use std::ops::Range;

use sheaf_document::{Value, ValueRef};

use super::Partition;
use super::frame::{Frame, parse_unit};
use super::function::{Written, evaluate_all};
use crate::expression::date::unit::Unit;
use crate::expression::number::Number;
use crate::expression::{Environment, Expression, Scope};
use crate::sort::SortSpec;
use crate::{Error, ErrorCode, Result};

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

    pub(super) fn evaluate(
        &self,
        partition: &Partition<'_>,
        environment: &mut Environment,
    ) -> Result<Vec<Value<'static>>> {
        let inputs = evaluate_all(&self.input, partition, environment)?;
        let frames = self.frame.positions(partition)?;
        frames.into_iter().map(|frame| self.over(frame, &inputs, partition)).collect()
    }

    /// Where a document lies along the sort, in units.
    fn position(&self, partition: &Partition<'_>, place: usize) -> Result<f64> {
        let value = partition.keys.get(place).and_then(|key| key.first()).unwrap_or(&Value::Missing);
        let is_date = matches!(value, Value::DateTime(_));
        if is_date != self.unit_millis.is_some() {
            let expected = if is_date { "a unit, for it sorts by dates" } else { "dates, for it has a unit" };
            return Err(Error::location(5_624_901, format!("{} needs {expected}", self.name())));
        }
        Ok(sort_position(partition, place, 5_624_902)? / self.unit_millis.unwrap_or(1.0))
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
                Some(number) => points.push((self.position(partition, place)?, number.to_f64())),
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
            return Ok(Value::Double(pairs.map(|(a, b)| (b.0 - a.0) * (a.1 + b.1) / 2.0).sum()));
        }
        Ok(match (points.first(), points.last()) {
            (Some(first), Some(last)) if last.0 != first.0 => {
                Value::Double((last.1 - first.1) / (last.0 - first.0))
            }
            _ => Value::Null,
        })
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
    x: &Expression,
    y: &Expression,
    sample: bool,
    frame: &Frame,
    partition: &Partition<'_>,
    environment: &mut Environment,
) -> Result<Vec<Value<'static>>> {
    let xs = evaluate_all(x, partition, environment)?;
    let ys = evaluate_all(y, partition, environment)?;
    let pairs: Vec<Option<(Number, Number)>> =
        xs.iter().zip(&ys).map(|(x, y)| Some((Number::of(x)?, Number::of(y)?))).collect();
    let frames = frame.positions(partition)?.into_iter();
    Ok(frames.map(|range| covariance_of(pairs.get(range).unwrap_or_default(), sample)).collect())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn covariance_of(pairs: &[Option<(Number, Number)>], sample: bool) -> Value<'static> {
    let (mut count, mut mean_x, mut mean_y, mut moment) = (0u64, 0.0, 0.0, 0.0);
    let mut decimal = false;
    for (x, y) in pairs.iter().flatten() {
        decimal |= matches!((x, y), (Number::Decimal(_), _) | (_, Number::Decimal(_)));
        let (x, y) = (x.to_f64(), y.to_f64());
        count += 1;
        let before = x - mean_x;
        mean_x += before / count as f64;
        mean_y += (y - mean_y) / count as f64;
        moment += before * (y - mean_y);
    }
    let divisor = count.saturating_sub(u64::from(sample));
    if divisor == 0 {
        return Value::Null;
    }
    let covariance = moment / divisor as f64;
    if decimal {
        return Value::Decimal128(sheaf_document::Decimal128::from_f64(covariance));
    }
    Value::Double(covariance)
}
