//! What wildcard indexes must fulfil.

use sheaf_document::{RawDocument, ValueRef};
use sheaf_language::Projection;
use sheaf_language::expression::Scope;
use sheaf_language::projection::ProjectionKind;

use super::index_key::IndexFieldKind;
use super::index_specification::IndexSpecification;
use crate::index::wildcard::{Coverage, WildcardScope, flattened};
use crate::{Error, Result, error_code};

/// Code of a compound index whose plain field the wildcard stands for as well.
const FIELDS_OVERLAP: i32 = 7_246_209;

/// Code of a projection with a path and another below it.
const PATHS_COLLIDE: i32 = 31_249;

/// Code of a projection with a value that says neither in nor out.
const NO_INCLUSION: i32 = 51_271;

fn refused(message: impl Into<String>) -> Error {
    Error::new(error_code::CANNOT_CREATE_INDEX, message)
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(error_code::FAILED_TO_PARSE, message)
}

/// Checks the wildcard of a specification and what stands beside it.
pub(super) fn check(specification: &IndexSpecification) -> Result<()> {
    let fields = specification.key.fields();
    let is_wildcard = |kind: IndexFieldKind| matches!(kind, IndexFieldKind::Wildcard { .. });
    let Some(wildcard) = fields.iter().find(|field| is_wildcard(field.kind)) else { return Ok(()) };
    let is_plain = |kind| matches!(kind, IndexFieldKind::Ascending | IndexFieldKind::Descending);
    if fields.iter().any(|field| !is_wildcard(field.kind) && !is_plain(field.kind)) {
        return Err(refused("only ascending and descending fields can stand beside a wildcard"));
    }
    let is_whole = wildcard.path.is_empty();
    let projection = specification.wildcard_projection.as_ref().map(|projection| projection.as_raw());
    match projection {
        Some(_) if !is_whole => {
            return Err(malformed("wildcardProjection belongs to a wildcard index on the whole document"));
        }
        Some(projection) => check_projection(projection)?,
        None if is_whole && fields.len() > 1 => {
            return Err(refused(
                "a compound wildcard index on the whole document needs a wildcardProjection",
            ));
        }
        None => {}
    }
    let scope = WildcardScope::new(&wildcard.path, projection);
    for field in fields.iter().filter(|field| is_plain(field.kind)) {
        if scope.coverage(&field.path) != Coverage::None {
            return Err(Error::location(
                FIELDS_OVERLAP,
                format!("the wildcard stands for \"{}\" too, which is in the index already", field.path),
            ));
        }
    }
    Ok(())
}

fn check_projection(projection: RawDocument<'_>) -> Result<()> {
    if projection.is_empty() {
        return Err(malformed("wildcardProjection must not be empty"));
    }
    check_values(projection)?;
    let paths = flattened(projection);
    for (path, _) in &paths {
        if paths
            .iter()
            .any(|(other, _)| other.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.')))
        {
            return Err(Error::location(
                PATHS_COLLIDE,
                format!("wildcardProjection names \"{path}\" and a path below it"),
            ));
        }
    }
    Projection::parse(projection, ProjectionKind::Aggregate, &mut Scope::new())?;
    Ok(())
}

/// Every value says whether its path is in or out: a number, a truth, or a document of such.
fn check_values(projection: RawDocument<'_>) -> Result<()> {
    for element in projection {
        match element.value() {
            ValueRef::Document(nested)
                if !nested.is_empty() && !nested.iter().any(|inner| inner.key().starts_with('$')) =>
            {
                check_values(nested)?;
            }
            ValueRef::Document(_) => {}
            ValueRef::Boolean(_) => {}
            value if value.kind().is_number() => {}
            other => {
                return Err(Error::location(
                    NO_INCLUSION,
                    format!(
                        "wildcardProjection takes fields in or leaves them out; \"{}\" is of type {}",
                        element.key(),
                        other.kind().name()
                    ),
                ));
            }
        }
    }
    Ok(())
}
