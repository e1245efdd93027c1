//! Checks of single properties of a reply: `{"$check": name, "args": {..}}` under dotted paths.

use bson::{Bson, Document};
use serde_json::Value;

use super::case::Result;
use super::compare::{Rules, compare, number, show};
use super::extended::to_bson;

/// Checks arranged as the values they are about.
#[derive(Debug)]
pub enum Checks {
    /// One check of the value itself.
    One(Check),
    /// Several checks of the same value.
    All(Vec<Checks>),
    /// Checks of what dotted paths lead to.
    At(Vec<(String, Checks)>),
    /// One set of checks for every document of a batch, in order.
    PerDocument(Vec<Checks>),
}

/// What a value must be.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names are the format's, the meaning is at `judge`")]
pub enum Check {
    Exists,
    NotExists,
    IsType(String),
    Eq(Bson),
    Ne(Bson),
    Gt(Bson),
    Gte(Bson),
    Lt(Bson),
    Lte(Bson),
    Len(i64),
    LenGt(i64),
    LenLte(i64),
    Contains { key: String, value: Bson },
    NotContains { key: String, value: Bson },
    ContainsElement(Bson),
    HasKey(String),
    NonEmptyStr,
    OrderedKeys(Vec<String>),
    ByteLen(i64),
}

impl Checks {
    /// Reads the `checks` of an assert.
    pub fn parse(value: Value) -> Result<Self> {
        match value {
            Value::Object(mut object) => {
                if let Some(name) = object.remove("$check") {
                    let arguments = object.remove("args").ok_or("a check without args")?;
                    return Ok(Self::One(Check::parse(&name, arguments)?));
                }
                if let Some(documents) = object.remove("$perDoc") {
                    let Value::Array(documents) = documents else {
                        return Err("$perDoc is not an array".to_owned());
                    };
                    let checks = documents.into_iter().map(Self::parse).collect::<Result<_>>()?;
                    return Ok(Self::PerDocument(checks));
                }
                let checks = object.into_iter().map(|(path, value)| Ok((path, Self::parse(value)?)));
                Ok(Self::At(checks.collect::<Result<_>>()?))
            }
            Value::Array(items) => Ok(Self::All(items.into_iter().map(Self::parse).collect::<Result<_>>()?)),
            other => Err(format!("{other} is not a check")),
        }
    }

    /// Whether a path of these checks starts with `key`.
    pub fn mentions(&self, key: &str) -> bool {
        match self {
            Self::At(checks) => checks.iter().any(|(path, _)| path == key),
            _ => false,
        }
    }

    /// Judges a value, which may be absent.
    pub fn judge(&self, value: Option<&Bson>) -> std::result::Result<(), String> {
        match self {
            Self::One(check) => check.judge(value),
            Self::All(checks) => checks.iter().try_for_each(|check| check.judge(value)),
            Self::At(checks) => checks.iter().try_for_each(|(path, check)| {
                let found = value.and_then(|value| resolve(value, path));
                check.judge(found).map_err(|reason| format!("{path}: {reason}"))
            }),
            Self::PerDocument(checks) => {
                let Some(Bson::Array(documents)) = value else { return Err("no documents".to_owned()) };
                if documents.len() != checks.len() {
                    return Err(format!("{} documents instead of {}", documents.len(), checks.len()));
                }
                documents.iter().zip(checks).enumerate().try_for_each(|(index, (document, check))| {
                    check.judge(Some(document)).map_err(|reason| format!("document {index}: {reason}"))
                })
            }
        }
    }
}

/// What a dotted path leads to. Keys may have dots themselves, so every split is tried; numbers count array elements.
fn resolve<'a>(value: &'a Bson, path: &str) -> Option<&'a Bson> {
    if path.is_empty() {
        return Some(value);
    }
    let step = |key: &str| match value {
        Bson::Document(document) => document.get(key),
        Bson::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
        _ => None,
    };
    if let Some(found) = step(path) {
        return Some(found);
    }
    path.match_indices('.').find_map(|(dot, _)| {
        let (key, rest) = path.split_at_checked(dot)?;
        resolve(step(key)?, rest.get(1..)?)
    })
}

impl Check {
    fn parse(name: &Value, arguments: Value) -> Result<Self> {
        let name = name.as_str().unwrap_or_default();
        let Bson::Document(mut arguments) = to_bson(arguments)? else {
            return Err(format!("args of {name} are not a document"));
        };
        let mut take =
            |key: &str| arguments.remove(key).ok_or_else(|| format!("{name} needs the argument {key}"));
        let check = match name {
            "Exists" => Self::Exists,
            "NotExists" => Self::NotExists,
            "IsType" => Self::IsType(text(take("bson_type")?)?),
            "Eq" => Self::Eq(take("expected")?),
            "Ne" => Self::Ne(take("rejected")?),
            "Gt" => Self::Gt(take("minimum")?),
            "Gte" => Self::Gte(take("minimum")?),
            "Lt" => Self::Lt(take("maximum")?),
            "Lte" => Self::Lte(take("maximum")?),
            "Len" => Self::Len(integer(&take("expected")?)?),
            "LenGt" => Self::LenGt(integer(&take("minimum")?)?),
            "LenLte" => Self::LenLte(integer(&take("maximum")?)?),
            "Contains" => Self::Contains { key: text(take("key")?)?, value: take("value")? },
            "NotContains" => Self::NotContains { key: text(take("key")?)?, value: take("value")? },
            "ContainsElement" => Self::ContainsElement(take("element")?),
            "HasKey" => Self::HasKey(text(take("key")?)?),
            "NonEmptyStr" => Self::NonEmptyStr,
            "OrderedKeys" => match take("expected")? {
                Bson::Array(keys) => Self::OrderedKeys(keys.into_iter().map(text).collect::<Result<_>>()?),
                _ => return Err("OrderedKeys needs an array".to_owned()),
            },
            "ByteLen" => Self::ByteLen(integer(&take("expected")?)?),
            other => return Err(format!("unknown check {other}")),
        };
        match arguments.keys().next() {
            None => Ok(check),
            Some(key) => Err(format!("unknown argument {key} of {name}")),
        }
    }

    fn judge(&self, value: Option<&Bson>) -> std::result::Result<(), String> {
        let found = || value.map_or_else(|| "nothing".to_owned(), show);
        let holds = match (self, value) {
            (Self::Exists, value) => value.is_some(),
            (Self::NotExists, value) => value.is_none(),
            (_, None) => false,
            (Self::IsType(name), Some(value)) => type_name(value) == name,
            (Self::Eq(expected), Some(value)) => {
                return equal(value, expected)
                    .map_err(|difference| format!("{} {}", difference.path, difference.what));
            }
            (Self::Ne(rejected), Some(value)) => equal(value, rejected).is_err(),
            (Self::Gt(bound), Some(value)) => ordered(value, bound, |order| order.is_gt()),
            (Self::Gte(bound), Some(value)) => ordered(value, bound, |order| order.is_ge()),
            (Self::Lt(bound), Some(value)) => ordered(value, bound, |order| order.is_lt()),
            (Self::Lte(bound), Some(value)) => ordered(value, bound, |order| order.is_le()),
            (Self::Len(wanted), Some(value)) => length(value) == Some(*wanted),
            (Self::LenGt(bound), Some(value)) => length(value).is_some_and(|length| length > *bound),
            (Self::LenLte(bound), Some(value)) => length(value).is_some_and(|length| length <= *bound),
            (Self::Contains { key, value: wanted }, Some(value)) => {
                contains(value, key, wanted) == Some(true)
            }
            (Self::NotContains { key, value: wanted }, Some(value)) => {
                contains(value, key, wanted) == Some(false)
            }
            (Self::ContainsElement(wanted), Some(value)) => {
                matches!(value, Bson::Array(items) if items.iter().any(|item| equal(item, wanted).is_ok()))
            }
            (Self::HasKey(key), Some(value)) => {
                matches!(value, Bson::Document(document) if document.contains_key(key))
            }
            (Self::NonEmptyStr, Some(value)) => matches!(value, Bson::String(text) if !text.is_empty()),
            (Self::OrderedKeys(keys), Some(value)) => {
                matches!(value, Bson::Document(document) if document.keys().eq(keys.iter()))
            }
            (Self::ByteLen(wanted), Some(value)) => {
                matches!(value, Bson::Binary(binary) if i64::try_from(binary.bytes.len()) == Ok(*wanted))
            }
        };
        if holds { Ok(()) } else { Err(format!("{} fails {self:?}", found())) }
    }
}

fn equal(value: &Bson, expected: &Bson) -> std::result::Result<(), super::compare::Difference> {
    compare(value, expected, &Rules { nan_equal: true, ..Rules::default() })
}

fn contains(value: &Bson, key: &str, wanted: &Bson) -> Option<bool> {
    let has = |document: &Document| document.get(key).is_some_and(|found| equal(found, wanted).is_ok());
    match value {
        Bson::Array(items) => {
            Some(items.iter().any(|item| matches!(item, Bson::Document(document) if has(document))))
        }
        _ => None,
    }
}

fn ordered(value: &Bson, bound: &Bson, holds: impl Fn(std::cmp::Ordering) -> bool) -> bool {
    let order = match (value, bound) {
        (Bson::DateTime(value), Bson::DateTime(bound)) => Some(value.cmp(bound)),
        (Bson::Timestamp(value), Bson::Timestamp(bound)) => {
            Some((value.time, value.increment).cmp(&(bound.time, bound.increment)))
        }
        (Bson::String(value), Bson::String(bound)) => Some(value.cmp(bound)),
        (Bson::Int64(value), Bson::Int64(bound)) => Some(value.cmp(bound)),
        _ => number(value).zip(number(bound)).and_then(|(value, bound)| value.partial_cmp(&bound)),
    };
    order.is_some_and(holds)
}

fn length(value: &Bson) -> Option<i64> {
    let length = match value {
        Bson::Array(items) => items.len(),
        Bson::Document(document) => document.len(),
        Bson::String(text) => text.chars().count(),
        Bson::Binary(binary) => binary.bytes.len(),
        _ => return None,
    };
    i64::try_from(length).ok()
}

fn text(value: Bson) -> Result<String> {
    match value {
        Bson::String(text) => Ok(text),
        other => Err(format!("{other} is not a string")),
    }
}

fn integer(value: &Bson) -> Result<i64> {
    match value {
        Bson::Int32(number) => Ok(i64::from(*number)),
        Bson::Int64(number) => Ok(*number),
        other => Err(format!("{other} is not an integer")),
    }
}

/// The name `$type` knows a value's type by.
fn type_name(value: &Bson) -> &'static str {
    match value {
        Bson::Double(_) => "double",
        Bson::String(_) => "string",
        Bson::Document(_) => "object",
        Bson::Array(_) => "array",
        Bson::Binary(_) => "binData",
        Bson::Undefined => "undefined",
        Bson::ObjectId(_) => "objectId",
        Bson::Boolean(_) => "bool",
        Bson::DateTime(_) => "date",
        Bson::Null => "null",
        Bson::RegularExpression(_) => "regex",
        Bson::DbPointer(_) => "dbPointer",
        Bson::JavaScriptCode(_) => "javascript",
        Bson::Symbol(_) => "symbol",
        Bson::JavaScriptCodeWithScope(_) => "javascriptWithScope",
        Bson::Int32(_) => "int",
        Bson::Timestamp(_) => "timestamp",
        Bson::Int64(_) => "long",
        Bson::Decimal128(_) => "decimal",
        Bson::MinKey => "minKey",
        Bson::MaxKey => "maxKey",
    }
}

#[cfg(test)]
mod tests;
