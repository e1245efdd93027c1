//! Text indexes as the catalog keeps them: the text fields of the key become `_fts` and `_ftsx`, and their names move to
//! the weights. That is the form in which clients see them and give them back.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_language::text::{Language, TextIndex};

use super::index_key::{IndexFieldKind, IndexKeyPattern};
use crate::{Error, Result, error_code};

/// Weight of a field for which none is given.
const WEIGHT_DEFAULT: i32 = 1;
/// Largest weight of a field.
const WEIGHT_MAX: f64 = 99_999.0;

fn refused(message: impl Into<String>) -> Error {
    Error::new(error_code::CANNOT_CREATE_INDEX, message)
}

fn wrong_type(option: &str, value: ValueRef<'_>) -> Error {
    Error::new(
        error_code::TYPE_MISMATCH,
        format!("index option \"{option}\" must not be of type {}", value.kind().name()),
    )
}

/// The key and the options of a text index in the kept form.
pub(super) fn normalize(
    key: &IndexKeyPattern,
    options: RawDocument<'_>,
) -> Result<(IndexKeyPattern, RawDocumentBuf)> {
    let given = match options.get("weights") {
        None => RawDocument::EMPTY,
        Some(ValueRef::Document(weights)) => weights,
        // These two types are let in, for what they could mean, and then mean nothing.
        Some(ValueRef::String(_) | ValueRef::Array(_)) => {
            return Err(refused("index option \"weights\" must be a document of numbers"));
        }
        Some(other) => return Err(wrong_type("weights", other)),
    };
    check_fields(key)?;
    let language = text_option(options, "default_language", "english")?;
    Language::parse(language).map_err(|error| refused(error.message))?;
    let language_override = text_option(options, "language_override", "language")?;
    if language_override.is_empty() || language_override.starts_with('$') {
        return Err(refused("language_override must be the name of a field"));
    }
    let version = match options.get("textIndexVersion") {
        None => 3,
        Some(ValueRef::Int32(version @ 1..=3)) => version,
        Some(ValueRef::Int64(3)) => 3,
        Some(ValueRef::Double(3.0)) => 3,
        Some(other) if other.kind().is_number() => return Err(refused("textIndexVersion must be 3")),
        Some(other) => return Err(wrong_type("textIndexVersion", other)),
    };
    let mut weights = DocumentBuilder::new();
    let mut names: Vec<&str> = key.document().iter().filter(is_text).map(|element| element.key()).collect();
    names.extend(given.iter().map(|element| element.key()));
    names.sort_unstable();
    names.dedup();
    for name in names.into_iter().filter(|name| *name != "_fts") {
        let weight = given.get(name).map_or(Ok(Value::Int32(WEIGHT_DEFAULT)), weight)?;
        weights.append_value(name, &weight);
    }
    let mut kept = DocumentBuilder::new();
    kept.append("weights", weights.build())
        .append("default_language", language)
        .append("language_override", language_override)
        .append("textIndexVersion", version);
    Ok((IndexKeyPattern::parse(kept_key(key.document()).as_raw())?, kept.build()))
}

/// The text fields stand side by side, and no geo field beside them.
fn check_fields(key: &IndexKeyPattern) -> Result<()> {
    let kinds: Vec<_> = key.fields().iter().map(|field| field.kind).collect();
    if kinds.iter().any(|kind| matches!(kind, IndexFieldKind::Plane2d | IndexFieldKind::Sphere2d)) {
        return Err(refused("an index cannot have text and geo fields"));
    }
    if kinds.contains(&IndexFieldKind::Hashed) {
        return Err(refused("an index cannot have text and hashed fields"));
    }
    let is_text = |kind: &&IndexFieldKind| **kind == IndexFieldKind::Text;
    let run = kinds.iter().skip_while(|kind| !is_text(kind)).take_while(is_text).count();
    if run != kinds.iter().filter(is_text).count() {
        return Err(refused("the text fields of an index must stand side by side"));
    }
    Ok(())
}

fn is_text(element: &sheaf_document::Element<'_>) -> bool {
    element.value() == ValueRef::String("text")
}

fn kept_key(key: RawDocument<'_>) -> RawDocumentBuf {
    let mut out = DocumentBuilder::new();
    let mut seen = false;
    for element in key {
        if element.key() == "_ftsx" {
            continue;
        }
        if !is_text(&element) {
            out.append_element(element);
        } else if !std::mem::replace(&mut seen, true) {
            out.append("_fts", "text").append("_ftsx", 1);
        }
    }
    out.build()
}

fn text_option<'a>(options: RawDocument<'a>, name: &str, default: &'a str) -> Result<&'a str> {
    match options.get(name) {
        None => Ok(default),
        Some(ValueRef::String(text)) => Ok(text),
        Some(other) => Err(wrong_type(name, other)),
    }
}

fn weight(value: ValueRef<'_>) -> Result<Value<'static>> {
    let number = number(value).ok_or_else(|| wrong_type("weights", value))?;
    if !(1.0..=WEIGHT_MAX).contains(&number) {
        return Err(refused(format!("a weight is from 1 to {WEIGHT_MAX}, not {number}")));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "in range by the check above; fractions are cut as in MongoDB"
    )]
    Ok(Value::Int32(number as i32))
}

fn number(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Int32(number) => Some(f64::from(number)),
        ValueRef::Double(number) => Some(number),
        #[expect(clippy::cast_precision_loss, reason = "weights are small; a large number is refused anyway")]
        ValueRef::Int64(number) => Some(number as f64),
        _ => None,
    }
}

/// What a search needs to know of a text index, from its kept options.
pub(crate) fn text_index(options: RawDocument<'_>) -> Result<TextIndex> {
    let weights = options.get("weights").and_then(ValueRef::as_document).unwrap_or(RawDocument::EMPTY);
    let weights = weights
        .iter()
        .map(|element| (element.key().to_owned(), number(element.value()).unwrap_or(1.0)))
        .collect::<Vec<_>>();
    let language = Language::parse(text_option(options, "default_language", "english")?)?;
    Ok(TextIndex::new(weights, language, text_option(options, "language_override", "language")?))
}
