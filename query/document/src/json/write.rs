//! Values as extended JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::date;
use crate::{RawArray, RawDocument, ValueRef};

/// How types are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Every type exactly.
    Canonical,
    /// Numbers and dates as people write them.
    Relaxed,
}

pub fn document(document: RawDocument<'_>, form: Form, out: &mut String) {
    out.push('{');
    for (position, element) in document.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        string(element.key(), out);
        out.push(':');
        value(element.value(), form, out);
    }
    out.push('}');
}

fn array(array: RawArray<'_>, form: Form, out: &mut String) {
    out.push('[');
    for (position, item) in array.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        value(item, form, out);
    }
    out.push(']');
}

pub fn value(value: ValueRef<'_>, form: Form, out: &mut String) {
    let relaxed = form == Form::Relaxed;
    match value {
        ValueRef::Double(number) if relaxed && number.is_finite() => out.push_str(&double(number)),
        ValueRef::Double(number) => wrapped("$numberDouble", &double(number), out),
        ValueRef::String(text) => string(text, out),
        ValueRef::Document(inner) => document(inner, form, out),
        ValueRef::Array(inner) => array(inner, form, out),
        ValueRef::Binary(binary) => {
            let data = STANDARD.encode(binary.bytes);
            out.push_str(&format!(
                r#"{{"$binary":{{"base64":"{data}","subType":"{:02x}"}}}}"#,
                binary.subtype
            ));
        }
        ValueRef::Undefined => out.push_str(r#"{"$undefined":true}"#),
        ValueRef::ObjectId(id) => wrapped("$oid", &id.to_hex(), out),
        ValueRef::Boolean(truth) => out.push_str(if truth { "true" } else { "false" }),
        ValueRef::DateTime(millis) if relaxed && date::WRITTEN.contains(&millis) => {
            wrapped("$date", &date::format(millis), out);
        }
        ValueRef::DateTime(millis) => {
            out.push_str(&format!(r#"{{"$date":{{"$numberLong":"{millis}"}}}}"#));
        }
        ValueRef::Null => out.push_str("null"),
        ValueRef::Regex(regex) => {
            out.push_str(r#"{"$regularExpression":{"pattern":"#);
            string(regex.pattern, out);
            out.push_str(r#","options":"#);
            string(regex.options, out);
            out.push_str("}}");
        }
        ValueRef::DbPointer { namespace, id } => {
            out.push_str(r#"{"$dbPointer":{"$ref":"#);
            string(namespace, out);
            out.push_str(&format!(r#","$id":{{"$oid":"{}"}}}}}}"#, id.to_hex()));
        }
        ValueRef::JavaScript(code) => {
            out.push_str(r#"{"$code":"#);
            string(code, out);
            out.push('}');
        }
        ValueRef::Symbol(text) => {
            out.push_str(r#"{"$symbol":"#);
            string(text, out);
            out.push('}');
        }
        ValueRef::JavaScriptWithScope { code, scope } => {
            out.push_str(r#"{"$code":"#);
            string(code, out);
            out.push_str(r#","$scope":"#);
            document(scope, form, out);
            out.push('}');
        }
        ValueRef::Int32(number) if relaxed => out.push_str(&number.to_string()),
        ValueRef::Int32(number) => wrapped("$numberInt", &number.to_string(), out),
        ValueRef::Timestamp(timestamp) => {
            out.push_str(&format!(
                r#"{{"$timestamp":{{"t":{},"i":{}}}}}"#,
                timestamp.seconds, timestamp.increment
            ));
        }
        ValueRef::Int64(number) if relaxed => out.push_str(&number.to_string()),
        ValueRef::Int64(number) => wrapped("$numberLong", &number.to_string(), out),
        ValueRef::Decimal128(number) => wrapped("$numberDecimal", &number.to_string(), out),
        ValueRef::MinKey => out.push_str(r#"{"$minKey":1}"#),
        ValueRef::MaxKey => out.push_str(r#"{"$maxKey":1}"#),
    }
}

/// `{"$name":"text"}`; the text needs no escapes.
fn wrapped(name: &str, text: &str, out: &mut String) {
    out.push_str(&format!(r#"{{"{name}":"{text}"}}"#));
}

/// The shortest digits that give the double back, with a point or an exponent so that it stays a double.
fn double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let text = format!("{number:?}");
    match text.split_once('e') {
        None => text,
        Some((digits, exponent)) => {
            let point = if digits.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{digits}{point}E{sign}{exponent}")
        }
    }
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}
