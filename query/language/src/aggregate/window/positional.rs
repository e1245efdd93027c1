//! Functions of a document's place in its partition: `$rank`, `$denseRank`, `$documentNumber`, `$shift`,
//! `$expMovingAvg`, `$locf`, `$linearFill`.

use sheaf_document::{Decimal128, Value, ValueRef};

use super::Partition;
use super::function::Written;
use super::numeric::sort_position;
use crate::expression::number::{Number, f64_to_i64_exact, int_or_long};
use crate::expression::{Environment, Expression, Scope};
use crate::numeric::{as_f64, as_whole};
use crate::sort::SortSpec;
use crate::{Error, ErrorCode, Result};

/// A function without a window.
#[derive(Clone)]
pub(super) enum Positional {
    DenseRank,
    DocumentNumber,
    ExpMovingAvg { input: Expression, weight: Number },
    LinearFill(Expression),
    Locf(Expression),
    Rank,
    Shift { output: Expression, by: i64, default: Value<'static> },
}

fn refused(reason: impl Into<String>) -> Error {
    Error::new(ErrorCode::FAILED_TO_PARSE, reason)
}

impl Positional {
    /// Whether the name is one of the three that count.
    pub(super) fn is_rank(name: &str) -> bool {
        matches!(name, "$rank" | "$denseRank" | "$documentNumber")
    }

    /// Reads the function, if it is one of these.
    pub(super) fn parse(
        written: &Written<'_>,
        sort_by: Option<&SortSpec>,
        scope: &mut Scope,
    ) -> Result<Option<Self>> {
        let function = match written.name {
            name if Self::is_rank(name) => return parse_rank(written, sort_by).map(Some),
            "$shift" => parse_shift(written, sort_by, scope)?,
            "$expMovingAvg" => parse_moving_average(written, sort_by, scope)?,
            "$locf" => Self::Locf(Expression::parse(written.argument, scope)?),
            "$linearFill" => {
                if sort_by.is_none_or(|sort| sort.parts().len() != 1) {
                    return Err(Error::location(605_001, "$linearFill needs a 'sortBy' of one field"));
                }
                Self::LinearFill(Expression::parse(written.argument, scope)?)
            }
            _ => return Ok(None),
        };
        if written.window.is_some() {
            return Err(refused(format!("{} has no window", written.name)));
        }
        Ok(Some(function))
    }

    /// What is taken of each document, if it is anything but its place.
    pub(super) const fn input(&self) -> Option<&Expression> {
        match self {
            Self::DenseRank | Self::DocumentNumber | Self::Rank => None,
            Self::ExpMovingAvg { input, .. }
            | Self::LinearFill(input)
            | Self::Locf(input)
            | Self::Shift { output: input, .. } => Some(input),
        }
    }

    /// The values of one partition, in the order of its documents, of which `inputs` has the inputs.
    pub(super) fn evaluate(
        &self,
        inputs: Vec<Value<'static>>,
        partition: &Partition<'_>,
        environment: &Environment,
    ) -> Result<Vec<Value<'static>>> {
        let count = partition.keys.len();
        match self {
            Self::DocumentNumber => Ok((1..=count).map(int).collect()),
            Self::Rank | Self::DenseRank => {
                Ok(ranks(partition, matches!(self, Self::DenseRank), environment))
            }
            Self::Locf(_) => {
                let mut last = Value::Null;
                let mut values = inputs;
                for value in &mut values {
                    if value.is_nullish() {
                        *value = last.clone();
                    } else {
                        last = value.clone();
                    }
                }
                Ok(values)
            }
            Self::Shift { by, default, .. } => {
                let shifted = |place: usize| {
                    let place = i64::try_from(place).ok()?.checked_add(*by)?;
                    inputs.get(usize::try_from(place).ok()?).cloned()
                };
                Ok((0..count)
                    .map(|place| match shifted(place) {
                        None => default.clone(),
                        Some(Value::Missing) => Value::Null,
                        Some(value) => value,
                    })
                    .collect())
            }
            Self::ExpMovingAvg { weight, .. } => Ok(moving_average(inputs, *weight)),
            Self::LinearFill(_) => linear_fill(inputs, partition),
        }
    }
}

fn int(number: usize) -> Value<'static> {
    int_or_long(i64::try_from(number).unwrap_or(i64::MAX))
}

fn parse_rank(written: &Written<'_>, sort_by: Option<&SortSpec>) -> Result<Positional> {
    let name = written.name;
    if !matches!(written.argument, ValueRef::Document(document) if document.is_empty()) {
        return Err(Error::location(5_371_603, format!("{name} takes an empty document")));
    }
    if sort_by.is_none_or(|sort| sort.parts().len() != 1) {
        return Err(Error::location(5_371_602, format!("{name} needs a 'sortBy' of one field")));
    }
    Ok(match name {
        "$rank" => Positional::Rank,
        "$denseRank" => Positional::DenseRank,
        _ => Positional::DocumentNumber,
    })
}

fn parse_shift(written: &Written<'_>, sort_by: Option<&SortSpec>, scope: &mut Scope) -> Result<Positional> {
    let ValueRef::Document(document) = written.argument else {
        return Err(refused("$shift takes a document of arguments"));
    };
    if sort_by.is_none() {
        return Err(refused("$shift needs a 'sortBy'"));
    }
    let (mut output, mut by, mut default) = (None, None, Value::Null);
    for element in document {
        match element.key() {
            "output" => output = Some(Expression::parse(element.value(), scope)?),
            "by" => {
                let distance = as_whole(element.value());
                by = Some(distance.ok_or_else(|| refused("the 'by' of $shift is a whole number"))?);
            }
            "default" => {
                let expression = Expression::parse(element.value(), scope)?;
                let constant = expression.as_constant().cloned();
                default = constant.ok_or_else(|| refused("the 'default' of $shift is constant"))?;
            }
            other => return Err(refused(format!("$shift has no argument '{other}'"))),
        }
    }
    let output = output.ok_or_else(|| refused("$shift needs the argument 'output'"))?;
    let by = by.ok_or_else(|| refused("$shift needs the argument 'by'"))?;
    Ok(Positional::Shift { output, by, default })
}

fn parse_moving_average(
    written: &Written<'_>,
    sort_by: Option<&SortSpec>,
    scope: &mut Scope,
) -> Result<Positional> {
    let ValueRef::Document(document) = written.argument else {
        return Err(refused("$expMovingAvg takes a document of arguments"));
    };
    if sort_by.is_none() {
        return Err(refused("$expMovingAvg needs a 'sortBy'"));
    }
    let (mut input, mut weight) = (None, None);
    for element in document {
        let value = element.value();
        match element.key() {
            "input" => input = Some(Expression::parse(value, scope)?),
            "N" | "alpha" if weight.is_some() => {
                return Err(refused("$expMovingAvg takes either 'N' or 'alpha'"));
            }
            "N" => {
                let count = as_whole(value).filter(|count| *count > 0);
                let count =
                    count.ok_or_else(|| refused("the 'N' of $expMovingAvg is a positive whole number"))?;
                let two = Decimal128::from(2);
                weight = Some(Number::Decimal(two / Decimal128::from(count.saturating_add(1))));
            }
            "alpha" => {
                let alpha = as_f64(value).filter(|alpha| *alpha > 0.0 && *alpha < 1.0);
                alpha.ok_or_else(|| refused("the 'alpha' of $expMovingAvg lies between 0 and 1"))?;
                weight = Number::of(&Value::from(value));
            }
            other => return Err(refused(format!("$expMovingAvg has no argument '{other}'"))),
        }
    }
    let input = input.ok_or_else(|| refused("$expMovingAvg needs the argument 'input'"))?;
    let weight = weight.ok_or_else(|| refused("$expMovingAvg needs 'N' or 'alpha'"))?;
    Ok(Positional::ExpMovingAvg { input, weight })
}

/// The rank of each document: 1, and after equals either the next number or their count further.
fn ranks(partition: &Partition<'_>, dense: bool, environment: &Environment) -> Vec<Value<'static>> {
    let mut rank = 1;
    let mut previous: Option<(&[Value<'static>], usize)> = None;
    let mut ranks = Vec::with_capacity(partition.keys.len());
    for (place, key) in partition.keys.iter().enumerate() {
        let equal = |other: &[Value<'static>]| match partition.sort_by {
            Some(sort) => sort.compare(other, key, environment.collate()).is_eq(),
            None => true,
        };
        match previous {
            Some((other, _)) if !equal(other) => rank = if dense { rank + 1 } else { place + 1 },
            _ => {}
        }
        previous = Some((key.as_slice(), place));
        ranks.push(int(rank));
    }
    ranks
}

/// Each average moves from the one before towards the new value by the weight.
fn moving_average(values: Vec<Value<'static>>, weight: Number) -> Vec<Value<'static>> {
    let mut average: Option<Number> = None;
    let step = |value: Value<'static>| {
        let Some(number) = Number::of(&value) else { return average.map_or(Value::Null, Value::from) };
        let next = match average {
            None => match number {
                Number::Decimal(_) => number,
                number => Number::Double(number.to_f64()),
            },
            Some(before) => weighted(before, number, weight),
        };
        average = Some(next);
        Value::from(next)
    };
    values.into_iter().map(step).collect()
}

fn weighted(before: Number, number: Number, weight: Number) -> Number {
    if let (Number::Decimal(_), _) | (_, Number::Decimal(_)) = (before, number) {
        let weight = weight.to_decimal();
        let rest = Decimal128::from(1) - weight;
        return Number::Decimal(number.to_decimal() * weight + before.to_decimal() * rest);
    }
    let weight = weight.to_f64();
    Number::Double(number.to_f64() * weight + before.to_f64() * (1.0 - weight))
}

/// A document whose value is known: where it is among the others and along the line, and the value.
#[derive(Clone, Copy)]
struct Known {
    place: usize,
    position: f64,
    value: Number,
}

impl Known {
    /// The value on the line from here to another known one, at a position between them.
    fn towards(self, other: Self, position: f64) -> Value<'static> {
        let (done, whole) = (position - self.position, other.position - self.position);
        if let (Number::Decimal(_), _) | (_, Number::Decimal(_)) = (self.value, other.value) {
            let (first, last) = (self.value.to_decimal(), other.value.to_decimal());
            return Value::from(first + (last - first) * decimal(done) / decimal(whole));
        }
        let (first, last) = (self.value.to_f64(), other.value.to_f64());
        Value::Double(first + (last - first) * done / whole)
    }
}

/// A distance as a decimal; whole distances keep no digits behind the point.
pub(super) fn decimal(distance: f64) -> Decimal128 {
    f64_to_i64_exact(distance).map_or_else(|| Number::Double(distance).to_decimal(), Decimal128::from)
}

/// Gaps between two numbers filled along the straight line between them, by the value that is sorted by.
fn linear_fill(mut values: Vec<Value<'static>>, partition: &Partition<'_>) -> Result<Vec<Value<'static>>> {
    let mut positions = Vec::with_capacity(values.len());
    for place in 0..values.len() {
        let position = sort_position(partition, place, 605_002)?;
        if positions.last() == Some(&position) {
            let reason = "$linearFill cannot order documents that have the same value in the field sorted by";
            return Err(Error::location(6_050_106, reason));
        }
        positions.push(position);
    }
    let mut known: Option<Known> = None;
    for (place, position) in positions.iter().copied().enumerate() {
        let Some(value) = values.get_mut(place) else { break };
        if value.is_nullish() {
            *value = Value::Null;
            continue;
        }
        let Some(number) = Number::of(value) else {
            let reason = format!("$linearFill takes numbers, found {}", value.type_name());
            return Err(Error::location(605_000, reason));
        };
        let here = Known { place, position, value: number };
        if let Some(before) = known {
            let gap = values.iter_mut().zip(&positions).take(place).skip(before.place + 1);
            for (value, position) in gap {
                *value = before.towards(here, *position);
            }
        }
        known = Some(here);
    }
    Ok(values)
}
