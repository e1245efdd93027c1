//! Paths as expressions write them: "a.b.c" without the dollar signs.
//!
//! Unlike a filter's path, an expression's path never reads a number as an array position, and a path through an
//! array gives the array of what its documents have there. Arrays directly inside arrays are not looked into.

use sheaf_document::{ArrayValue, DocumentValue, RawArray, RawDocument, Value, ValueRef};

use crate::{Error, ErrorCode, Result};

/// Deepest path that is accepted, in components.
const COMPONENTS_MAX: usize = 200;

/// A validated dotted path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath {
    components: Box<[Box<str>]>,
}

impl FieldPath {
    /// Checks and splits a path. Every component must be a field name that a path can name.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::location(40352, "a field path must not be empty"));
        }
        if text.ends_with('.') {
            return Err(Error::location(40353, format!("the field path '{text}' must not end with a '.'")));
        }
        let components: Box<[Box<str>]> = text.split('.').map(Box::from).collect();
        for component in &components {
            check_component(component, text)?;
        }
        if components.len() > COMPONENTS_MAX {
            let message = format!("a field path has at most {COMPONENTS_MAX} components");
            return Err(Error::new(ErrorCode::OVERFLOW, message));
        }
        Ok(Self { components })
    }

    /// The names, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.components.iter().map(AsRef::as_ref)
    }

    /// What the path leads to from `document`.
    pub(crate) fn walk<'a>(&self, document: RawDocument<'a>) -> Value<'a> {
        walk_document(document, &self.components)
    }

    /// What the path leads to from a value; borrowed where the value borrows.
    pub(crate) fn walk_value<'a>(&self, value: &Value<'a>) -> Value<'a> {
        walk_value(value, &self.components)
    }
}

impl std::fmt::Display for FieldPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.components.join("."))
    }
}

/// Checks a name that stands alone: of a facet, of a computed field.
pub(crate) fn check_field_name(name: &str) -> Result<()> {
    if name.contains('.') {
        return Err(Error::location(16412, format!("the field name '{name}' must not contain a '.'")));
    }
    check_component(name, name)
}

fn check_component(component: &str, path: &str) -> Result<()> {
    if component.is_empty() {
        return Err(Error::location(15998, format!("the field path '{path}' has an empty field name")));
    }
    if component.starts_with('$') {
        let message = format!("the field name '{component}' in the path '{path}' must not start with '$'");
        return Err(Error::location(16410, message));
    }
    if component.contains('\0') {
        return Err(Error::location(16411, format!("the field path '{path}' contains a null byte")));
    }
    Ok(())
}

fn walk_document<'a>(document: RawDocument<'a>, components: &[Box<str>]) -> Value<'a> {
    let Some((first, rest)) = components.split_first() else {
        return Value::Document(DocumentValue::Borrowed(document));
    };
    walk_ref(document.get(first), rest)
}

fn walk_ref<'a>(value: Option<ValueRef<'a>>, rest: &[Box<str>]) -> Value<'a> {
    match value {
        value if rest.is_empty() => Value::from(value),
        Some(ValueRef::Document(document)) => walk_document(document, rest),
        Some(ValueRef::Array(array)) => walk_array(array, rest),
        _ => Value::Missing,
    }
}

fn walk_array<'a>(array: RawArray<'a>, rest: &[Box<str>]) -> Value<'a> {
    let items = array.iter().filter_map(|item| match item {
        ValueRef::Document(document) => Some(walk_document(document, rest)),
        _ => None,
    });
    Value::array(items.filter(|value| !matches!(value, Value::Missing)).collect())
}

fn walk_value<'a>(value: &Value<'a>, components: &[Box<str>]) -> Value<'a> {
    if components.is_empty() {
        return value.clone();
    }
    match value {
        Value::Document(DocumentValue::Borrowed(document)) => walk_document(*document, components),
        Value::Document(DocumentValue::Owned(document)) => {
            walk_document(document.as_raw(), components).into_owned()
        }
        Value::Array(ArrayValue::Borrowed(array)) => walk_array(*array, components),
        Value::Array(ArrayValue::Owned(array)) => walk_array(array.as_raw_array(), components).into_owned(),
        Value::Array(ArrayValue::Items(items)) => {
            let documents = items.iter().filter(|item| matches!(item, Value::Document(_)));
            let found = documents.map(|item| walk_value(item, components));
            Value::array(found.filter(|value| !matches!(value, Value::Missing)).collect())
        }
        _ => Value::Missing,
    }
}
