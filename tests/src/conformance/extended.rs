//! Canonical extended JSON to BSON, as the corpus has it.
//!
//! The `bson` crate's own conversion refuses a document that merely looks like a wrapped value, such as
//! `{"$minKey": {"$numberInt": "1"}}`. The corpus means a document with such a key there, sent on purpose.

use bson::{Bson, Document};
use serde_json::{Map, Value};

use super::case::Result;

/// Keys that may wrap a value.
const WRAPPERS: [&str; 15] = [
    "$binary",
    "$code",
    "$date",
    "$dbPointer",
    "$maxKey",
    "$minKey",
    "$numberDecimal",
    "$numberDouble",
    "$numberInt",
    "$numberLong",
    "$oid",
    "$regularExpression",
    "$symbol",
    "$timestamp",
    "$undefined",
];

/// Converts a value.
pub fn to_bson(value: Value) -> Result<Bson> {
    match value {
        Value::Object(object) => convert_object(object),
        Value::Array(items) => Ok(Bson::Array(items.into_iter().map(to_bson).collect::<Result<_>>()?)),
        Value::String(text) => Ok(Bson::String(text)),
        Value::Bool(truth) => Ok(Bson::Boolean(truth)),
        Value::Null => Ok(Bson::Null),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Ok(i32::try_from(number).map_or_else(|_| Bson::Int64(number), Bson::Int32)),
            (None, Some(number)) => Ok(Bson::Double(number)),
            (None, None) => Err(format!("{number} is no number")),
        },
    }
}

fn convert_object(object: Map<String, Value>) -> Result<Bson> {
    let wrapper = object.keys().find(|key| WRAPPERS.contains(&key.as_str()));
    if let Some(wrapper) = wrapper
        && is_wrapped(wrapper, &object)
    {
        return unwrap_value(object);
    }
    let mut document = Document::new();
    for (key, value) in object {
        document.insert(key, to_bson(value)?);
    }
    Ok(Bson::Document(document))
}

/// Whether the object has exactly the shape of the wrapped value.
fn is_wrapped(wrapper: &str, object: &Map<String, Value>) -> bool {
    let Some(inner) = object.get(wrapper) else { return false };
    let expected_len = 1 + usize::from(wrapper == "$code" && object.contains_key("$scope"));
    let inner_fits = match wrapper {
        "$minKey" | "$maxKey" => inner.as_i64() == Some(1),
        "$undefined" => inner.as_bool() == Some(true),
        "$binary" | "$date" | "$dbPointer" | "$regularExpression" | "$timestamp" => inner.is_object(),
        _ => inner.is_string(),
    };
    object.len() == expected_len && inner_fits
}

fn unwrap_value(mut object: Map<String, Value>) -> Result<Bson> {
    if let (Some(Value::String(code)), Some(scope)) = (object.get("$code").cloned(), object.remove("$scope"))
    {
        let Bson::Document(scope) = to_bson(scope)? else {
            return Err("$scope is not a document".to_owned());
        };
        return Ok(Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope { code, scope }));
    }
    if let Some(number) = object.get("$numberDouble").and_then(Value::as_str) {
        return parse_double(number).map(Bson::Double);
    }
    Bson::try_from(Value::Object(object)).map_err(|error| format!("not extended JSON: {error}"))
}

fn parse_double(text: &str) -> Result<f64> {
    match text {
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        "NaN" => Ok(f64::NAN),
        number => number.parse().map_err(|_| format!("{number} is no double")),
    }
}
