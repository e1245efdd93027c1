//! `$addFields` (also `$set`) and `$unset`: projections that keep every field they do not name.

use sheaf_document::{RawDocument, Value, ValueRef};

use super::parse::Collision;
use super::{Entry, Mode, Node, Projection};
use crate::expression::{Expression, FieldPath, Scope};
use crate::{Error, Result};

impl Projection {
    /// Reads the specification of `$addFields`.
    pub fn parse_added_fields(document: RawDocument<'_>, scope: &mut Scope) -> Result<Self> {
        let mut root = Node::default();
        for element in document {
            let path = FieldPath::parse(element.key())?;
            let names: Vec<&str> = path.components().collect();
            add(&mut root, &names, element.value(), scope)?;
        }
        Ok(Self { mode: Mode::Exclusion, root, positional: false })
    }

    /// Reads the specification of `$unset`: a path or an array of paths.
    pub fn parse_unset(value: ValueRef<'_>) -> Result<Self> {
        let mut root = Node::default();
        match value {
            ValueRef::String(path) => unset(&mut root, path)?,
            ValueRef::Array(list) if list.is_empty() => {
                return Err(Error::location(31119, "$unset needs at least one field"));
            }
            ValueRef::Array(list) => {
                if let Some(other) = list.iter().find(|item| item.as_str().is_none()) {
                    let kind = other.kind().name();
                    return Err(Error::location(31120, format!("$unset needs strings, found {kind}")));
                }
                let paths = || list.iter().filter_map(ValueRef::as_str);
                // Of several faults this one is told first.
                paths().try_for_each(refuse_zero_byte)?;
                for path in paths() {
                    unset(&mut root, path)?;
                }
            }
            other => {
                let kind = other.kind().name();
                return Err(Error::location(
                    31002,
                    format!("$unset needs a string or an array of strings, not {kind}"),
                ));
            }
        }
        Ok(Self { mode: Mode::Exclusion, root, positional: false })
    }
}

fn refuse_zero_byte(path: &str) -> Result<()> {
    if path.contains('\0') {
        return Err(Error::location(9_527_900, "a field of $unset must not contain a zero byte"));
    }
    Ok(())
}

fn unset(root: &mut Node, path: &str) -> Result<()> {
    refuse_zero_byte(path)?;
    let parsed = FieldPath::parse(path)?;
    let names: Vec<&str> = parsed.components().collect();
    root.insert(&names, Entry::Drop).map_err(|collision| {
        let code = match collision {
            Collision::Below => 31249,
            Collision::Above => 31250,
        };
        Error::location(code, format!("'{path}' collides with another field of $unset"))
    })
}

/// Adds what is said about a path: a document that is no operator speaks of the fields below.
fn add(root: &mut Node, names: &[&str], value: ValueRef<'_>, scope: &mut Scope) -> Result<()> {
    if let ValueRef::Document(document) = value
        && let Some(first) = document.first()
        && (!first.key().starts_with('$') || document.iter().nth(1).is_some())
    {
        for element in document {
            let (path, key) = (names.join("."), element.key());
            if key.starts_with('$') {
                let message =
                    format!("'{path}' must have one operator or fields, found '{key}' among others");
                return Err(Error::location(40181, message));
            }
            if key.contains('.') {
                let message = format!("the field name '{key}' inside '{path}' must not contain a '.'");
                return Err(Error::location(40183, message));
            }
            let nested: Vec<&str> = names.iter().copied().chain([key]).collect();
            add(root, &nested, element.value(), scope)?;
        }
        return Ok(());
    }
    let expression = match value {
        ValueRef::Document(document) if document.is_empty() => {
            Expression::constant(Value::from(document.to_buf()))
        }
        value => Expression::parse(value, scope)?,
    };
    root.insert(names, Entry::Compute(expression)).map_err(|_| {
        Error::location(40176, format!("'{}' collides with another field of the stage", names.join(".")))
    })
}
