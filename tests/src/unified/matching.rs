//! Whether a result is what a case expects: the format's own rules and operators.

use bson::{Bson, Document};

use super::client::integer;

/// Names of types, as `$$type` has them.
fn type_name(value: &Bson) -> &'static str {
    match value {
        Bson::Double(_) => "double",
        Bson::String(_) => "string",
        Bson::Array(_) => "array",
        Bson::Document(_) => "object",
        Bson::Boolean(_) => "bool",
        Bson::Null => "null",
        Bson::Int32(_) => "int",
        Bson::Int64(_) => "long",
        Bson::Timestamp(_) => "timestamp",
        Bson::Binary(_) => "binData",
        Bson::ObjectId(_) => "objectId",
        Bson::DateTime(_) => "date",
        Bson::Decimal128(_) => "decimal",
        Bson::Undefined => "undefined",
        Bson::MaxKey => "maxKey",
        Bson::MinKey => "minKey",
        _ => "other",
    }
}

/// Looks up what an earlier operation saved.
pub type Saved<'a> = &'a dyn Fn(&str) -> Option<Bson>;

/// Says what is wrong with `actual`. A document at the root, or in an array at the root, may have further fields.
pub fn matches(expected: &Bson, actual: Option<&Bson>, saved: Saved<'_>) -> Result<(), String> {
    if let (Bson::Array(expected), Some(Bson::Array(actual))) = (expected, actual) {
        check_len(expected, actual)?;
        return expected
            .iter()
            .zip(actual)
            .try_for_each(|(expected, actual)| at(expected, Some(actual), true, saved));
    }
    at(expected, actual, true, saved)
}

/// As [`matches`], where no document may have further fields.
pub fn equals(expected: &Bson, actual: &Bson) -> Result<(), String> {
    at(expected, Some(actual), false, &|_| None)
}

fn check_len(expected: &[Bson], actual: &[Bson]) -> Result<(), String> {
    if expected.len() == actual.len() {
        return Ok(());
    }
    Err(format!("{} elements instead of {}: {actual:?}", actual.len(), expected.len()))
}

fn at(expected: &Bson, actual: Option<&Bson>, is_root: bool, saved: Saved<'_>) -> Result<(), String> {
    if let Some((operator, argument)) = special(expected) {
        return apply(operator, argument, actual, is_root, saved);
    }
    let Some(actual) = actual else { return Err(format!("nothing instead of {expected}")) };
    match (expected, actual) {
        (Bson::Document(expected), Bson::Document(actual)) => {
            for (key, value) in expected {
                at(value, actual.get(key), false, saved).map_err(|reason| format!("{key}: {reason}"))?;
            }
            match actual.keys().find(|key| !is_root && !expected.contains_key(key)) {
                Some(extra) => Err(format!("the field {extra} is not expected")),
                None => Ok(()),
            }
        }
        (Bson::Array(expected), Bson::Array(actual)) => {
            check_len(expected, actual)?;
            expected
                .iter()
                .zip(actual)
                .try_for_each(|(expected, actual)| at(expected, Some(actual), false, saved))
        }
        _ => {
            let same_number =
                integer(Some(expected)).is_some() && integer(Some(expected)) == integer(Some(actual));
            if expected == actual || same_number {
                Ok(())
            } else {
                Err(format!("{actual} instead of {expected}"))
            }
        }
    }
}

/// An operator of the format: a document with one field whose name begins with two dollars.
fn special(expected: &Bson) -> Option<(&str, &Bson)> {
    let document = expected.as_document().filter(|document| document.len() == 1)?;
    document.iter().next().map(|(key, value)| (key.as_str(), value)).filter(|(key, _)| key.starts_with("$$"))
}

fn apply(
    operator: &str,
    argument: &Bson,
    actual: Option<&Bson>,
    is_root: bool,
    saved: Saved<'_>,
) -> Result<(), String> {
    let verdict =
        |holds: bool| if holds { Ok(()) } else { Err(format!("{operator} {argument}: {actual:?}")) };
    match operator {
        "$$exists" => verdict(argument.as_bool() == Some(actual.is_some())),
        "$$unsetOrMatches" => match actual {
            None => Ok(()),
            Some(_) => at(argument, actual, is_root, saved),
        },
        "$$type" => {
            let Some(actual) = actual else { return verdict(false) };
            let fits = |name: &str| {
                name == type_name(actual) || (name == "number" && integer(Some(actual)).is_some())
            };
            verdict(match argument {
                Bson::Array(names) => names.iter().filter_map(Bson::as_str).any(fits),
                name => name.as_str().is_some_and(fits),
            })
        }
        "$$matchesEntity" => match argument.as_str().and_then(saved) {
            Some(entity) => at(&entity, actual, is_root, saved),
            None => Err(format!("nothing was saved as {argument}")),
        },
        "$$matchesHexBytes" => {
            let wanted = argument.as_str().map(unhex).transpose()?;
            match (wanted, actual) {
                (Some(wanted), Some(Bson::Binary(actual))) => verdict(wanted == actual.bytes),
                _ => verdict(false),
            }
        }
        other => Err(format!("the operator {other} is not known here")),
    }
}

/// Bytes written as hexadecimal digits.
pub fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(format!("{text} has an odd number of digits"));
    }
    let byte = |pair: &[u8; 2]| {
        std::str::from_utf8(pair).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok())
    };
    pairs.iter().map(|pair| byte(pair).ok_or_else(|| format!("{text} is not hexadecimal"))).collect()
}

/// Whether a failure is the one that `expected` describes.
pub fn matches_failure(
    expected: &Document,
    failure: &super::Failure,
    saved: Saved<'_>,
) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}: {failure:?}"));
    if let Ok(is_client) = expected.get_bool("isClientError")
        && is_client != failure.is_client
    {
        return wrong("the wrong side refused");
    }
    if let Ok(text) = expected.get_str("errorContains")
        && !failure.message.to_lowercase().contains(&text.to_lowercase())
    {
        return wrong(&format!("the message does not contain {text:?}"));
    }
    if let Some(code) = integer(expected.get("errorCode"))
        && failure.code.map(i64::from) != Some(code)
    {
        return wrong(&format!("the code is not {code}"));
    }
    let reply = failure.reply.as_deref().cloned().map(Bson::Document);
    if let Ok(name) = expected.get_str("errorCodeName")
        && failure.reply.as_ref().and_then(|reply| reply.get_str("codeName").ok()) != Some(name)
    {
        return wrong(&format!("the name of the code is not {name}"));
    }
    if let Some(response) = expected.get("errorResponse") {
        matches(response, reply.as_ref(), saved)?;
    }
    if let Some(errors) = expected.get("writeErrors") {
        matches_errors(errors, &failure.write_errors, saved)?;
    }
    if let Some(errors) = expected.get("writeConcernErrors") {
        matches(errors, Some(&Bson::Array(failure.write_concern_errors.clone())), saved)?;
    }
    if let Some(result) = expected.get("expectResult") {
        matches(result, failure.partial.as_deref(), saved)?;
    }
    Ok(())
}

/// Errors by position: the same positions, and each with the fields that are expected.
fn matches_errors(expected: &Bson, actual: &Document, saved: Saved<'_>) -> Result<(), String> {
    let expected = expected.as_document().ok_or("writeErrors is not a document")?;
    if expected.len() != actual.len() {
        return Err(format!("{} write errors instead of {}", actual.len(), expected.len()));
    }
    expected.iter().try_for_each(|(position, error)| matches(error, actual.get(position), saved))
}
