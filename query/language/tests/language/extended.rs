//! As much extended JSON as the suites use.

use serde_json::Value as Json;
use sheaf_document::{ArrayBuilder, Decimal128, DocumentBuilder, ObjectId, RawDocumentBuf, Timestamp, Value};

/// A document, if the JSON is one.
pub fn document(json: &Json) -> Option<RawDocumentBuf> {
    match value(json) {
        Value::Document(document) => Some(document.as_raw().to_buf()),
        _ => None,
    }
}

/// A value.
pub fn value(json: &Json) -> Value<'static> {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Boolean(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => i32::try_from(whole).map_or(Value::Int64(whole), Value::Int32),
            None => Value::Double(number.as_f64().unwrap()),
        },
        Json::String(text) => Value::from(text.clone()),
        Json::Array(items) => {
            let mut array = ArrayBuilder::new();
            for item in items {
                array.push(value(item));
            }
            Value::Array(sheaf_document::ArrayValue::Owned(array.build()))
        }
        Json::Object(fields) => wrapped(fields).unwrap_or_else(|| {
            let mut builder = DocumentBuilder::new();
            for (name, field) in fields {
                builder.append(name, value(field));
            }
            Value::from(builder.build())
        }),
    }
}

/// A value that JSON has no word for.
fn wrapped(fields: &serde_json::Map<String, Json>) -> Option<Value<'static>> {
    let (name, inner) = fields.iter().next()?;
    if fields.len() != 1 {
        return None;
    }
    let text = || inner.as_str().map(str::to_owned);
    Some(match name.as_str() {
        "$numberInt" => Value::Int32(text()?.parse().ok()?),
        "$numberLong" => Value::Int64(text()?.parse().ok()?),
        "$numberDouble" => Value::Double(text()?.replace("Infinity", "inf").parse().ok()?),
        "$numberDecimal" => Value::Decimal128(Decimal128::parse(&text()?).ok()?),
        "$oid" => Value::ObjectId(ObjectId::from_hex(&text()?)?),
        "$undefined" => Value::Undefined,
        "$minKey" => Value::MinKey,
        "$maxKey" => Value::MaxKey,
        "$date" => Value::DateTime(inner.get("$numberLong")?.as_str()?.parse().ok()?),
        "$timestamp" => Value::Timestamp(Timestamp {
            seconds: u32::try_from(inner.get("t")?.as_u64()?).ok()?,
            increment: u32::try_from(inner.get("i")?.as_u64()?).ok()?,
        }),
        "$regularExpression" => Value::Regex {
            pattern: inner.get("pattern")?.as_str()?.to_owned().into(),
            options: inner.get("options")?.as_str()?.to_owned().into(),
        },
        "$binary" => Value::Binary {
            subtype: u8::from_str_radix(inner.get("subType")?.as_str()?, 16).ok()?,
            bytes: base64(inner.get("base64")?.as_str()?).into(),
        },
        _ => return None,
    })
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        bits = bits << 6 | u32::from(digit(byte));
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    bytes
}
