//! `$minMaxScaler`: where a number lies between the least and the greatest of its frame, as a part of a range.
//!
//! `(x - least) / (greatest - least) * (max - min) + min`; a frame without any spread gives `min`.

use sheaf_document::{RawDocument, Value, ValueRef};

use super::Partition;
use super::frame::Frame;
use crate::expression::number::Number;
use crate::expression::{Environment, Expression, Scope};
use crate::{Error, ErrorCode, Result};

/// What is scaled, and into which range.
#[derive(Clone)]
pub(super) struct Scaler {
    input: Expression,
    min: Number,
    max: Number,
    frame: Frame,
}

fn refused(reason: impl Into<String>) -> Error {
    Error::new(ErrorCode::FAILED_TO_PARSE, reason)
}

impl Scaler {
    /// Reads an expression, or `{input: e, min: n, max: n}`.
    pub(super) fn parse(argument: ValueRef<'_>, frame: Frame, scope: &mut Scope) -> Result<Self> {
        let (mut min, mut max) = (Number::Int32(0), Number::Int32(1));
        let named =
            |document: &RawDocument<'_>| document.first().is_none_or(|first| !first.key().starts_with('$'));
        let input = match argument {
            ValueRef::Document(document) if named(&document) => {
                let mut input = None;
                for element in document {
                    match element.key() {
                        "input" => input = Some(Expression::parse(element.value(), scope)?),
                        "min" => min = bound("min", element.value(), scope)?,
                        "max" => max = bound("max", element.value(), scope)?,
                        other => return Err(refused(format!("$minMaxScaler has no argument '{other}'"))),
                    }
                }
                input.ok_or_else(|| refused("$minMaxScaler needs the argument 'input'"))?
            }
            other => Expression::parse(other, scope)?,
        };
        // A NaN is above nothing either.
        if min.to_f64().partial_cmp(&max.to_f64()) != Some(std::cmp::Ordering::Less) {
            return Err(refused("the 'min' of $minMaxScaler must be below its 'max'"));
        }
        Ok(Self { input, min, max, frame })
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
        let mut numbers = Vec::with_capacity(inputs.len());
        for value in inputs {
            numbers.push(Number::of(value).ok_or_else(|| {
                let reason = format!("$minMaxScaler scales numbers, found {}", value.type_name());
                Error::new(ErrorCode::TYPE_MISMATCH, reason)
            })?);
        }
        let frames = self.frame.positions(partition)?;
        let mut results = Vec::with_capacity(frames.len());
        let mut known = None;
        for (number, frame) in numbers.iter().zip(frames) {
            // Documents that share a frame, such as the whole partition, share its ends.
            let ends = match known.take() {
                Some((of, ends)) if of == frame => ends,
                _ => ends(numbers.get(frame.clone()).unwrap_or_default()),
            };
            results.push(match ends {
                None => Value::Null,
                Some((least, greatest)) => self.scale(*number, least, greatest),
            });
            known = Some((frame, ends));
        }
        Ok(results)
    }

    fn scale(&self, number: Number, least: Number, greatest: Number) -> Value<'static> {
        let all = [number, least, greatest, self.min, self.max];
        if all.iter().any(|number| matches!(number, Number::Decimal(_))) {
            let [number, least, greatest, min, max] = all.map(Number::to_decimal);
            let range = greatest - least;
            let scaled = if range.is_zero() { min } else { (number - least) / range * (max - min) + min };
            return Value::Decimal128(scaled);
        }
        let [number, least, greatest, min, max] = all.map(Number::to_f64);
        let range = greatest - least;
        Value::Double(if range == 0.0 { min } else { (number - least) / range * (max - min) + min })
    }
}

/// A constant number.
fn bound(name: &str, value: ValueRef<'_>, scope: &mut Scope) -> Result<Number> {
    let expression = Expression::parse(value, scope)?;
    let constant = expression
        .evaluate(RawDocument::EMPTY, &mut Environment::new(0, 0))
        .ok()
        .filter(|_| expression.as_constant().is_some());
    constant
        .as_ref()
        .and_then(Number::of)
        .ok_or_else(|| refused(format!("the '{name}' of $minMaxScaler is a constant number")))
}

/// The least and the greatest of a frame; nothing if it is empty.
fn ends(numbers: &[Number]) -> Option<(Number, Number)> {
    let mut numbers = numbers.iter().copied();
    let first = numbers.next()?;
    Some(numbers.fold((first, first), |(least, greatest), number| {
        let below =
            |left: Number, right: Number| sheaf_document::compare(&left.into(), &right.into(), None).is_lt();
        (
            if below(number, least) { number } else { least },
            if below(greatest, number) { number } else { greatest },
        )
    }))
}
