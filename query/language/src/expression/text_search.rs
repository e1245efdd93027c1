//! One string in another: `$indexOfBytes`, `$indexOfCP`, `$split`, `$replaceOne`, `$replaceAll`.

use std::borrow::Cow;

use sheaf_document::Value;

use super::Environment;
use super::array::search_bound;
use super::measure::Budget;
use super::number::int_from_count;
use super::operator::{Arguments, NamedFields, Operator};
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::ranged("$indexOfBytes", 2, 4, index_of_bytes),
    Operator::ranged("$indexOfCP", 2, 4, index_of_code_points),
    Operator::named("$replaceAll", &REPLACE, |arguments, environment| {
        replace("$replaceAll", usize::MAX, arguments, environment)
    }),
    Operator::named("$replaceOne", &REPLACE, |arguments, environment| {
        replace("$replaceOne", 1, arguments, environment)
    }),
    Operator::fixed("$split", 2, split),
];

const REPLACE: NamedFields = NamedFields {
    not_document: 51751,
    unknown: 51750,
    fields: &[("input", Some(51749)), ("find", Some(51748)), ("replacement", Some(51747))],
};

/// What an index search looks at; nothing if the text is null.
struct Search<'v> {
    text: &'v str,
    wanted: &'v str,
    start: usize,
    end: Option<usize>,
}

fn search<'v>(operator: &str, code: i32, arguments: &'v Arguments<'_>) -> Result<Option<Search<'v>>> {
    let text = match arguments.get(0) {
        Value::String(text) => text,
        value if value.is_nullish() => return Ok(None),
        other => {
            let message =
                format!("{operator} takes a string as its first argument, found {}", other.type_name());
            return Err(Error::location(code, message));
        }
    };
    let Value::String(wanted) = arguments.get(1) else {
        let found = arguments.get(1).type_name();
        let message = format!("{operator} takes a string as its second argument, found {found}");
        return Err(Error::location(code + 1, message));
    };
    let start = if arguments.len() > 2 { search_bound(operator, arguments.get(2))? } else { 0 };
    let end = if arguments.len() > 3 { Some(search_bound(operator, arguments.get(3))?) } else { None };
    Ok(Some(Search { text, wanted, start, end }))
}

fn index_of_bytes<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let Some(search) = search("$indexOfBytes", 40091, arguments)? else { return Ok(Value::Null) };
    let end = search.end.unwrap_or(usize::MAX).min(search.text.len());
    let window = search.text.as_bytes().get(search.start..end);
    let found = window.and_then(|window| find_bytes(window, search.wanted.as_bytes()));
    Ok(found.map_or(Value::Int32(-1), |place| int_from_count(search.start + place)))
}

/// The first place of some bytes in others.
fn find_bytes(window: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    window.windows(wanted.len()).position(|candidate| candidate == wanted)
}

fn index_of_code_points<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let Some(search) = search("$indexOfCP", 40093, arguments)? else { return Ok(Value::Null) };
    let count = search.text.chars().count();
    let end = search.end.unwrap_or(usize::MAX).min(count);
    if search.start > end {
        return Ok(Value::Int32(-1));
    }
    if search.text.is_empty() && search.wanted.is_empty() {
        return Ok(Value::Int32(0));
    }
    let byte_at = |position: usize| {
        search.text.char_indices().nth(position).map_or(search.text.len(), |(byte, _)| byte)
    };
    let (start_byte, end_byte) = (byte_at(search.start), byte_at(end));
    // A match begins before the end; it may go on beyond it.
    let rest = search.text.get(start_byte..).unwrap_or_default();
    let found = rest.find(search.wanted).filter(|byte| start_byte + byte < end_byte);
    Ok(found.map_or(Value::Int32(-1), |byte| {
        int_from_count(search.start + rest.get(..byte).unwrap_or_default().chars().count())
    }))
}

fn split<'a>(arguments: &mut Arguments<'a>, environment: &mut Environment) -> Result<Value<'a>> {
    if arguments.any_nullish() {
        return Ok(Value::Null);
    }
    let text = string_or_null(arguments.take(0), 40085, "$split takes a string as its first argument")?;
    let separator = string_or_null(arguments.take(1), 10_503_900, "$split takes a string as its separator")?;
    let (Some(text), Some(separator)) = (text, separator) else { return Ok(Value::Null) };
    if separator.is_empty() {
        return Err(Error::location(40087, "$split takes a separator that is not empty"));
    }
    let mut budget = Budget::new(environment);
    let mut parts = Vec::new();
    for part in text.split(separator.as_ref()) {
        let part = Value::from(part.to_owned());
        budget.add(&part)?;
        parts.push(part);
    }
    Ok(Value::array(parts))
}

/// The string, or nothing if it is null; another type is an error.
fn string_or_null<'a>(value: Value<'a>, code: i32, expected: &str) -> Result<Option<Cow<'a, str>>> {
    match value {
        Value::String(text) => Ok(Some(text)),
        value if value.is_nullish() => Ok(None),
        other => Err(Error::location(code, format!("{expected}, found {}", other.type_name()))),
    }
}

fn replace<'a>(
    operator: &str,
    count: usize,
    arguments: &mut Arguments<'a>,
    environment: &mut Environment,
) -> Result<Value<'a>> {
    let mut argument = |index: usize, code: i32, name: &str| {
        string_or_null(arguments.take(index), code, &format!("{operator} takes a string as its '{name}'"))
    };
    let text = argument(0, 10_503_904, "input")?;
    let find = argument(1, 10_503_901, "find")?;
    let replacement = argument(2, 10_503_902, "replacement")?;
    let (Some(text), Some(find), Some(replacement)) = (text, find, replacement) else {
        return Ok(Value::Null);
    };
    let places = text.matches(find.as_ref()).take(count).count();
    let grown = places.saturating_mul(replacement.len()).saturating_add(text.len());
    Budget::new(environment).add_bytes(grown)?;
    Ok(text.replacen(find.as_ref(), &replacement, count).into())
}
