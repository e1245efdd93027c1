//! JSON into values: the type wrappers of extended JSON.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::date;
use super::lexer::{Json, read};
use crate::raw::RawDocumentBuf;
use crate::{
    ArrayBuilder, ArrayValue, DEPTH_MAX, DOCUMENT_BYTES_HEADROOM, DOCUMENT_BYTES_MAX, Decimal128,
    DocumentBuilder, DocumentValue, Error, ObjectId, Result, Timestamp, Value,
};

fn invalid(what: &'static str, reason: impl Into<String>) -> Error {
    Error::Invalid { what, reason: reason.into() }
}

pub fn document(text: &str) -> Result<RawDocumentBuf> {
    match read(text)? {
        Json::Object(members) => {
            let document = plain_document(members, 1)?;
            let limit = DOCUMENT_BYTES_MAX + DOCUMENT_BYTES_HEADROOM;
            let actual = document.as_bytes().len();
            if actual > limit {
                return Err(Error::Limit { what: "document size in bytes", actual, limit });
            }
            Ok(document)
        }
        _ => Err(invalid("document", "a document is written in braces")),
    }
}

pub fn value(text: &str) -> Result<Value<'static>> {
    convert(read(text)?, 1)
}

fn convert(json: Json, depth: usize) -> Result<Value<'static>> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Boolean(truth) => Value::Boolean(truth),
        Json::Number(text) => number(&text)?,
        Json::String(text) => Value::String(Cow::Owned(text)),
        Json::Array(items) => {
            check_depth(depth)?;
            let mut array = ArrayBuilder::new();
            for item in items {
                array.push_value(&convert(item, depth + 1)?);
            }
            Value::Array(ArrayValue::Owned(array.build()))
        }
        Json::Object(members) => object(members, depth)?,
    })
}

fn check_depth(depth: usize) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(Error::Limit { what: crate::NESTING_DEPTH, actual: depth, limit: DEPTH_MAX });
    }
    Ok(())
}

fn plain_document(members: Vec<(String, Json)>, depth: usize) -> Result<RawDocumentBuf> {
    check_depth(depth)?;
    let mut builder = DocumentBuilder::new();
    for (name, json) in members {
        if name.contains('\0') {
            return Err(invalid("field name", "it contains a zero byte"));
        }
        builder.append_value(&name, &convert(json, depth + 1)?);
    }
    Ok(builder.build())
}

/// An int where it fits, else a long, else a double.
fn number(text: &str) -> Result<Value<'static>> {
    if !text.contains(['.', 'e', 'E']) {
        if let Ok(number) = text.parse::<i32>() {
            return Ok(if text == "-0" { Value::Double(-0.0) } else { Value::Int32(number) });
        }
        if let Ok(number) = text.parse::<i64>() {
            return Ok(Value::Int64(number));
        }
    }
    text.parse().map(Value::Double).map_err(|_| invalid("number", text))
}

/// A type wrapper if the first name is one, else a document.
fn object(members: Vec<(String, Json)>, depth: usize) -> Result<Value<'static>> {
    let wrapper = match members.first() {
        Some((name, _)) if name.starts_with('$') => WRAPPERS.iter().find(|(known, _)| known == name),
        _ => None,
    };
    match wrapper {
        Some((_, read)) => read(Members { members, depth }),
        None => {
            // `$scope` may come first.
            if members.len() == 2
                && members.iter().any(|(name, _)| name == "$scope")
                && members.iter().any(|(name, _)| name == "$code")
            {
                return code(Members { members, depth });
            }
            plain_document(members, depth).map(Value::from)
        }
    }
}

/// Reads the members of a wrapper.
type Wrapper = fn(Members) -> Result<Value<'static>>;

/// The wrappers by their first name.
const WRAPPERS: &[(&str, Wrapper)] = &[
    ("$binary", binary),
    ("$code", code),
    ("$date", date_time),
    ("$dbPointer", db_pointer),
    ("$maxKey", |members| members.one("$maxKey", "maxKey").and_then(|json| marker(&json, Value::MaxKey))),
    ("$minKey", |members| members.one("$minKey", "minKey").and_then(|json| marker(&json, Value::MinKey))),
    ("$numberDecimal", |members| {
        let text = members.text("$numberDecimal", "decimal")?;
        Decimal128::parse(&text).map(Value::Decimal128)
    }),
    ("$numberDouble", |members| double(&members.text("$numberDouble", "double")?)),
    ("$numberInt", |members| integer(&members.text("$numberInt", "int")?, "int").map(Value::Int32)),
    ("$numberLong", |members| integer(&members.text("$numberLong", "long")?, "long").map(Value::Int64)),
    ("$oid", |members| object_id(&members.text("$oid", "objectId")?).map(Value::ObjectId)),
    ("$regularExpression", regular_expression),
    ("$symbol", |members| members.text("$symbol", "symbol").map(|text| Value::Symbol(Cow::Owned(text)))),
    ("$timestamp", timestamp),
    ("$undefined", |members| match members.one("$undefined", "undefined")? {
        Json::Boolean(true) => Ok(Value::Undefined),
        _ => Err(invalid("undefined", "it is written true")),
    }),
    ("$uuid", uuid),
];

/// The members of an object that must be a wrapper.
struct Members {
    members: Vec<(String, Json)>,
    depth: usize,
}

impl Members {
    /// The value of the only member.
    fn one(self, name: &str, what: &'static str) -> Result<Json> {
        let mut members = self.members.into_iter();
        match (members.next(), members.next()) {
            (Some((found, json)), None) if found == name => Ok(json),
            _ => Err(invalid(what, format!("{name} stands alone"))),
        }
    }

    fn text(self, name: &str, what: &'static str) -> Result<String> {
        match self.one(name, what)? {
            Json::String(text) => Ok(text),
            _ => Err(invalid(what, format!("{name} is a string"))),
        }
    }
}

/// Takes exactly these members out of an object, in the order asked for.
fn exactly<const N: usize>(json: Json, names: [&str; N], what: &'static str) -> Result<[Json; N]> {
    let wrong = || invalid(what, format!("it is an object of {}", names.join(" and ")));
    let Json::Object(mut members) = json else { return Err(wrong()) };
    if members.len() != N {
        return Err(wrong());
    }
    let mut out = Vec::with_capacity(N);
    for name in names {
        let position = members.iter().position(|(found, _)| found == name).ok_or_else(wrong)?;
        out.push(members.swap_remove(position).1);
    }
    <[Json; N]>::try_from(out).map_err(|_| wrong())
}

fn marker(json: &Json, value: Value<'static>) -> Result<Value<'static>> {
    match json {
        Json::Number(text) if text == "1" => Ok(value),
        _ => Err(invalid("key", "it is written 1")),
    }
}

fn integer<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T> {
    let plain = text.strip_prefix('-').unwrap_or(text);
    let digits = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| invalid(what, text))
}

fn double(text: &str) -> Result<Value<'static>> {
    let number = match text {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ if text.contains(|letter: char| letter.is_ascii_alphabetic() && !matches!(letter, 'e' | 'E')) => {
            return Err(invalid("double", text));
        }
        _ => text.parse().map_err(|_| invalid("double", text))?,
    };
    Ok(Value::Double(number))
}

fn object_id(text: &str) -> Result<ObjectId> {
    ObjectId::from_hex(text)
        .ok_or_else(|| invalid("objectId", format!("'{text}' is not 24 hexadecimal digits")))
}

fn binary(members: Members) -> Result<Value<'static>> {
    let legacy = members.members.len() == 2;
    let [data, subtype] = if legacy {
        exactly(Json::Object(members.members), ["$binary", "$type"], "binary")?
    } else {
        exactly(members.one("$binary", "binary")?, ["base64", "subType"], "binary")?
    };
    let (Json::String(data), Json::String(subtype)) = (data, subtype) else {
        return Err(invalid("binary", "data and subtype are strings"));
    };
    let bytes = STANDARD.decode(&data).map_err(|error| invalid("binary", error.to_string()))?;
    let subtype = u8::from_str_radix(&subtype, 16)
        .ok()
        .filter(|_| matches!(subtype.len(), 1 | 2) && !subtype.starts_with('+'))
        .ok_or_else(|| invalid("binary", "the subtype is one or two hexadecimal digits"))?;
    Ok(Value::Binary { subtype, bytes: Cow::Owned(bytes) })
}

fn uuid(members: Members) -> Result<Value<'static>> {
    let text = members.text("$uuid", "uuid")?;
    let wrong = || invalid("uuid", format!("'{text}' is not of the form 8-4-4-4-12"));
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    if lengths != [8, 4, 4, 4, 12] || !text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let digits = text.replace('-', "");
    let number = u128::from_str_radix(&digits, 16).map_err(|_| wrong())?;
    Ok(Value::Binary { subtype: 4, bytes: Cow::Owned(number.to_be_bytes().to_vec()) })
}

fn code(members: Members) -> Result<Value<'static>> {
    if members.members.len() == 1 {
        return members.text("$code", "code").map(|code| Value::JavaScript(Cow::Owned(code)));
    }
    let depth = members.depth;
    match exactly(Json::Object(members.members), ["$code", "$scope"], "code")? {
        [Json::String(code), Json::Object(scope)] => Ok(Value::JavaScriptWithScope {
            code: Cow::Owned(code),
            scope: DocumentValue::Owned(plain_document(scope, depth)?),
        }),
        _ => Err(invalid("code", "the code is a string, the scope a document")),
    }
}

fn date_time(members: Members) -> Result<Value<'static>> {
    match members.one("$date", "date")? {
        Json::String(text) => date::parse(&text)
            .map(Value::DateTime)
            .ok_or_else(|| invalid("date", format!("'{text}' is not of the form 1970-01-01T00:00:00.000Z"))),
        Json::Object(inner) => {
            let text = Members { members: inner, depth: 0 }.text("$numberLong", "date")?;
            integer(&text, "date").map(Value::DateTime)
        }
        _ => Err(invalid("date", "it is a string or a $numberLong")),
    }
}

fn db_pointer(members: Members) -> Result<Value<'static>> {
    match exactly(members.one("$dbPointer", "dbPointer")?, ["$ref", "$id"], "dbPointer")? {
        [Json::String(namespace), Json::Object(id)] => {
            let id = object_id(&Members { members: id, depth: 0 }.text("$oid", "dbPointer")?)?;
            Ok(Value::DbPointer { namespace: Cow::Owned(namespace), id })
        }
        _ => Err(invalid("dbPointer", "$ref is a string, $id an $oid")),
    }
}

fn regular_expression(members: Members) -> Result<Value<'static>> {
    match exactly(
        members.one("$regularExpression", "regular expression")?,
        ["pattern", "options"],
        "regular expression",
    )? {
        [Json::String(pattern), Json::String(options)]
            if !pattern.contains('\0') && !options.contains('\0') =>
        {
            let mut letters: Vec<char> = options.chars().collect();
            letters.sort_unstable();
            Ok(Value::Regex {
                pattern: Cow::Owned(pattern),
                options: Cow::Owned(letters.into_iter().collect()),
            })
        }
        _ => Err(invalid("regular expression", "pattern and options are strings without zero bytes")),
    }
}

fn timestamp(members: Members) -> Result<Value<'static>> {
    match exactly(members.one("$timestamp", "timestamp")?, ["t", "i"], "timestamp")? {
        [Json::Number(seconds), Json::Number(increment)] => Ok(Value::Timestamp(Timestamp {
            seconds: integer(&seconds, "timestamp")?,
            increment: integer(&increment, "timestamp")?,
        })),
        _ => Err(invalid("timestamp", "t and i are numbers")),
    }
}
