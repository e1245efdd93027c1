//! Strings looked at, cut and put together. Positions count bytes (`..Bytes`) or code points (`..CP`).

use std::cmp::Ordering;

use sheaf_document::Value;

use super::Environment;
use super::measure::Budget;
use super::number::{Number, int_from_count, integral_i32};
use super::operator::{Arguments, Operator};
use super::text::coerce;
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::variadic("$concat", concat),
    Operator::fixed("$strLenBytes", 1, |arguments, _| {
        length("$strLenBytes", 34473, arguments.get(0), |text| text.len())
    }),
    Operator::fixed("$strLenCP", 1, |arguments, _| {
        length("$strLenCP", 34471, arguments.get(0), |text| text.chars().count())
    }),
    Operator::fixed("$strcasecmp", 2, compare_ignoring_case),
    Operator::fixed("$substr", 3, |arguments, _| substring_bytes("$substr", arguments)),
    Operator::fixed("$substrBytes", 3, |arguments, _| substring_bytes("$substrBytes", arguments)),
    Operator::fixed("$substrCP", 3, substring_code_points),
    Operator::fixed("$toLower", 1, |arguments, _| {
        Ok(coerce("$toLower", arguments.take(0))?.to_ascii_lowercase().into())
    }),
    Operator::fixed("$toUpper", 1, |arguments, _| {
        Ok(coerce("$toUpper", arguments.take(0))?.to_ascii_uppercase().into())
    }),
];

fn concat<'a>(arguments: &mut Arguments<'a>, environment: &mut Environment) -> Result<Value<'a>> {
    let mut budget = Budget::new(environment);
    let parts = arguments.values().iter().map(|value| match value {
        Value::String(part) | Value::Symbol(part) => part.len(),
        _ => 0,
    });
    // Room for all of it at once, unless the budget will not allow that much anyway.
    let mut text = String::with_capacity(parts.sum::<usize>().min(environment.value_bytes_max));
    for value in arguments.values() {
        match value {
            Value::String(part) | Value::Symbol(part) => {
                budget.add_bytes(part.len())?;
                text.push_str(part);
            }
            value if value.is_nullish() => return Ok(Value::Null),
            other => {
                let message = format!("$concat takes strings, found {}", other.type_name());
                return Err(Error::location(16702, message));
            }
        }
    }
    Ok(text.into())
}

fn length<'a>(operator: &str, code: i32, value: &Value<'a>, count: fn(&str) -> usize) -> Result<Value<'a>> {
    match value {
        Value::String(text) => Ok(int_from_count(count(text))),
        other => {
            Err(Error::location(code, format!("{operator} takes a string, found {}", other.type_name())))
        }
    }
}

fn compare_ignoring_case<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let left = coerce("$strcasecmp", arguments.take(0))?.to_ascii_uppercase();
    let right = coerce("$strcasecmp", arguments.take(1))?.to_ascii_uppercase();
    Ok(Value::Int32(match left.cmp(&right) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}

/// A number cut to an integer of 64 bits; what does not fit becomes the nearest that does.
#[expect(clippy::cast_possible_truncation, reason = "casting saturates, NaN becomes 0")]
fn saturating_i64(number: Number) -> i64 {
    match number {
        Number::Int32(number) => number.into(),
        Number::Int64(number) => number,
        number => number.to_f64() as i64,
    }
}

fn substring_bytes<'a>(operator: &str, arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    let text = coerce(operator, arguments.take(0))?;
    let number = |index: usize, code: i32, what: &str| {
        let value = arguments.get(index);
        Number::of(value).map(saturating_i64).ok_or_else(|| {
            let message = format!("{operator} takes a number as its {what}, found {}", value.type_name());
            Error::location(code, message)
        })
    };
    let start = number(1, 16034, "starting index")?;
    let count = number(2, 16035, "length")?;
    let Ok(start) = usize::try_from(start) else {
        return Err(Error::location(
            50752,
            format!("{operator} takes a starting index that is not negative"),
        ));
    };
    // A negative length takes everything.
    let end = usize::try_from(count).map_or(text.len(), |count| start.saturating_add(count).min(text.len()));
    if start >= text.len() {
        return Ok("".into());
    }
    if !text.is_char_boundary(start) {
        return Err(Error::location(28656, format!("{operator} would start inside a character")));
    }
    match text.get(start..end) {
        Some(part) => Ok(part.to_owned().into()),
        None => Err(Error::location(28657, format!("{operator} would end inside a character"))),
    }
}

fn substring_code_points<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let text = coerce("$substrCP", arguments.take(0))?;
    let whole = |index: usize, code: i32, what: &str| {
        let value = arguments.get(index);
        if Number::of(value).is_none() {
            let message = format!("$substrCP takes a number as its {what}, found {}", value.type_name());
            return Err(Error::location(code, message));
        }
        integral_i32(value)
            .ok_or_else(|| Error::location(code + 1, format!("$substrCP takes an int as its {what}")))
    };
    let start = whole(1, 34450, "starting index")?;
    let count = whole(2, 34452, "length")?;
    let Ok(count) = usize::try_from(count) else {
        return Err(Error::location(34454, "$substrCP takes a length that is not negative"));
    };
    let Ok(start) = usize::try_from(start) else {
        return Err(Error::location(34455, "$substrCP takes a starting index that is not negative"));
    };
    Ok(text.chars().skip(start).take(count).collect::<String>().into())
}
