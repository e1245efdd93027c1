//! Extended JSON, version 2: documents as text, canonical (every type exactly) and relaxed (for people).
//!
//! Written after the public description of the format. Reading accepts both forms and is strict: an object that starts
//! with the name of a type wrapper (`{"$oid": ...}`) must be exactly that wrapper. Order and duplicates of keys
//! survive. [`display`] is the one stable form for people that explain, the inspector and golden scripts share; it is
//! the relaxed form.

mod date;
mod lexer;
mod parse;
#[cfg(test)]
mod tests;
mod write;

use crate::raw::RawDocumentBuf;
use crate::{RawDocument, Result, Value, ValueRef};

/// Nesting that is read. Deeper than documents may be, because a type wrapper nests too.
pub const JSON_DEPTH_MAX: usize = 2 * crate::DEPTH_MAX;

/// Reads one document. Errors say line and column.
pub fn parse_document(text: &str) -> Result<RawDocumentBuf> {
    parse::document(text)
}

/// Reads one value of any type.
pub fn parse_value(text: &str) -> Result<Value<'static>> {
    parse::value(text)
}

/// A document in the canonical form.
pub fn to_canonical(document: RawDocument<'_>) -> String {
    let mut out = String::with_capacity(document.len_bytes() * 2);
    write::document(document, write::Form::Canonical, &mut out);
    out
}

/// A document in the relaxed form.
pub fn to_relaxed(document: RawDocument<'_>) -> String {
    let mut out = String::with_capacity(document.len_bytes() * 2);
    write::document(document, write::Form::Relaxed, &mut out);
    out
}

/// A value in the canonical form; nothing for one that is missing.
pub fn value_to_canonical(value: &Value<'_>) -> String {
    written(value, write::Form::Canonical)
}

/// A value in the relaxed form; nothing for one that is missing.
pub fn value_to_relaxed(value: &Value<'_>) -> String {
    written(value, write::Form::Relaxed)
}

/// A value for people.
pub fn display(value: ValueRef<'_>) -> String {
    let mut out = String::new();
    write::value(value, write::Form::Relaxed, &mut out);
    out
}

/// A computed value for people.
pub fn display_value(value: &Value<'_>) -> String {
    match value {
        Value::Missing => "missing".to_owned(),
        value => value_to_relaxed(value),
    }
}

fn written(value: &Value<'_>, form: write::Form) -> String {
    let mut out = String::new();
    let value = value.clone().to_bytes_form();
    if let Some(value) = value.as_ref() {
        write::value(value, form, &mut out);
    }
    out
}
