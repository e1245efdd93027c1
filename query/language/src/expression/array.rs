//! Arrays looked at, cut and put together.

use sheaf_document::{ArrayValue, DocumentBuilder, Value, ValueRef, equal};

use super::Environment;
use super::measure::Budget;
use super::number::{Number, int_from_count, integral_i32};
use super::operator::{Arguments, Operator};
use crate::{Error, Result};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::fixed("$arrayElemAt", 2, |arguments, _| element_at(arguments)),
    Operator::fixed("$arrayToObject", 1, array_to_object),
    Operator::variadic("$concatArrays", concat_arrays),
    Operator::fixed("$in", 2, is_in),
    Operator::ranged("$indexOfArray", 2, 4, index_of),
    Operator::fixed("$isArray", 1, |arguments, _| Ok(matches!(arguments.get(0), Value::Array(_)).into())),
    Operator::ranged("$range", 2, 3, range),
    Operator::fixed("$reverseArray", 1, reverse),
    Operator::fixed("$size", 1, size),
    Operator::ranged("$slice", 2, 3, slice),
];

/// An argument that is no array.
pub(super) fn not_array(operator: &str, code: i32, value: &Value<'_>) -> Error {
    Error::location(code, format!("{operator} takes an array, found {}", value.type_name()))
}

/// The value at a position; a negative one counts from the end. Missing outside of the array.
pub(super) fn at<'a>(array: ArrayValue<'a>, position: i32) -> Value<'a> {
    let index = match usize::try_from(position) {
        Ok(index) => Some(index),
        Err(_) => array.count().checked_sub(usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let Some(index) = index else { return Value::Missing };
    match array {
        ArrayValue::Borrowed(array) => Value::from(array.get(index)),
        ArrayValue::Owned(array) => Value::from(array.as_raw_array().get(index)).into_owned(),
        ArrayValue::Items(items) => items.into_iter().nth(index).map_or(Value::Missing, present),
    }
}

/// What counts as null inside an array.
pub(super) fn present(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Missing => Value::Null,
        value => value,
    }
}

fn element_at<'a>(arguments: &mut Arguments<'a>) -> Result<Value<'a>> {
    if arguments.any_nullish() {
        return Ok(Value::Null);
    }
    let array = match arguments.take(0) {
        Value::Array(array) => array,
        other => return Err(not_array("$arrayElemAt", 28689, &other)),
    };
    let position = arguments.get(1);
    if Number::of(position).is_none() {
        let message = format!("$arrayElemAt takes a number as its position, found {}", position.type_name());
        return Err(Error::location(28690, message));
    }
    let position = integral_i32(position)
        .ok_or_else(|| Error::location(28691, "$arrayElemAt takes a position that is an int"))?;
    Ok(at(array, position))
}

fn concat_arrays<'a>(arguments: &mut Arguments<'a>, environment: &mut Environment) -> Result<Value<'a>> {
    let mut budget = Budget::new(environment);
    let mut result: Option<Vec<Value<'a>>> = None;
    for value in arguments.take_all() {
        match value {
            Value::Array(array) => {
                let mut items = array.into_items();
                for item in &items {
                    budget.add(item)?;
                }
                match &mut result {
                    None => result = Some(items),
                    Some(result) => result.append(&mut items),
                }
            }
            value if value.is_nullish() => return Ok(Value::Null),
            other => {
                let message = format!("$concatArrays takes arrays, found {}", other.type_name());
                return Err(Error::location(28664, message));
            }
        }
    }
    Ok(Value::array(result.unwrap_or_default()))
}

fn is_in<'a>(arguments: &mut Arguments<'a>, environment: &mut Environment) -> Result<Value<'a>> {
    let Value::Array(array) = arguments.get(1) else {
        let message =
            format!("$in takes an array as its second argument, found {}", arguments.get(1).type_name());
        return Err(Error::location(40081, message));
    };
    Ok(position_of(array, arguments.get(0), 0, usize::MAX, environment).is_some().into())
}

fn position_of(
    array: &ArrayValue<'_>,
    wanted: &Value<'_>,
    start: usize,
    end: usize,
    environment: &Environment,
) -> Option<usize> {
    let mut places = array.iter().enumerate().take(end).skip(start);
    places.find(|(_, item)| equal(item, wanted, environment.collate())).map(|(index, _)| index)
}

/// A bound of a search, which must be an integer that is not negative.
pub(super) fn search_bound(operator: &str, value: &Value<'_>) -> Result<usize> {
    let bound = integral_i32(value).ok_or_else(|| {
        let message =
            format!("{operator} takes an int as its starting or ending index, found {}", value.type_name());
        Error::location(40096, message)
    })?;
    usize::try_from(bound).map_err(|_| {
        Error::location(40097, format!("{operator} takes a starting or ending index that is not negative"))
    })
}

fn index_of<'a>(arguments: &mut Arguments<'a>, environment: &mut Environment) -> Result<Value<'a>> {
    let array = match arguments.get(0) {
        Value::Array(array) => array,
        value if value.is_nullish() => return Ok(Value::Null),
        other => return Err(not_array("$indexOfArray", 40090, other)),
    };
    let start = if arguments.len() > 2 { search_bound("$indexOfArray", arguments.get(2))? } else { 0 };
    let end = if arguments.len() > 3 { search_bound("$indexOfArray", arguments.get(3))? } else { usize::MAX };
    Ok(position_of(array, arguments.get(1), start, end, environment).map_or(Value::Int32(-1), int_from_count))
}

fn range<'a>(arguments: &mut Arguments<'a>, environment: &mut Environment) -> Result<Value<'a>> {
    let whole = |index: usize, what: &str, code: i32| {
        let value = arguments.get(index);
        if Number::of(value).is_none() {
            let message = format!("$range takes a number as its {what}, found {}", value.type_name());
            return Err(Error::location(code, message));
        }
        integral_i32(value)
            .ok_or_else(|| Error::location(code + 1, format!("$range takes an int as its {what}")))
    };
    let start = i64::from(whole(0, "start", 34443)?);
    let end = i64::from(whole(1, "end", 34445)?);
    let step = if arguments.len() > 2 { i64::from(whole(2, "step", 34447)?) } else { 1 };
    if step == 0 {
        return Err(Error::location(34449, "$range takes a step other than 0"));
    }
    let count = ((end - start) / step).max(0).unsigned_abs() + 1;
    let bytes = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(size_of::<Value<'_>>());
    Budget::new(environment).add_bytes(bytes)?;
    let mut items = Vec::new();
    let mut next = start;
    while (step > 0 && next < end) || (step < 0 && next > end) {
        items.push(super::number::int_or_long(next));
        next += step;
    }
    Ok(Value::array(items))
}

fn reverse<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    match arguments.take(0) {
        Value::Array(array) => {
            let mut items = array.into_items();
            items.reverse();
            Ok(Value::array(items))
        }
        value if value.is_nullish() => Ok(Value::Null),
        other => Err(not_array("$reverseArray", 34435, &other)),
    }
}

fn size<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    match arguments.get(0) {
        Value::Array(array) => Ok(int_from_count(array.count())),
        other => Err(not_array("$size", 17124, other)),
    }
}

fn slice<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    if arguments.any_nullish() {
        return Ok(Value::Null);
    }
    let array = match arguments.take(0) {
        Value::Array(array) => array,
        other => return Err(not_array("$slice", 28724, &other)),
    };
    let whole = |index: usize, code: i32| {
        let value = arguments.get(index);
        if Number::of(value).is_none() {
            return Err(Error::location(code, format!("$slice takes numbers, found {}", value.type_name())));
        }
        let number = integral_i32(value);
        number.map(i64::from).ok_or_else(|| Error::location(code + 1, "$slice takes ints"))
    };
    let count = i64::try_from(array.count()).unwrap_or(i64::MAX);
    let second = whole(1, 28725)?;
    let from_end = |position: i64| if position < 0 { (count + position).max(0) } else { position.min(count) };
    let (start, end) = if arguments.len() > 2 {
        let taken = whole(2, 28727)?;
        if taken <= 0 {
            return Err(Error::location(28729, "$slice takes a third argument that is positive"));
        }
        let start = from_end(second);
        (start, start.saturating_add(taken).min(count))
    } else if second < 0 {
        (from_end(second), count)
    } else {
        (0, second.min(count))
    };
    let (start, end) = (usize::try_from(start).unwrap_or(0), usize::try_from(end).unwrap_or(0));
    let mut items = array.into_items();
    items.truncate(end);
    items.drain(..start.min(items.len()));
    Ok(Value::array(items))
}

/// How the elements of `$arrayToObject` are written; the first decides for all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Documents,
    Pairs,
}

fn array_to_object<'a>(arguments: &mut Arguments<'a>, _: &mut Environment) -> Result<Value<'a>> {
    let array = match arguments.take(0) {
        Value::Array(array) => array,
        value if value.is_nullish() => return Ok(Value::Null),
        other => return Err(not_array("$arrayToObject", 40386, &other)),
    };
    let mut fields: Vec<(String, Value<'a>)> = Vec::new();
    let mut places: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    let mut form = None;
    for item in array.into_items() {
        let (key, value) = match item {
            Value::Document(document) if form != Some(Form::Pairs) => {
                form = Some(Form::Documents);
                key_value_of_document(&Value::Document(document))?
            }
            Value::Array(pair) if form != Some(Form::Documents) => {
                form = Some(Form::Pairs);
                key_value_of_pair(pair)?
            }
            other => return Err(wrong_element(form, &other)),
        };
        // The last value of a key wins, in the place of its first.
        match places.get(&key).and_then(|&place| fields.get_mut(place)) {
            Some(field) => field.1 = value,
            None => {
                places.insert(key.clone(), fields.len());
                fields.push((key, value));
            }
        }
    }
    let mut builder = DocumentBuilder::new();
    for (key, value) in &fields {
        builder.append_value(key, value);
    }
    Ok(Value::from(builder.build()))
}

fn wrong_element(form: Option<Form>, element: &Value<'_>) -> Error {
    let found = element.type_name();
    match form {
        Some(Form::Documents) => Error::location(
            40391,
            format!("$arrayToObject takes either documents or pairs, found {found} among documents"),
        ),
        Some(Form::Pairs) => Error::location(
            40396,
            format!("$arrayToObject takes either documents or pairs, found {found} among pairs"),
        ),
        None => Error::location(40398, format!("$arrayToObject takes documents or pairs, found {found}")),
    }
}

fn key_value_of_document<'a>(item: &Value<'a>) -> Result<(String, Value<'a>)> {
    let document = item.as_document().unwrap_or(sheaf_document::RawDocument::EMPTY);
    let count = document.iter().count();
    if count != 2 {
        let message = format!("$arrayToObject takes documents of 'k' and 'v', found {count} fields");
        return Err(Error::location(40392, message));
    }
    let (Some(key), Some(value)) = (document.get("k"), document.get("v")) else {
        return Err(Error::location(40393, "$arrayToObject takes documents of 'k' and 'v'"));
    };
    let ValueRef::String(key) = key else {
        let message = format!("$arrayToObject takes strings as 'k', found {}", key.kind().name());
        return Err(Error::location(40394, message));
    };
    check_key(key, 4_940_401)?;
    Ok((key.to_owned(), Value::from(value).into_owned()))
}

fn key_value_of_pair(pair: ArrayValue<'_>) -> Result<(String, Value<'_>)> {
    let mut items = pair.into_items();
    let (2, Some(value)) = (items.len(), items.pop()) else {
        return Err(Error::location(40397, "$arrayToObject takes pairs of two values"));
    };
    match items.pop() {
        Some(Value::String(key)) => {
            check_key(&key, 4_940_400)?;
            Ok((key.into_owned(), present(value)))
        }
        other => {
            let found = other.as_ref().map_or("missing", Value::type_name);
            Err(Error::location(40395, format!("$arrayToObject takes strings as keys, found {found}")))
        }
    }
}

fn check_key(key: &str, code: i32) -> Result<()> {
    if key.contains('\0') {
        return Err(Error::location(code, "a key of $arrayToObject contains a null byte"));
    }
    Ok(())
}
