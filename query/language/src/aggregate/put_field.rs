//! A document with one field set or dropped, at any depth.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value};

use crate::Result;
use crate::expression::FieldPath;

/// The names of a path.
pub type Path = Vec<Box<str>>;

/// Reads a dotted path of field names.
pub fn parse_path(text: &str) -> Result<Path> {
    Ok(FieldPath::parse(text)?.components().map(Box::from).collect())
}

/// The document with `value` at the path, or with nothing there. Documents on the way are made where there are none;
/// what is no document on the way gives place to one.
pub fn put_field(document: RawDocument<'_>, path: &[Box<str>], value: Option<&Value<'_>>) -> RawDocumentBuf {
    let Some((first, rest)) = path.split_first() else { return document.to_buf() };
    let mut builder = DocumentBuilder::with_capacity(document.len_bytes() + 32);
    let mut found = false;
    for element in document {
        if found || element.key() != first.as_ref() {
            builder.append_element(element);
            continue;
        }
        found = true;
        put(&mut builder, first, element.value().as_document(), rest, value);
    }
    if !found {
        put(&mut builder, first, None, rest, value);
    }
    builder.build()
}

fn put(
    builder: &mut DocumentBuilder,
    name: &str,
    inner: Option<RawDocument<'_>>,
    rest: &[Box<str>],
    value: Option<&Value<'_>>,
) {
    if !rest.is_empty() {
        builder.append(name, put_field(inner.unwrap_or(RawDocument::EMPTY), rest, value));
    } else if let Some(value) = value {
        builder.append_value(name, value);
    }
}
