//! `$rename`: a value moves from one path to another. Neither path may run through an array.

use sheaf_document::{RawDocument, ValueRef};

use super::apply::Change;
use super::bad_value;
use super::operator::{Operator, own};
use super::path::{self, Component};
use super::tree::Branch;
use crate::{Error, ErrorCode, Result};

/// Reads one pair of paths and puts both halves into the tree.
pub fn parse(root: &mut Branch, source: &str, operand: ValueRef<'_>) -> Result<()> {
    let ValueRef::String(target) = operand else {
        let kind = operand.kind().name();
        return Err(bad_value(format!(
            "$rename of '{source}' needs the new name, not a value of type {kind}"
        )));
    };
    if target.contains('\0') {
        return Err(bad_value(format!("$rename of '{source}': the new name contains a zero byte")));
    }
    let (from, to) = (path::parse(source)?, path::parse(target)?);
    for (name, components) in [(source, &from), (target, &to)] {
        if components.iter().any(|component| !matches!(component, Component::Field(_))) {
            return Err(bad_value(format!("$rename cannot work on elements of an array, as in '{name}'")));
        }
    }
    if from == to {
        return Err(bad_value(format!("$rename needs two different names, both are '{source}'")));
    }
    if from.starts_with(&to) || to.starts_with(&from) {
        return Err(bad_value(format!(
            "$rename cannot move '{source}' to '{target}': one contains the other"
        )));
    }
    root.insert(&from, Operator::RenameTo)?;
    root.insert(&to, Operator::RenameFrom { source: source.into() })
}

/// Whether there is something to rename; then both paths must lead through documents only. If there is not, nothing is
/// asked of the target.
pub fn check(document: RawDocument<'_>, source: &str, target: &str) -> Result<bool> {
    if walk(document, source)?.is_none() {
        return Ok(false);
    }
    // What is there already is replaced: only the way to it counts.
    match walk(document, target) {
        Err(error) if error.code == ErrorCode::BAD_VALUE => Err(error),
        _ => Ok(true),
    }
}

fn walk<'a>(document: RawDocument<'a>, path: &str) -> Result<Option<ValueRef<'a>>> {
    let mut value = Some(ValueRef::Document(document));
    for name in path.split('.') {
        value = match value {
            Some(ValueRef::Document(document)) => document.get(name),
            Some(ValueRef::Array(_)) => {
                return Err(bad_value(format!(
                    "$rename cannot work on an element of an array, as '{path}' is here"
                )));
            }
            Some(other) => {
                let kind = other.kind().name();
                let reason = format!("$rename cannot look for '{path}' in a value of type {kind}");
                return Err(Error::new(ErrorCode::PATH_NOT_VIABLE, reason));
            }
            None => None,
        };
    }
    Ok(value)
}

/// The value of the source, which takes the place of `current`.
pub fn take(before: RawDocument<'_>, source: &str, current: Option<ValueRef<'_>>) -> Result<Change> {
    Ok(match walk(before, source)? {
        Some(value) => Change::to(current, own(value)),
        None => Change::Keep,
    })
}
