//! Dotted paths of filters, and the walk from a document to the values a path leads to.
//!
//! Arrays make one path lead to many values. At an array in the middle of a path every element that is a document is
//! entered, and a numeric component may also pick the element at that position. At the end of a path an array stands
//! for each of its elements and for itself. Where a document has no such field, the walk reports a missing value once:
//! this is what lets `{a: null}` match.

use sheaf_document::{RawArray, RawDocument, ValueRef};

use crate::Result;

/// A dotted path, split once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldPath {
    text: Box<str>,
    components: Box<[Component]>,
}

/// One name between dots.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Component {
    name: Box<str>,
    index: Option<usize>,
}

impl Component {
    fn new(name: &str) -> Self {
        Self { name: name.into(), index: array_index(name) }
    }

    /// The field name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The array position that the name also stands for: decimal digits without leading zeros.
    pub const fn index(&self) -> Option<usize> {
        self.index
    }
}

/// Reads a name as an array position: decimal digits without leading zeros.
pub fn array_index(name: &str) -> Option<usize> {
    let canonical =
        name.bytes().all(|byte| byte.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    if canonical { name.parse().ok() } else { None }
}

impl FieldPath {
    /// Splits a path at its dots. Empty names are kept: they are names like any other.
    pub fn parse(text: &str) -> Self {
        Self { text: text.into(), components: text.split('.').map(Component::new).collect() }
    }

    /// The path that stands for the value at hand itself.
    pub fn here() -> Self {
        Self { text: "".into(), components: Box::default() }
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names, first to last.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Whether the path stands for the value at hand itself.
    pub fn is_here(&self) -> bool {
        self.components.is_empty()
    }

    /// The path without its first name.
    pub fn without_first(&self) -> Self {
        match self.text.split_once('.') {
            Some((_, rest)) => Self::parse(rest),
            None => Self::here(),
        }
    }
}

impl std::fmt::Display for FieldPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// What an array at the end of a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafArray {
    /// For each element, then for itself.
    Traversed,
    /// For itself only.
    Whole,
}

/// Looks at a value that a path leads to (`None`: missing) and at the position in the outermost array that was
/// entered on the way; says whether to stop.
pub trait Visit<'a>: FnMut(Option<ValueRef<'a>>, Option<usize>) -> Result<bool> {}

impl<'a, T: FnMut(Option<ValueRef<'a>>, Option<usize>) -> Result<bool>> Visit<'a> for T {}

/// Visits every value that `path` leads to from `document`, until the visitor stops. Says whether it did.
pub fn walk<'a>(
    document: RawDocument<'a>,
    path: &[Component],
    leaf: LeafArray,
    visit: &mut impl Visit<'a>,
) -> Result<bool> {
    walk_document(document, path, leaf, None, visit)
}

/// As [`walk`], from a value that was found at a path before: as if it were a field's value.
pub fn walk_from<'a>(
    value: ValueRef<'a>,
    path: &[Component],
    leaf: LeafArray,
    visit: &mut impl Visit<'a>,
) -> Result<bool> {
    match value {
        ValueRef::Array(array) => walk_array(array, path, leaf, None, visit),
        value if path.is_empty() => visit(Some(value), None),
        ValueRef::Document(document) => walk_document(document, path, leaf, None, visit),
        _ => visit(None, None),
    }
}

fn walk_document<'a>(
    document: RawDocument<'a>,
    path: &[Component],
    leaf: LeafArray,
    outer: Option<usize>,
    visit: &mut impl Visit<'a>,
) -> Result<bool> {
    let mut current = document;
    let mut path = path;
    while let Some((component, rest)) = path.split_first() {
        match current.get(component.name()) {
            Some(ValueRef::Array(array)) => return walk_array(array, rest, leaf, outer, visit),
            value if rest.is_empty() => return visit(value, outer),
            Some(ValueRef::Document(nested)) => current = nested,
            _ => break,
        }
        path = rest;
    }
    visit(None, outer)
}

fn walk_array<'a>(
    array: RawArray<'a>,
    path: &[Component],
    leaf: LeafArray,
    outer: Option<usize>,
    visit: &mut impl Visit<'a>,
) -> Result<bool> {
    let Some((component, rest)) = path.split_first() else {
        if leaf == LeafArray::Traversed {
            for (position, value) in array.iter().enumerate() {
                if visit(Some(value), outer.or(Some(position)))? {
                    return Ok(true);
                }
            }
        }
        return visit(Some(ValueRef::Array(array)), outer);
    };
    for (position, value) in array.iter().enumerate() {
        let offset = outer.or(Some(position));
        if let ValueRef::Document(document) = value
            && walk_document(document, path, leaf, offset, visit)?
        {
            return Ok(true);
        }
        if component.index() != Some(position) {
            continue;
        }
        let found = match value {
            value if rest.is_empty() => visit(Some(value), offset)?,
            ValueRef::Document(document) => walk_document(document, rest, leaf, offset, visit)?,
            ValueRef::Array(nested) => walk_array(nested, rest, leaf, offset, visit)?,
            _ => false,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}
