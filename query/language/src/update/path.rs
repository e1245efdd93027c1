//! Paths of updates: names between dots, and the three ways to mean elements of an array.

use std::cmp::Ordering;

use crate::{Error, ErrorCode, Result};

/// Names one path may have; deeper than a document can be.
const COMPONENTS_MAX: usize = 200;

/// One name between dots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// A field, or the element of an array if it is a number.
    Field(FieldName),
    /// `$`: the element that the query matched.
    Matched,
    /// `$[]`: every element.
    Every,
    /// `$[name]`: every element that the array filter of this name accepts.
    Filtered(Box<str>),
}

/// The name of a field. Ordered as updates are applied: numbers by value and before other names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName {
    text: Box<str>,
    number: Option<usize>,
}

impl FieldName {
    /// This name.
    pub fn new(text: &str) -> Self {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        Self { text: text.into(), number }
    }

    /// The name of an array's element.
    pub fn index(index: usize) -> Self {
        Self { text: index.to_string().into(), number: Some(index) }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The position it means in an array.
    pub const fn as_index(&self) -> Option<usize> {
        self.number
    }
}

impl Ord for FieldName {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.number, other.number) {
            (Some(left), Some(right)) => left.cmp(&right).then_with(|| self.text.cmp(&other.text)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.text.cmp(&other.text),
        }
    }
}

impl PartialOrd for FieldName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(name) => f.write_str(name.as_str()),
            Self::Matched => f.write_str("$"),
            Self::Every => f.write_str("$[]"),
            Self::Filtered(name) => write!(f, "$[{name}]"),
        }
    }
}

/// Splits and checks a path.
pub fn parse(text: &str) -> Result<Vec<Component>> {
    let mut components = Vec::new();
    for name in text.split('.') {
        if name.is_empty() {
            let reason = format!("the update path '{text}' contains an empty field name");
            return Err(Error::new(ErrorCode::EMPTY_FIELD_NAME, reason));
        }
        components.push(component(name));
    }
    let misplaced =
        |reason: &str| Err(Error::new(ErrorCode::BAD_VALUE, format!("the update path '{text}' {reason}")));
    if !matches!(components.first(), Some(Component::Field(_))) {
        return misplaced("cannot start with a positional element");
    }
    if components.iter().filter(|component| **component == Component::Matched).count() > 1 {
        return misplaced("has more than one positional element '$'");
    }
    if components.len() > COMPONENTS_MAX {
        return misplaced("is too deep");
    }
    Ok(components)
}

fn component(name: &str) -> Component {
    if name == "$" {
        return Component::Matched;
    }
    if let Some(identifier) = name.strip_prefix("$[").and_then(|rest| rest.strip_suffix(']')) {
        return if identifier.is_empty() { Component::Every } else { Component::Filtered(identifier.into()) };
    }
    // Whether the field may start with a dollar depends on where it ends up: see the check after applying.
    Component::Field(FieldName::new(name))
}
