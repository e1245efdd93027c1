//! Updates: what becomes of a document.
//!
//! An update is a whole new document (a replacement) or a document of operators (`{$set: ..., $inc: ...}`); a pipeline
//! is run as any other and is not read here. [`Update::parse`] reads an update once; [`Update::apply`] makes the new document from the old one. Operators
//! are arranged by path in a [`tree`] and applied in one walk ([`apply`]), so that what is not touched is copied as
//! bytes and nothing is decoded whole.
//!
//! `_id` never changes: an update that would change it fails and the document stays.

mod apply;
mod array;
mod array_filter;
mod number;
mod operator;
mod path;
mod rename;
mod replacement;
mod scalar;
mod tree;

pub use path::FieldName;

use std::borrow::Cow;

use sheaf_document::{DOCUMENT_BYTES_MAX, RawDocument, RawDocumentBuf, Value, ValueRef};

use crate::expression::{Environment, Scope};
use crate::{Error, ErrorCode, Result};

use apply::Run;
use array_filter::ArrayFilters;
use path::Component;
use tree::{Branch, Node};

/// What an update is read with.
pub struct UpdateContext<'c> {
    /// The documents of `arrayFilters`.
    pub array_filters: &'c [RawDocument<'c>],
    /// The collation and the variables of `let`.
    pub scope: &'c Scope,
}

/// A parsed update.
#[derive(Clone)]
pub enum Update {
    /// A whole new document.
    Replacement(RawDocumentBuf),
    /// Operators on paths.
    Operators(Operators),
}

/// Operators on paths, and the array filters they refer to.
#[derive(Clone)]
pub struct Operators {
    root: Branch,
    /// Old and new names.
    renamed: Vec<(Box<str>, Box<str>)>,
    filters: ArrayFilters,
}

/// What an update is applied with.
pub struct UpdateArguments<'r> {
    /// The position in an array that the query matched, for `$`.
    pub matched_index: Option<usize>,
    /// Whether the document is being made by an upsert: `$setOnInsert` counts.
    pub is_insert: bool,
    /// The surroundings.
    pub environment: &'r mut Environment,
}

/// What came of an update.
#[derive(Clone, Debug)]
pub struct Updated {
    /// The new document.
    pub document: RawDocumentBuf,
    /// Whether it differs from the old one.
    pub modified: bool,
}

impl Update {
    /// Reads a replacement or a document of operators. The kind is decided by the first key: operators start with a
    /// dollar.
    pub fn parse(document: RawDocument<'_>, context: &UpdateContext<'_>) -> Result<Self> {
        let operators = document.first().is_some_and(|first| first.key().starts_with('$'));
        if !operators {
            if !context.array_filters.is_empty() {
                return Err(Error::new(ErrorCode::FAILED_TO_PARSE, "a replacement takes no arrayFilters"));
            }
            return replacement::parse(document).map(Self::Replacement);
        }
        parse_operators(document, context).map(Self::Operators)
    }

    /// Whether this replaces the whole document.
    pub const fn is_replacement(&self) -> bool {
        matches!(self, Self::Replacement(_))
    }

    /// Makes the new document. Errors: a path that runs through a scalar, wrong types, overflow, a changed `_id`, a
    /// document that grows too large.
    pub fn apply(&self, document: RawDocument<'_>, arguments: &mut UpdateArguments<'_>) -> Result<Updated> {
        let updated = match self {
            Self::Replacement(replacement) => replacement::apply(document, replacement.as_raw())?,
            Self::Operators(operators) => operators.apply(document, arguments)?,
        };
        let limit = DOCUMENT_BYTES_MAX;
        let size = updated.document.as_bytes().len();
        if size > limit {
            let reason = format!("the document would grow to {size} bytes, the limit is {limit}");
            return Err(Error::location(17_419, reason));
        }
        check_id(document, updated.document.as_raw())?;
        Ok(updated)
    }
}

impl Operators {
    fn apply(&self, document: RawDocument<'_>, arguments: &mut UpdateArguments<'_>) -> Result<Updated> {
        let mut root = Cow::Borrowed(&self.root);
        for (source, target) in &self.renamed {
            if !rename::check(document, source, target)? {
                root.to_mut().remove(&path::parse(target)?);
            }
        }
        let mut run = Run {
            before: document,
            matched_index: arguments.matched_index,
            is_insert: arguments.is_insert,
            filters: &self.filters,
            environment: arguments.environment,
            path: Vec::new(),
        };
        Ok(match run.document(&root)? {
            Some(Value::Document(value)) => {
                let after = value.as_raw();
                if !arguments.is_insert {
                    check_new_fields(document, after)?;
                }
                Updated { document: after.to_buf(), modified: true }
            }
            _ => Updated { document: document.to_buf(), modified: false },
        })
    }
}

fn parse_operators(document: RawDocument<'_>, context: &UpdateContext<'_>) -> Result<Operators> {
    let mut operators =
        Operators { root: Branch::default(), renamed: Vec::new(), filters: ArrayFilters::parse(context)? };
    for modifier in document {
        let name = modifier.key();
        let parser = operator::parser(name);
        if parser.is_none() && name != "$rename" {
            let reason = format!("'{name}' is not an update operator");
            return Err(Error::new(ErrorCode::FAILED_TO_PARSE, reason));
        }
        let ValueRef::Document(fields) = modifier.value() else {
            let kind = modifier.kind().name();
            let reason = format!("{name} needs a document of fields, not a value of type {kind}");
            return Err(Error::new(ErrorCode::FAILED_TO_PARSE, reason));
        };
        for field in fields {
            let Some(parser) = parser else {
                rename::parse(&mut operators.root, field.key(), field.value())?;
                if let Some(target) = field.value().as_str() {
                    operators.renamed.push((field.key().into(), target.into()));
                }
                continue;
            };
            let path = path::parse(field.key())?;
            let operator = parser(context, field.key(), field.value())?;
            operators.root.insert(&path, operator)?;
        }
    }
    check_filters_used(&operators)?;
    Ok(operators)
}

/// An array filter that no path refers to is a mistake, and so is a path without its filter.
fn check_filters_used(operators: &Operators) -> Result<()> {
    let mut used = Vec::new();
    collect_filtered(&operators.root, &mut used);
    let given: Vec<&str> = operators.filters.names().collect();
    if let Some(missing) = used.iter().find(|name| !given.contains(name)) {
        return Err(bad_value(format!(
            "no array filter speaks of '{missing}', as the path '$[{missing}]' needs"
        )));
    }
    if let Some(unused) = given.iter().find(|name| !used.contains(name)) {
        let reason = format!("the array filter for '{unused}' is used by no path of the update");
        return Err(Error::new(ErrorCode::FAILED_TO_PARSE, reason));
    }
    Ok(())
}

fn collect_filtered<'t>(branch: &'t Branch, used: &mut Vec<&'t str>) {
    for (component, node) in branch.children() {
        if let Component::Filtered(name) = component {
            used.push(name);
        }
        if let Node::Branch(branch) = node {
            collect_filtered(branch, used);
        }
    }
}

/// No operator gives the document a field that starts with a dollar; below the top they may.
fn check_new_fields(before: RawDocument<'_>, after: RawDocument<'_>) -> Result<()> {
    for element in after {
        let key = element.key();
        if key.starts_with('$') && before.get_element(key).is_none() {
            let reason =
                format!("the field '{key}' starts with a dollar, which a field of a stored document cannot");
            return Err(Error::new(ErrorCode::DOLLAR_PREFIXED_FIELD_NAME, reason));
        }
    }
    Ok(())
}

/// `_id` stays what it is, to the byte.
fn check_id(before: RawDocument<'_>, after: RawDocument<'_>) -> Result<()> {
    let Some(old) = before.get_element("_id") else { return Ok(()) };
    let same = after
        .get_element("_id")
        .is_some_and(|new| new.kind() == old.kind() && new.value_bytes() == old.value_bytes());
    if same {
        return Ok(());
    }
    let reason = format!(
        "the update would change the field '_id' of the document {:?}, which is immutable",
        old.value()
    );
    Err(Error::new(ErrorCode::IMMUTABLE_FIELD, reason))
}

fn bad_value(reason: impl Into<String>) -> Error {
    Error::new(ErrorCode::BAD_VALUE, reason)
}

#[cfg(test)]
mod tests;
